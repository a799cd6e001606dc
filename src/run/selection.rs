//! Which cases a run is about.

use std::collections::BTreeSet;

use crate::contract::case::{Case, Variant, chapter_of};
use crate::contract::json::expected_one_of;
use crate::contract::{Suite, pattern};
use crate::replay::Selected;

/// What selectors chose, and which of them chose nothing.
#[derive(Debug)]
pub struct Selection {
    /// The chosen variants, in the order of the suite.
    pub selected: Vec<Selected>,
    /// The selectors that chose nothing.
    pub idle: Vec<String>,
}

impl Selection {
    /// Keeps a part; `choose` is given the ids and returns those that stay.
    pub fn keep<'s>(&mut self, suite: &'s Suite, choose: impl FnOnce(&[&'s str]) -> BTreeSet<&'s str>) {
        let id = |selected: &Selected| {
            let variant = suite.cases().get(selected.case)?.variants.get(selected.variant)?;
            Some(variant.id.as_str())
        };
        let ids: Vec<&str> = self.selected.iter().filter_map(id).collect();
        let kept = choose(&ids);
        self.selected
            .retain(|selected| id(selected).is_some_and(|id| kept.contains(id)));
    }
}

/// All variants of all cases.
pub fn all(suite: &Suite) -> Vec<Selected> {
    let variants = |(case, of): (usize, &Case)| (0..of.variants.len()).map(move |variant| Selected { case, variant });
    suite.cases().iter().enumerate().flat_map(variants).collect()
}

/// What is wrong with selectors that choose nothing, and what was likely meant.
pub fn unknown(suite: &Suite, selectors: &[String]) -> String {
    let described = selectors.iter().map(|selector| {
        let is_clause = !selector.contains('/') && selector.contains(|letter: char| letter.is_ascii_digit());
        let known: Vec<&str> = if selector.contains('/') {
            suite.cases().iter().map(|case| case.id.as_str()).collect()
        } else if is_clause {
            suite.clauses().iter().map(|clause| clause.id.as_str()).collect()
        } else {
            suite.chapters().iter().map(|chapter| chapter.name.as_str()).collect()
        };
        let spelt = if is_clause {
            selector.to_uppercase()
        } else {
            selector.clone()
        };
        let near = expected_one_of(&spelt, &known);
        match near.strip_prefix("did you mean") {
            Some(_) => format!("`{selector}` ({near})"),
            None => format!("`{selector}`"),
        }
    });
    format!(
        "no case, chapter or clause matches {}; see `mpsd-conformance list`, `list cases` and `list clauses`",
        described.collect::<Vec<_>>().join(", ")
    )
}

/// Applies selectors: a case or variant id, a chapter, a clause id, or a pattern with `*`. None selects everything.
pub fn select(suite: &Suite, selectors: &[String]) -> Selection {
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
        return pattern::matches(selector, &variant.id) || pattern::matches(selector, &case.id);
    }
    if variant.id == selector || case.id == selector || chapter_of(&case.id) == selector {
        return true;
    }
    let id = selector.to_uppercase();
    suite.clause(&id).is_some_and(|wanted| {
        let mut clauses = variant.clauses.iter().chain(&variant.judged);
        clauses.any(|id| suite.clause(id).is_some_and(|clause| clause.id == wanted.id))
    })
}
