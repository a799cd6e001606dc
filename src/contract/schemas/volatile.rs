//! The keyword `x-volatile`: how a value changes from run to run.

/// How a value changes from run to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VolatileKind {
    /// A GUID, or a text that contains one; the label says of what, and is empty for any.
    Guid(String),
    /// An opaque token; the label says of what.
    Token(String),
    /// A point in time.
    Time,
    /// An entity tag.
    Etag,
    /// A number.
    Number,
}

impl VolatileKind {
    /// Reads the value of the keyword `x-volatile`.
    pub fn parse(text: &str) -> Option<Self> {
        match text.split_once(':') {
            Some(("guid", label)) if !label.is_empty() => Some(Self::Guid(label.to_owned())),
            Some(("token", label)) if !label.is_empty() => Some(Self::Token(label.to_owned())),
            Some(_) => None,
            None => match text {
                "guid" => Some(Self::Guid(String::new())),
                "time" => Some(Self::Time),
                "etag" => Some(Self::Etag),
                "number" => Some(Self::Number),
                _ => None,
            },
        }
    }
}
