//! The deviations file: a target's known nonconformances, listed by whoever runs the suite.
//!
//! This is the list and what each entry says; what a run makes of it is in [`crate::report::deviations`].

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::contract::json::problem::{Place, Problem};
use crate::contract::json::{Item, Problems, parse};
use crate::contract::pattern;

/// One known nonconformance; all it says must hold of a failure that it excuses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Deviation {
    /// A case or variant id, or a pattern with `*`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub case: Option<String>,
    /// A clause id, or a pattern with `*`: only failures against such a clause are excused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clause: Option<String>,
    /// What was asserted, such as `status`; may hold `*`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assertion: Option<String>,
    /// What was found instead, with stable names for what changes from run to run; may hold `*`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed: Option<String>,
    /// Why it is tolerated.
    pub reason: String,
    /// Where it is tracked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issue: Option<String>,
    /// The last day on which it excuses anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<Date>,
}

impl Deviation {
    /// Whether its day has passed.
    pub fn is_expired(&self, today: Date) -> bool {
        self.expires.is_some_and(|last| last < today)
    }

    /// Whether it is about a variant of a case; `clauses` are the ones that the case is about.
    pub fn covers(&self, variant: &str, case: &str, clauses: &[String]) -> bool {
        let by_case = |wanted: &String| pattern::matches(wanted, variant) || pattern::matches(wanted, case);
        let by_clause = |wanted: &String| clauses.iter().any(|clause| pattern::matches(wanted, clause));
        self.case.as_ref().is_none_or(by_case) && self.clause.as_ref().is_none_or(by_clause)
    }

    /// Whether it excuses a failure of a case that it covers.
    pub fn excuses(&self, clauses: &[String], assertion: &str, observed: &str) -> bool {
        let fits = |wanted: Option<&String>, found| wanted.is_none_or(|wanted| pattern::matches(wanted, found));
        let by_clause = |wanted: &String| clauses.iter().any(|clause| pattern::matches(wanted, clause));
        self.clause.as_ref().is_none_or(by_clause)
            && fits(self.assertion.as_ref(), assertion)
            && fits(self.observed.as_ref(), observed)
    }

    /// Names the entry in one line.
    pub fn label(&self) -> String {
        let parts = [
            self.case.as_ref(),
            self.clause.as_ref(),
            self.assertion.as_ref(),
            self.observed.as_ref(),
        ];
        let parts: Vec<&str> = parts.into_iter().flatten().map(String::as_str).collect();
        parts.join(", ")
    }
}

/// Reads a deviations file; `name` is what problems call it.
pub fn read(name: &str, text: &str) -> Result<Vec<Deviation>, Vec<Problem>> {
    let root = parse(name, text).map_err(|problem| vec![problem])?;
    let problems = Problems::new(name);
    let deviations = read_list(Item::root(&root, &problems));
    let mut problems = problems.into_vec();
    match deviations {
        Some(deviations) if problems.is_empty() => Ok(deviations),
        _ => {
            if problems.is_empty() {
                let (message, expected) = (
                    "not a list of deviations".to_owned(),
                    "see `schemas/deviations.schema.json`",
                );
                problems.push(Problem {
                    file: name.to_owned(),
                    place: Place::File,
                    message,
                    expected: expected.to_owned(),
                });
            }
            Err(problems)
        }
    }
}

/// The file that says the same; what [`read`] reads.
pub fn write(deviations: &[Deviation]) -> String {
    let list: Vec<Value> = deviations
        .iter()
        .map(|entry| serde_json::to_value(entry).unwrap_or_default())
        .collect();
    format!("{:#}\n", json!({ "deviations": list }))
}

fn read_list(file: Item<'_>) -> Option<Vec<Deviation>> {
    file.object(&["$schema", "about", "deviations"])?
        .require("deviations")?
        .elements(read_deviation)
}

fn read_deviation(item: Item<'_>) -> Option<Deviation> {
    let fields = item.object(&["case", "clause", "assertion", "observed", "reason", "issue", "expires"])?;
    let expires = match fields.get("expires") {
        None => None,
        Some(expires) => {
            let date = expires.string()?.parse().ok();
            if date.is_none() {
                expires.wrong(
                    "not a date",
                    "expected the last day on which the entry is valid, such as `2030-12-31`",
                );
                return None;
            }
            date
        }
    };
    let id = |key| {
        let text = fields.optional_string(key)?;
        Some(text.trim_start_matches("cases/").trim_end_matches(".json").to_owned())
    };
    let deviation = Deviation {
        case: id("case"),
        clause: fields.optional_string("clause").map(|clause| clause.to_uppercase()),
        assertion: fields.optional_string("assertion"),
        observed: fields.optional_string("observed"),
        reason: fields.string("reason"),
        issue: fields.optional_string("issue"),
        expires,
    };
    if deviation.case.is_none() && deviation.clause.is_none() {
        item.wrong("an entry without `case` and `clause`", "add `case`, `clause` or both");
        return None;
    }
    if deviation.reason.trim().is_empty()
        && let Some(reason) = fields.get("reason")
    {
        reason.wrong("an empty reason", "explain why this deviation is accepted");
        return None;
    }
    Some(deviation)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> String {
        let problems = read("d.json", text).unwrap_err();
        problems
            .iter()
            .map(|problem| problem.render(Some(text), false))
            .collect()
    }

    #[test]
    fn a_list_is_read_as_it_was_written() {
        let deviation = Deviation {
            case: Some("join/*".to_owned()),
            clause: Some("SES-001".to_owned()),
            assertion: Some("status".to_owned()),
            observed: Some("404".to_owned()),
            reason: "known".to_owned(),
            issue: Some("https://issues.example/7".to_owned()),
            expires: "2030-12-31".parse().ok(),
        };
        assert_eq!(
            read("d.json", &write(std::slice::from_ref(&deviation))).unwrap(),
            [deviation]
        );
    }

    #[test]
    fn every_mistake_is_told_at_its_place() {
        let text = r#"{ "deviations": [
            { "reason": "r" },
            { "case": "a/b", "reason": " " },
            { "case": "a/b", "reason": "r", "expires": "tomorrow" },
            { "case": "a/b", "raeson": "r" }
        ] }"#;
        let told = problems(text);
        for part in [
            "an entry without `case` and `clause`",
            "an empty reason",
            "not a date",
            "unknown key `raeson`",
            "missing key `reason`",
        ] {
            assert!(told.contains(part), "{part} in {told}");
        }
    }

    #[test]
    fn an_entry_holds_through_its_last_day() {
        let entry = Deviation {
            expires: "2030-12-31".parse().ok(),
            ..Deviation::default()
        };
        assert!(!entry.is_expired("2030-12-31".parse().unwrap()));
        assert!(entry.is_expired("2031-01-01".parse().unwrap()));
    }

    #[test]
    fn an_entry_excuses_only_what_it_says() {
        let entry = Deviation {
            clause: Some("SES-*".to_owned()),
            assertion: Some("status".to_owned()),
            observed: Some("40*".to_owned()),
            ..Deviation::default()
        };
        let clauses = ["SES-001".to_owned()];
        assert!(entry.covers("a/b@107", "a/b", &clauses) && entry.excuses(&clauses, "status", "404"));
        assert!(!entry.excuses(&clauses, "status", "500") && !entry.excuses(&clauses, "header ETag", "404"));
        assert!(!entry.excuses(&[], "status", "404") && !entry.covers("a/b@107", "a/b", &[]));
    }
}
