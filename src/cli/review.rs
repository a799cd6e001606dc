//! `run --snapshots review`: shows each changed case and prompts for a decision.

use std::io::{self, BufRead, Write};

use anstyle::AnsiColor;

use crate::snapshot::baseline::{Baseline, Change};

const CHOICES: &str = "(a)ccept, (r)eject, (s)kip, accept a(l)l remaining, (q)uit: ";

/// Prompts for each change; returns those that were not accepted.
///
/// Skipped changes stay next to the snapshot as `.snap.new`.
pub(super) fn review(
    baseline: &Baseline,
    changes: Vec<Change>,
    input: &mut dyn BufRead,
    output: &mut dyn Write,
) -> io::Result<Vec<Change>> {
    let mut left = Vec::new();
    let (mut accepts_all, mut has_quit) = (false, false);
    let count = changes.len();
    for (index, change) in changes.into_iter().enumerate() {
        if has_quit || !matches!(change, Change::Differs { .. } | Change::Missing(_)) {
            left.push(change);
            continue;
        }
        let answer = if accepts_all {
            Answer::Accept
        } else {
            writeln!(output, "\n{} of {count}", index + 1)?;
            show(&change, output)?;
            ask(input, output)?
        };
        accepts_all |= answer == Answer::All;
        has_quit = answer == Answer::Quit;
        match answer {
            Answer::Accept | Answer::All => baseline.accept(change.about())?,
            Answer::Reject => {
                baseline.reject(change.about())?;
                left.push(change);
            }
            Answer::Skip | Answer::Quit => left.push(change),
        }
    }
    Ok(left)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Accept,
    Reject,
    Skip,
    All,
    Quit,
}

/// Prompts until the reply is valid; the end of the input quits.
fn ask(input: &mut dyn BufRead, output: &mut dyn Write) -> io::Result<Answer> {
    loop {
        write!(output, "{CHOICES}")?;
        output.flush()?;
        let mut line = String::new();
        if input.read_line(&mut line)? == 0 {
            writeln!(output)?;
            return Ok(Answer::Quit);
        }
        match line.trim() {
            "a" => return Ok(Answer::Accept),
            "r" => return Ok(Answer::Reject),
            "s" => return Ok(Answer::Skip),
            "l" => return Ok(Answer::All),
            "q" => return Ok(Answer::Quit),
            _ => {}
        }
    }
}

fn show(change: &Change, output: &mut dyn Write) -> io::Result<()> {
    for line in change.to_string().lines() {
        let color = match line.as_bytes().first() {
            Some(b'+') => AnsiColor::Green,
            Some(b'-') => AnsiColor::Red,
            _ => {
                writeln!(output, "{line}")?;
                continue;
            }
        };
        let style = color.on_default();
        writeln!(output, "{style}{line}{style:#}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::snapshot::compare;

    /// A folder with a recorded conversation for each case, and another one that is pending.
    fn pending(folder: &Path, cases: &[&str]) -> (Baseline, Vec<Change>) {
        let change = |case: &&str| {
            fs::write(folder.join(format!("{case}.snap")), "old\n").unwrap();
            fs::write(folder.join(format!("{case}.snap.new")), "new\n").unwrap();
            let difference = compare("old\n", "new\n").unwrap();
            let case = (*case).to_owned();
            Change::Differs { case, difference }
        };
        (Baseline::Folder(folder.to_owned()), cases.iter().map(change).collect())
    }

    /// The content of the recorded file after review, and whether something still waits.
    fn reviewed(answers: &str) -> (Vec<(String, bool)>, usize, String) {
        let folder = tempfile::tempdir().unwrap();
        let cases = ["one", "two", "three"];
        let (baseline, changes) = pending(folder.path(), &cases);
        let mut output = Vec::new();
        let left = review(&baseline, changes, &mut answers.as_bytes(), &mut output).unwrap();
        let state = |case: &&str| {
            let text = fs::read_to_string(folder.path().join(format!("{case}.snap"))).unwrap();
            (text, folder.path().join(format!("{case}.snap.new")).exists())
        };
        let output = String::from_utf8(output).unwrap();
        (cases.iter().map(state).collect(), left.len(), output)
    }

    fn state(text: &str, is_pending: bool) -> (String, bool) {
        (text.to_owned(), is_pending)
    }

    #[test]
    fn what_is_accepted_is_recorded_what_is_rejected_is_gone_and_what_is_skipped_waits() {
        let (states, left, output) = reviewed("a\nr\ns\n");
        assert_eq!(
            states,
            [state("new\n", false), state("old\n", false), state("old\n", true)]
        );
        assert_eq!(left, 2);
        assert!(output.contains("1 of 3") && output.contains("+new"), "{output}");
    }

    #[test]
    fn all_that_follow_can_be_accepted_at_once() {
        let (states, left, _) = reviewed("r\nl\n");
        assert_eq!(
            states,
            [state("old\n", false), state("new\n", false), state("new\n", false)]
        );
        assert_eq!(left, 1);
    }

    #[test]
    fn the_end_of_the_input_leaves_the_rest_as_it_is() {
        let (states, left, _) = reviewed("a\n");
        assert_eq!(
            states,
            [state("new\n", false), state("old\n", true), state("old\n", true)]
        );
        assert_eq!(left, 2);
    }

    #[test]
    fn an_answer_that_is_none_is_asked_for_again() {
        let (states, _, output) = reviewed("what?\na\nq\n");
        assert_eq!(states.first(), Some(&state("new\n", false)));
        assert_eq!(output.matches(CHOICES).count(), 3);
    }
}
