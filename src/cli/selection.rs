//! Which cases a run is about.

use crate::replay::Selected;
use crate::suite::Suite;
use crate::suite::case::{Case, Variant};

/// What selectors chose, and which of them chose nothing.
#[derive(Debug)]
pub(super) struct Selection {
    pub(super) selected: Vec<Selected>,
    pub(super) idle: Vec<String>,
}

/// Applies selectors: a case or variant id, a chapter, a clause id, or a pattern with `*`. None selects everything.
pub(super) fn select(suite: &Suite, selectors: &[String]) -> Selection {
    let mut used = vec![false; selectors.len()];
    let mut selected = Vec::new();
    for (case_index, case) in suite.cases().iter().enumerate() {
        for (variant_index, variant) in case.variants.iter().enumerate() {
            let mut is_chosen = selectors.is_empty();
            for (selector, used) in selectors.iter().zip(&mut used) {
                if chooses(suite, selector, case, variant) {
                    *used = true;
                    is_chosen = true;
                }
            }
            if is_chosen {
                selected.push(Selected {
                    case: case_index,
                    variant: variant_index,
                });
            }
        }
    }
    let idle = selectors
        .iter()
        .zip(used)
        .filter(|(_, used)| !used)
        .map(|(selector, _)| selector.clone())
        .collect();
    Selection { selected, idle }
}

fn chooses(suite: &Suite, selector: &str, case: &Case, variant: &Variant) -> bool {
    let selector = selector
        .trim_start_matches("cases/")
        .trim_end_matches(".json")
        .trim_end_matches('/');
    if selector.contains('*') {
        return matches_pattern(selector, &variant.id) || matches_pattern(selector, &case.id);
    }
    let chapter = case.id.split('/').next();
    if variant.id == selector || case.id == selector || chapter == Some(selector) {
        return true;
    }
    let id = selector.to_uppercase();
    suite.clause(&id).is_some_and(|wanted| {
        let own = variant
            .script
            .steps
            .iter()
            .flat_map(crate::suite::case::Step::expectations)
            .filter_map(|e| e.clauses.as_ref());
        let mut clauses = variant.clauses.iter().chain(own.flatten());
        clauses.any(|id| suite.clause(id).is_some_and(|clause| clause.id == wanted.id))
    })
}

/// Whether a text is what a pattern with `*` for anything says.
pub(super) fn matches_pattern(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = rest.get(at + part.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything() {
        assert!(matches_pattern("join/*", "join/a#b@107") && matches_pattern("*@107", "join/a@107"));
        assert!(
            matches_pattern("a*b*c", "a-b-b-c")
                && !matches_pattern("a*b*c", "a-c-b")
                && !matches_pattern("join/*", "x/join/a")
        );
    }
}
