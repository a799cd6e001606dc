//! The report for programs; its shape is `schemas/report.schema.json`.

use serde_json::{Map, Value, json};

use super::{Report, Standing};
use crate::replay::verdict::{Finding, Outcome, Verdict};
use crate::suite::clause::Weight;

/// The version of the report's shape.
const SHAPE: u32 = 1;

/// Renders a report as JSON.
pub fn render(report: &Report<'_>) -> Value {
    let mut summary = Map::new();
    for verdict in Verdict::ALL {
        summary.insert(verdict.name().to_owned(), report.count(verdict).into());
    }
    summary.insert("warnings".to_owned(), report.findings(Weight::Warning).count().into());
    summary.insert("remarks".to_owned(), report.findings(Weight::Remark).count().into());
    summary.insert("conformance".to_owned(), report.conformance().into());
    summary.insert("coverage".to_owned(), report.coverage().into());
    let clause = |(clause, standing): &(&crate::suite::clause::Clause, Standing)| {
        let mut entry = json!({
            "id": clause.id,
            "chapter": clause.chapter,
            "level": clause.level.name(),
            "evidence": clause.evidence.name(),
            "verdict": standing.name(),
        });
        if let (Standing::Untestable, Some(reason), Some(entry)) = (standing, &clause.untestable, entry.as_object_mut())
        {
            entry.insert("reason".to_owned(), reason.as_str().into());
        }
        entry
    };
    json!({
        "version": SHAPE,
        "suite": { "version": env!("CARGO_PKG_VERSION"), "partial": report.is_partial },
        "target": { "name": report.target },
        "milliseconds": round(report.milliseconds),
        "summary": summary,
        "cases": report.outcomes.iter().map(case).collect::<Vec<_>>(),
        "clauses": report.standings.iter().map(clause).collect::<Vec<_>>(),
        "readings": report.readings(),
        "leftovers": report.leftovers().collect::<Vec<_>>(),
    })
}

fn case(outcome: &Outcome) -> Value {
    let mut entry = json!({
        "id": outcome.id,
        "verdict": outcome.verdict.name(),
        "clauses": outcome.clauses,
        "exchanges": outcome.exchange_count,
        "assertions": outcome.assertions,
        "milliseconds": round(outcome.milliseconds),
    });
    if let Some(entry) = entry.as_object_mut() {
        if let Some(reason) = &outcome.reason {
            entry.insert("reason".to_owned(), reason.as_str().into());
        }
        if !outcome.findings.is_empty() {
            entry.insert(
                "findings".to_owned(),
                outcome.findings.iter().map(|found| finding(outcome, found)).collect(),
            );
        }
    }
    entry
}

fn finding(outcome: &Outcome, finding: &Finding) -> Value {
    let exchange = outcome.exchanges.get(finding.exchange);
    json!({
        "weight": weight(finding.weight),
        "clauses": finding.clauses,
        "setup": finding.is_setup,
        "step": exchange.map(|exchange| exchange.label.as_str()),
        "speaker": exchange.map(|exchange| exchange.speaker.as_str()),
        "request": exchange.map(|exchange| format!("{} {}", exchange.request.method, exchange.request.path)),
        "status": exchange.map(|exchange| exchange.response.status),
        "assertion": finding.assertion,
        "expected": finding.expected,
        "actual": finding.actual,
    })
}

/// As reports spell it.
pub(super) fn weight(weight: Weight) -> &'static str {
    match weight {
        Weight::Failure => "failure",
        Weight::Warning => "warning",
        Weight::Remark => "remark",
    }
}

fn round(milliseconds: f64) -> f64 {
    (milliseconds * 100.0).round() / 100.0
}
