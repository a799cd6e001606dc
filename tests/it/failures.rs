//! How failures are told to people at a terminal.

use http::{Method, StatusCode};
use mpsd_conformance::replay::verdict::Verdict;
use mpsd_conformance::report::model::Cause;
use mpsd_conformance::report::{Report, terminal};
use regex::Regex;

use crate::wrong_service::{SUITE, Wrong, altered, replay, set_body, set_json};

fn report(wrong: Wrong, chapter: &'static str) -> Report {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(replay(wrong, move |case| case.split('/').next() == Some(chapter)))
}

fn told(report: &Report) -> String {
    anstream::adapter::strip_str(&terminal::render(report, &SUITE)).to_string()
}

#[test]
fn failures_with_one_cause_are_told_together_the_most_first() {
    let wrong = altered(
        |_| {},
        |asked, response| {
            let status = response.status_mut();
            if asked.method() == Method::PUT && *status == StatusCode::CREATED {
                *status = StatusCode::OK;
            } else if *status == StatusCode::METHOD_NOT_ALLOWED {
                *status = StatusCode::NOT_FOUND;
            }
        },
    );
    let report = report(wrong, "create");
    let causes = report.causes();
    let sizes: Vec<usize> = causes.iter().map(Cause::count).collect();
    assert!(sizes.is_sorted_by(|a, b| a >= b) && sizes[0] > 3, "{sizes:?}");
    assert_eq!(sizes.iter().sum::<usize>(), report.summary.fail);
    let told = told(&report);
    let head = format!("{} cases failed the same way: {}", sizes[0], causes[0].text);
    assert!(told.starts_with(&head), "{head}\n{told}");
    assert!(head.contains("status: expected 201, found 200"), "{head}");
    assert_eq!(
        told.matches("\nFAIL ").count(),
        causes.len().min(10),
        "one of a group is told in full"
    );
}

#[test]
fn a_failure_of_its_own_is_told_without_a_group() {
    let wrong = altered(
        |_| {},
        |asked, response| {
            if asked.method() == Method::POST && response.status() == StatusCode::METHOD_NOT_ALLOWED {
                *response.status_mut() = StatusCode::NOT_FOUND;
            }
        },
    );
    let mut report = report(wrong, "addressing");
    report.cases.retain(|case| case.verdict == Verdict::Fail);
    report.cases.truncate(1);
    let told = told(&report);
    assert!(told.starts_with("FAIL addressing/"), "{told}");
    assert!(!told.contains("failed the same way"), "{told}");
}

#[test]
fn nothing_that_a_target_says_steers_the_terminal() {
    const HOSTILE: &str = "\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}2J\u{202e}\u{7f}\r\u{8}";
    let wrong = altered(
        |_| {},
        |asked, response| {
            if asked.method() == Method::PUT {
                let value: Option<serde_json::Value> = serde_json::from_slice(response.body()).ok();
                match value {
                    Some(mut session) if session.is_object() => {
                        session["properties"] = HOSTILE.into();
                        session["members"] = serde_json::json!({ HOSTILE: HOSTILE });
                        set_json(response, &session);
                    }
                    _ => set_body(response, HOSTILE, "text/plain"),
                }
            } else {
                set_body(response, HOSTILE, "text/plain");
            }
        },
    );
    let own = Regex::new("\u{1b}\\[[0-9;]*m").unwrap();
    for chapter in ["create", "read"] {
        let report = report(Wrong::clone(&wrong), chapter);
        assert!(report.summary.fail > 3);
        for text in [
            terminal::render(&report, &SUITE),
            terminal::render_ladder(&report, &SUITE),
        ] {
            assert!(text.contains("owned"), "nothing hostile is told at all:\n{text}");
            let plain = own.replace_all(&text, "");
            let steering = |c: char| c != '\n' && mpsd_conformance::contract::plain::is_steering(c);
            let line = plain.lines().find(|line| line.contains(steering));
            assert_eq!(line, None);
        }
    }
}
