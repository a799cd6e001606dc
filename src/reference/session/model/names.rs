//! Enumerations as documents spell them.

/// Gives an enumeration its names in documents: `ALL`, in the order in which messages list them, and `name`.
macro_rules! names {
    ($Type:ident { $( $Variant:ident = $name:literal, )+ }) => {
        impl $Type {
            pub(in crate::session) const ALL: &[(&str, Self)] = &[ $( ($name, Self::$Variant), )+ ];

            /// The value in documents.
            pub(crate) const fn name(self) -> &'static str {
                match self { $( Self::$Variant => $name, )+ }
            }
        }
    };
}

pub(super) use names;
