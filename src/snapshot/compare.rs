//! What changed between two canonical texts.

use similar::TextDiff;

/// What changed, and in which variants of the case.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Difference {
    /// The ids of the variants that differ, appeared or are gone; empty if only the title changed.
    pub variants: Vec<String>,
    /// A unified diff, from the recorded text to the new one.
    pub diff: String,
}

/// The difference between a recorded text and a new one; `None` if there is none.
pub fn compare(recorded: &str, new: &str) -> Option<Difference> {
    // Nearly always the case, and much cheaper than what follows.
    if recorded.trim_end() == new.trim_end() {
        return None;
    }
    let (recorded, new) = (normal(recorded), normal(new));
    if recorded == new {
        return None;
    }
    let (before, after) = (sections(&recorded), sections(&new));
    let find = |sections: &[(&str, &str)], id: &str| {
        sections
            .iter()
            .find(|(known, _)| *known == id)
            .map(|(_, text)| (*text).to_owned())
    };
    let mut variants: Vec<String> = Vec::new();
    for (id, _) in before.iter().chain(&after) {
        let known = variants.iter().any(|known| known == id);
        if !known && find(&before, id) != find(&after, id) {
            variants.push((*id).to_owned());
        }
    }
    let diff = TextDiff::from_lines(&recorded, &new)
        .unified_diff()
        .header("recorded", "new")
        .to_string();
    Some(Difference { variants, diff })
}

fn normal(text: &str) -> String {
    let mut text = text.replace("\r\n", "\n");
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

/// The variants of a text, by id; no line of a body starts with `## `.
fn sections(text: &str) -> Vec<(&str, &str)> {
    let parts = text.split("\n## ").skip(1);
    parts
        .map(|part| part.split_once('\n').unwrap_or((part, "")))
        .map(|(id, text)| (id, text.trim_end()))
        .collect()
}
