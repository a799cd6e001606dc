//! Preconditions: `If-Match` and `If-None-Match`.

use http::{HeaderMap, HeaderName, header};

/// The preconditions of a request.
#[derive(Debug, Default)]
pub(super) struct Conditions {
    if_match: Option<Tags>,
    if_none_match: Option<Tags>,
}

#[derive(Debug)]
enum Tags {
    Any,
    /// Without quotes (COND-020); weak ones apart.
    Listed(Vec<(bool, String)>),
}

/// What the preconditions say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// They hold, or there are none.
    Hold,
    /// `If-Match` does not hold.
    Stale,
    /// `If-None-Match` does not hold.
    Known,
}

impl Conditions {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        Self {
            if_match: Tags::of(headers, &header::IF_MATCH),
            if_none_match: Tags::of(headers, &header::IF_NONE_MATCH),
        }
    }

    /// Whether any session is wanted, whatever its state.
    pub(super) fn wants_any(&self) -> bool {
        matches!(self.if_match, Some(Tags::Any))
    }

    /// Judges the state with the entity tag `etag`; `None`: there is no session.
    pub(super) fn judge(&self, etag: Option<&str>) -> Verdict {
        let matches = |tags: &Tags, weakly| etag.is_some_and(|etag| tags.contain(etag, weakly));
        if self.if_match.as_ref().is_some_and(|tags| !matches(tags, false)) {
            return Verdict::Stale;
        }
        if self.if_none_match.as_ref().is_some_and(|tags| matches(tags, true)) {
            return Verdict::Known;
        }
        Verdict::Hold
    }
}

impl Tags {
    fn of(headers: &HeaderMap, name: &HeaderName) -> Option<Self> {
        let mut listed = Vec::new();
        let mut given = false;
        for value in headers.get_all(name) {
            given = true;
            let text = String::from_utf8_lossy(value.as_bytes());
            for tag in text.split(',').map(str::trim).filter(|tag| !tag.is_empty()) {
                if tag == "*" {
                    return Some(Self::Any);
                }
                let (weak, tag) = tag.strip_prefix("W/").map_or((false, tag), |tag| (true, tag));
                listed.push((weak, bare(tag).to_owned()));
            }
        }
        given.then_some(Self::Listed(listed))
    }

    fn contain(&self, etag: &str, weakly: bool) -> bool {
        match self {
            Self::Any => true,
            Self::Listed(tags) => tags.iter().any(|(weak, tag)| (weakly || !weak) && tag == bare(etag)),
        }
    }
}

fn bare(tag: &str) -> &str {
    tag.strip_prefix('"')
        .and_then(|tag| tag.strip_suffix('"'))
        .unwrap_or(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(name: HeaderName, value: &str, etag: Option<&str>) -> Verdict {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        Conditions::of(&headers).judge(etag)
    }

    #[test]
    fn a_tag_matches_with_and_without_quotes_and_in_a_list() {
        for tag in ["\"a\"", "a", "*", "\"b\", \"a\"", "b,a"] {
            assert_eq!(judge(header::IF_MATCH, tag, Some("\"a\"")), Verdict::Hold, "{tag}");
            assert_eq!(
                judge(header::IF_NONE_MATCH, tag, Some("\"a\"")),
                Verdict::Known,
                "{tag}"
            );
        }
        for tag in ["\"b\"", "b", "", "A"] {
            assert_eq!(judge(header::IF_MATCH, tag, Some("\"a\"")), Verdict::Stale, "{tag}");
            assert_eq!(judge(header::IF_NONE_MATCH, tag, Some("\"a\"")), Verdict::Hold, "{tag}");
        }
    }

    #[test]
    fn what_is_not_there_matches_nothing() {
        assert_eq!(judge(header::IF_MATCH, "*", None), Verdict::Stale);
        assert_eq!(judge(header::IF_NONE_MATCH, "*", None), Verdict::Hold);
    }

    #[test]
    fn a_weak_tag_will_do_only_to_read() {
        assert_eq!(judge(header::IF_MATCH, "W/\"a\"", Some("\"a\"")), Verdict::Stale);
        assert_eq!(judge(header::IF_NONE_MATCH, "W/\"a\"", Some("\"a\"")), Verdict::Known);
    }
}
