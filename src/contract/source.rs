//! The sources of the contract: one bibliography, `cases/sources.json`, that clauses and readings point into.

use std::collections::BTreeMap;
use std::fmt;

use crate::contract::json::{Item, expected_one_of};

/// The pages that clauses and readings cite, by their id.
#[derive(Clone, Debug, Default)]
pub struct Bibliography {
    pages: BTreeMap<String, Page>,
}

/// One page, file or collection that states or shows what a service does.
#[derive(Clone, Debug)]
pub struct Page {
    /// Its title, for readers.
    pub title: String,
    /// What kind of source it is.
    pub kind: Kind,
    /// The edition, where a page with this title exists in several.
    pub edition: Option<String>,
    /// Where it is found: a URL.
    pub url: Option<String>,
}

/// The kinds of sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Microsoft's documentation.
    Docs,
    /// The public headers of the official client library, with their comments.
    Header,
    /// Code, tests and sample data of official or third-party clients.
    Client,
    /// Recorded traffic of the live service.
    Capture,
    /// What users of the live service report.
    Report,
    /// A standard that the contract builds on.
    Standard,
    /// A conclusion from other rules: nobody states it.
    Reasoning,
}

/// The names of the kinds, as files spell them.
pub const KINDS: [(&str, Kind); 7] = [
    ("docs", Kind::Docs),
    ("header", Kind::Header),
    ("client", Kind::Client),
    ("capture", Kind::Capture),
    ("report", Kind::Report),
    ("standard", Kind::Standard),
    ("reasoning", Kind::Reasoning),
];

/// A place in a source, written `page` or `page: section`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Citation {
    /// The page's id in the bibliography.
    pub page: String,
    /// The section, table row or symbol; `None` is the page as a whole.
    pub section: Option<String>,
}

impl Citation {
    fn parse(text: &str) -> Self {
        match text.split_once(": ") {
            Some((page, section)) => Self {
                page: page.to_owned(),
                section: Some(section.to_owned()),
            },
            None => Self {
                page: text.to_owned(),
                section: None,
            },
        }
    }
}

impl fmt::Display for Citation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.page)?;
        match &self.section {
            Some(section) => write!(f, ": {section}"),
            None => Ok(()),
        }
    }
}

impl Bibliography {
    /// The pages, by id.
    pub fn pages(&self) -> impl Iterator<Item = (&str, &Page)> {
        self.pages.iter().map(|(id, page)| (id.as_str(), page))
    }

    /// A page.
    pub fn page(&self, id: &str) -> Option<&Page> {
        self.pages.get(id)
    }

    /// A citation for readers: the page's title, its edition and the section.
    pub fn cite(&self, citation: &Citation) -> String {
        let Some(page) = self.page(&citation.page) else {
            return citation.to_string();
        };
        let mut text = page.title.clone();
        if let Some(edition) = &page.edition {
            text.extend([" (", edition, ")"]);
        }
        if let Some(section) = &citation.section {
            text.extend([": ", section]);
        }
        text
    }

    /// Several citations in one line.
    pub fn cite_all(&self, citations: &[Citation]) -> String {
        let cited: Vec<String> = citations.iter().map(|citation| self.cite(citation)).collect();
        cited.join("; ")
    }

    /// What is wrong with a citation of an unknown page, and what was expected.
    pub(super) fn unknown(&self, citation: &Citation) -> Option<(String, String)> {
        if self.pages.contains_key(&citation.page) {
            return None;
        }
        let known: Vec<&str> = self.pages.keys().map(String::as_str).collect();
        let expected = match expected_one_of(&citation.page, &known) {
            near if near.starts_with("did you mean") => near,
            _ => "the id of a page in `cases/sources.json`".to_owned(),
        };
        Some((format!("unknown source page `{}`", citation.page), expected))
    }
}

/// Reads `cases/sources.json`.
pub(super) fn read_bibliography(file: Item<'_>) -> Option<Bibliography> {
    let pages = file.object(&["$schema", "pages"])?.require("pages")?;
    let pages = pages.members(|id, item| {
        let fields = item.object(&["title", "kind", "edition", "url"])?;
        let page = Page {
            title: fields.string("title"),
            kind: fields.require("kind")?.one_of(&KINDS)?,
            edition: fields.optional_string("edition"),
            url: fields.optional_string("url"),
        };
        Some((id.to_owned(), page))
    })?;
    Some(Bibliography {
        pages: pages.into_iter().collect(),
    })
}

/// Reads the citations of a clause or a reading; each place is cited once, and a page as a whole only by itself.
pub(super) fn read_citations(item: Item<'_>) -> Option<Vec<Citation>> {
    let mut known: Vec<Citation> = Vec::new();
    item.elements(|item| {
        let citation = Citation::parse(item.string()?);
        let is_known = |other: &Citation| {
            other.page == citation.page
                && (other.section == citation.section || other.section.is_none() || citation.section.is_none())
        };
        if known.iter().any(is_known) {
            item.wrong(
                format!("`{}` is cited twice", citation.page),
                "cite another section of the page, or remove it",
            );
        }
        known.push(citation.clone());
        Some(citation)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Suite;
    use crate::contract::files::Files;

    #[test]
    fn what_the_bibliography_does_not_have_and_what_is_cited_twice_is_reported() {
        let clause = |sources: &str| {
            format!(
                r#"{{"id":"TRI-001","level":"MUST","evidence":"live","statement":"It must hold.","sources":{sources}}}"#
            )
        };
        let problems = |sources: &str| {
            let text = format!(r#"{{"title":"T","about":"A.","clauses":[{}]}}"#, clause(sources));
            let files = Files::embedded().with([("cases/trial/clauses.json".to_owned(), text)]);
            let problems = Suite::load(files).map_or_else(|broken| broken.problems, |_| Vec::new());
            let lines = problems
                .iter()
                .map(|problem| format!("{:?} {}", problem.place, problem.message));
            lines.collect::<Vec<_>>()
        };
        assert_eq!(problems(r#"["captures","clients: a","clients: b"]"#), [""; 0]);
        assert_eq!(
            problems(r#"["captures","capture: a"]"#),
            [r#"Value("/clauses/0/sources/1") unknown source page `capture`"#]
        );
        for twice in [r#"["captures: a","captures: a"]"#, r#"["captures: a","captures"]"#] {
            assert_eq!(
                problems(twice),
                [r#"Value("/clauses/0/sources/1") `captures` is cited twice"#]
            );
        }
    }

    #[test]
    fn a_section_may_hold_commas_and_colons() {
        let citation = Citation::parse("xsapi/multiplayer_c.h: a, b: c");
        assert_eq!(citation.page, "xsapi/multiplayer_c.h");
        assert_eq!(citation.section.as_deref(), Some("a, b: c"));
        assert_eq!(citation.to_string(), "xsapi/multiplayer_c.h: a, b: c");
        assert_eq!(Citation::parse("captures").section, None);
    }
}
