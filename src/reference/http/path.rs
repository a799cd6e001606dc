//! From a path to what it names. Words match whatever the case of their letters (LIVE-025).

use std::borrow::Cow;

use uuid::Uuid;

use super::super::session_ref::SessionRef;
use super::super::wire::Kind;

/// What a path names.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Resource<'p> {
    /// `/serviceconfigs/{scid}/sessiontemplates`
    Templates { scid: Cow<'p, str> },
    /// `/serviceconfigs/{scid}/sessiontemplates/{template}`
    Template { scid: Cow<'p, str>, template: Cow<'p, str> },
    /// `.../sessions` of a service config or of a template
    Sessions {
        scid: Cow<'p, str>,
        template: Option<Cow<'p, str>>,
    },
    /// `.../batch` of a service config or of a template
    Batch {
        scid: Cow<'p, str>,
        template: Option<Cow<'p, str>>,
    },
    /// `.../sessions/{name}`, or something below it
    Session {
        scid: Cow<'p, str>,
        template: Cow<'p, str>,
        name: Cow<'p, str>,
        element: Element<'p>,
    },
    /// `/handles`
    Handles,
    /// `/handles/query`
    HandleQuery,
    /// `/handles/{id}`
    Handle(Uuid),
    /// `/handles/{id}/session`
    HandleSession(Uuid),
    /// `/connect`, the real-time socket
    Connect,
    /// `/nonce`, what opens a socket in place of a token
    Nonce,
    /// `/debug`, the session explorer
    Explorer,
}

/// Which part of a session a path names.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Element<'p> {
    /// All of it.
    Whole,
    /// `/properties`
    Properties,
    /// `/constants`
    Constants,
    /// `/members`
    Members,
    /// `/members/me`
    Me,
    /// `/members/{index}`
    Member(u32),
    /// `/servers`
    Servers,
    /// `/servers/{name}`
    Server(Cow<'p, str>),
}

impl<'p> Resource<'p> {
    /// What `path` names; `None` if it can name nothing.
    pub(super) fn find(path: &'p str) -> Option<Self> {
        let mut segments = path.strip_prefix('/')?.split('/').map(decoded);
        // No path has more than eight segments.
        let mut found: [Option<Cow<'p, str>>; 8] = Default::default();
        let mut count = 0;
        for segment in segments.by_ref() {
            *found.get_mut(count)? = Some(segment?);
            count += 1;
        }
        let [first, second, third, fourth, fifth, sixth, seventh, eighth] = found;
        let is = |segment: &Option<Cow<'p, str>>, word: &str| {
            segment
                .as_ref()
                .is_some_and(|segment| segment.eq_ignore_ascii_case(word))
        };
        if is(&first, "handles") {
            return match (second, count) {
                (None, _) => Some(Self::Handles),
                (Some(word), 2) if word.eq_ignore_ascii_case("query") => Some(Self::HandleQuery),
                (Some(id), 2) => Some(Self::Handle(guid(&id)?)),
                (Some(id), 3) if is(&third, "session") => Some(Self::HandleSession(guid(&id)?)),
                _ => None,
            };
        }
        if is(&first, "connect") && count == 1 {
            return Some(Self::Connect);
        }
        if is(&first, "nonce") && count == 1 {
            return Some(Self::Nonce);
        }
        if is(&first, "debug") && count == 1 {
            return Some(Self::Explorer);
        }
        if !is(&first, "serviceconfigs") {
            return None;
        }
        let scid = second?;
        if is(&third, "sessions") && count == 3 {
            return Some(Self::Sessions { scid, template: None });
        }
        if is(&third, "batch") && count == 3 {
            return Some(Self::Batch { scid, template: None });
        }
        if !is(&third, "sessiontemplates") {
            return None;
        }
        let Some(template) = fourth else {
            return Some(Self::Templates { scid });
        };
        if is(&fifth, "batch") && count == 5 {
            let template = Some(template);
            return Some(Self::Batch { scid, template });
        }
        if fifth.is_none() {
            return Some(Self::Template { scid, template });
        }
        if !is(&fifth, "sessions") {
            return None;
        }
        let Some(name) = sixth else {
            let template = Some(template);
            return Some(Self::Sessions { scid, template });
        };
        let element = Element::find(seventh, eighth)?;
        Some(Self::Session {
            scid,
            template,
            name,
            element,
        })
    }

    /// What faults on the wire call it.
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Templates { .. } => Kind::Templates,
            Self::Template { .. } => Kind::Template,
            Self::Sessions { .. } => Kind::Sessions,
            Self::Batch { .. } => Kind::Batch,
            Self::Session { element, .. } => match element {
                Element::Whole => Kind::Session,
                Element::Properties => Kind::Properties,
                Element::Me => Kind::Me,
                Element::Member(_) => Kind::Member,
                Element::Server(_) => Kind::Server,
                Element::Constants | Element::Members | Element::Servers => Kind::Part,
            },
            Self::Handles => Kind::Handles,
            Self::HandleQuery => Kind::HandleQuery,
            Self::Handle(_) => Kind::Handle,
            Self::HandleSession(_) => Kind::HandleSession,
            Self::Connect | Self::Nonce | Self::Explorer => Kind::Other,
        }
    }

    /// The verbs that the path knows.
    pub(super) fn verbs(&self) -> &'static str {
        match self {
            Self::Templates { .. }
            | Self::Template { .. }
            | Self::Sessions { .. }
            | Self::Connect
            | Self::Nonce
            | Self::Explorer => "GET",
            Self::Batch { .. } | Self::Handles | Self::HandleQuery => "POST",
            Self::Handle(_) => "GET, DELETE",
            Self::HandleSession(_) => "GET, PUT",
            Self::Session { element, .. } => match element {
                Element::Whole | Element::Properties => "GET, PUT",
                Element::Constants | Element::Members | Element::Servers => "GET",
                Element::Me | Element::Member(_) | Element::Server(_) => "GET, DELETE",
            },
        }
    }
}

impl<'p> Element<'p> {
    fn find(first: Option<Cow<'p, str>>, second: Option<Cow<'p, str>>) -> Option<Self> {
        let Some(first) = first else {
            return Some(Self::Whole);
        };
        match (first.to_ascii_lowercase().as_str(), second) {
            ("properties", None) => Some(Self::Properties),
            ("constants", None) => Some(Self::Constants),
            ("members", None) => Some(Self::Members),
            ("members", Some(me)) if me.eq_ignore_ascii_case("me") => Some(Self::Me),
            ("members", Some(index)) if index.bytes().all(|byte| byte.is_ascii_digit()) => {
                index.parse().ok().map(Self::Member)
            }
            ("servers", None) => Some(Self::Servers),
            ("servers", Some(name)) => Some(Self::Server(name)),
            _ => None,
        }
    }
}

/// A handle's id: a GUID with its hyphens, in any case (HDL-GEN-013, HDL-GEN-020).
fn guid(text: &str) -> Option<Uuid> {
    (text.len() == 36).then(|| Uuid::try_parse(text).ok()).flatten()
}

/// A segment without its percent encoding; `None` if it is empty or no text.
fn decoded(segment: &str) -> Option<Cow<'_, str>> {
    if segment.is_empty() {
        return None;
    }
    if !segment.contains('%') {
        return Some(Cow::Borrowed(segment));
    }
    percent_decoded(segment, false).map(Cow::Owned)
}

/// The text behind a percent encoding. In a query `+` stands for a blank.
pub(super) fn percent_decoded(text: &str, in_query: bool) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let mut digit = || {
                    char::from(rest.next()?)
                        .to_digit(16)
                        .and_then(|digit| u8::try_from(digit).ok())
                };
                digit()? << 4 | digit()?
            }
            b'+' if in_query => b' ',
            plain => plain,
        });
    }
    String::from_utf8(bytes).ok()
}

/// The path of a session, fit for a header (LIVE-011).
pub(super) fn location(at: &SessionRef) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'/');
    let path = at.path();
    if path.bytes().all(plain) {
        return path;
    }
    let digit = |nibble: u8| {
        char::from_digit(u32::from(nibble), 16)
            .unwrap_or('0')
            .to_ascii_uppercase()
    };
    let encoded = path.bytes().flat_map(|byte| {
        if plain(byte) {
            [Some(char::from(byte)), None, None]
        } else {
            [Some('%'), Some(digit(byte >> 4)), Some(digit(byte & 15))]
        }
    });
    encoded.flatten().collect()
}

/// The parameters of a query string, in order. A parameter that is no text is left out.
pub(super) fn parameters(query: &str) -> impl Iterator<Item = (String, String)> + '_ {
    query.split('&').filter(|pair| !pair.is_empty()).filter_map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Some((percent_decoded(name, true)?, percent_decoded(value, true)?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_match_in_any_case_and_names_keep_theirs() {
        let found = Resource::find("/ServiceConfigs/S/sessionTemplates/T/SESSIONS/N%20x/Members/ME").unwrap();
        let Resource::Session {
            scid, name, element, ..
        } = found
        else {
            panic!("{found:?}");
        };
        assert_eq!((&*scid, &*name, element), ("S", "N x", Element::Me));
    }

    #[test]
    fn paths_that_name_nothing_are_not_found() {
        for path in [
            "",
            "/",
            "/x",
            "/handles/",
            "/handles/7",
            "/handles/query/",
            "/serviceconfigs",
            "/serviceconfigs/s",
            "/serviceconfigs/s/sessiontemplates/",
            "/serviceconfigs//sessions",
            "/serviceconfigs/s/sessions/n",
            "/serviceconfigs/s/sessiontemplates/t/sessions/n/",
            "/serviceconfigs/s/sessiontemplates/t/sessions/n/x",
            "/serviceconfigs/s/sessiontemplates/t/sessions/n/members/x",
            "/serviceconfigs/s/sessiontemplates/t/sessions/n/members/1/x",
            "/serviceconfigs/s/sessiontemplates/t/sessions/%ff",
            "/serviceconfigs/s/sessiontemplates/t/sessions/%2",
            "/handles/00000000000000000000000000000000",
            "/serviceconfigs/s/sessions/x/y/z/a/b/c/d",
        ] {
            assert_eq!(Resource::find(path), None, "{path}");
        }
    }

    #[test]
    fn a_location_is_six_segments_in_ascii() {
        let at = SessionRef {
            scid: "s".to_owned(),
            template_name: "t".to_owned(),
            name: "ü %".to_owned(),
        };
        assert_eq!(
            location(&at),
            "/serviceconfigs/s/sessiontemplates/t/sessions/%C3%BC%20%25"
        );
    }
}
