//! The kill matrix at a terminal: what was not caught, and the counts.

use std::fmt::{self, Write as _};

use anstyle::{AnsiColor, Style};

use crate::contract::plain;
use crate::contract::signature::{self, Signatures};
use crate::report::proof::{Proof, Proven, Verdicted, variations};

pub(super) const BAD: Style = AnsiColor::Red.on_default().bold();
const GOOD: Style = AnsiColor::Green.on_default().bold();
pub(super) const FAINT: Style = Style::new().dimmed();
/// How many cases are named for a fault.
pub(super) const SHOWN: usize = 3;

/// Renders a proof; `reasons` says why some clauses are found broken for no fault. Styles are always in it.
pub fn render(proof: &Proof, reasons: &Signatures) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write(&mut out, proof, reasons);
    out
}

fn write(out: &mut String, proof: &Proof, reasons: &Signatures) -> fmt::Result {
    for fault in proof.faults.iter().filter(|fault| fault.verdict != Verdicted::Caught) {
        write_fault(out, fault)?;
    }
    variations::write(out, &proof.variations)?;
    let summary = &proof.summary;
    let of = |bad: usize| if bad == 0 { GOOD } else { BAD };
    let mut parts = Vec::new();
    if !proof.faults.is_empty() {
        let style = of(summary.survived + summary.wrong_reason);
        let (caught, all) = (count(summary.caught), count(proof.faults.len()));
        parts.push(format!("{style}{caught} of {all} faults caught{style:#}"));
    }
    if !proof.variations.is_empty() {
        let style = of(summary.struck + summary.idle);
        let (spared, all) = (count(summary.spared), count(proof.variations.len()));
        parts.push(format!("{style}{spared} of {all} harmless variations spared{style:#}"));
    }
    writeln!(out, "{}; {:.1} s", parts.join("; "), proof.milliseconds / 1000.0)?;
    if summary.survived + summary.wrong_reason > 0 {
        let (wrong, survived) = (summary.wrong_reason, summary.survived);
        writeln!(
            out,
            "{} caught for the wrong reason, {survived} not caught",
            plain::count(wrong, "fault")
        )?;
    }
    if summary.caught_as_lesser > 0 {
        writeln!(
            out,
            "{FAINT}{} only inferred, SHOULD or MAY clauses: warnings or notes, not failures{FAINT:#}",
            match summary.caught_as_lesser {
                1 => "1 fault breaks".to_owned(),
                lesser => format!("{lesser} faults break"),
            }
        )?;
    }
    if let Some(count) = summary.never_failed {
        writeln!(
            out,
            "{FAINT}{count} assertions were never triggered by any fault; see the JSON report{FAINT:#}"
        )?;
    }
    let Some(unproven) = summary.unproven else {
        return Ok(());
    };
    let unexplained: Vec<&str> = proof.unexplained(reasons).collect();
    writeln!(
        out,
        "{FAINT}MUST clauses that no fault breaks, with the reason in {}: {}{FAINT:#}",
        signature::FILE,
        unproven - unexplained.len()
    )?;
    if !unexplained.is_empty() {
        writeln!(
            out,
            "{BAD}MUST clauses that no fault breaks, without a reason{BAD:#}: {}",
            unexplained.join(", ")
        )?;
    }
    Ok(())
}

/// A number with commas between thousands.
fn count(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn write_fault(out: &mut String, fault: &Proven) -> fmt::Result {
    writeln!(out, "{BAD}{}{BAD:#} {}", fault.verdict.text().to_uppercase(), fault.id)?;
    writeln!(out, "  {}", fault.text)?;
    write!(
        out,
        "  {FAINT}breaks {}; {} cases run",
        fault.clauses.join(", "),
        fault.cases
    )?;
    if fault.inconclusive > 0 {
        write!(out, ", {} inconclusive", fault.inconclusive)?;
    }
    writeln!(out, "{FAINT:#}")?;
    for catch in fault.also_found_by.iter().take(SHOWN) {
        let clause = if catch.clause.is_empty() {
            "its setup"
        } else {
            &catch.clause
        };
        writeln!(
            out,
            "  {FAINT}{} failed for {clause}: {}{FAINT:#}",
            catch.case, catch.assertion
        )?;
    }
    if fault.also_found_by.len() > SHOWN {
        writeln!(out, "  {FAINT}and {} more{FAINT:#}", fault.also_found_by.len() - SHOWN)?;
    }
    writeln!(out)
}
