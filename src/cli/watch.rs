//! `watch`: a validating proxy in front of a live service.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Instant;

use anstream::eprintln;
use anstyle::{AnsiColor, Style};
use clap::Args;

use crate::cli::exit::Exit;
use crate::cli::load_target;
use crate::cli::reports::{self, Reports};
use crate::cli::signals::Signals;
use crate::cli::{SuiteSource, fault, now, print, runtime, style_error};
use crate::contract::Suite;
use crate::contract::clause::Weight;
use crate::contract::plain::count;
use crate::replay::verdict::Verdict;
use crate::report::{self, Report, Standing};
use crate::target::Target;
use crate::traffic::har::Writer;
use crate::traffic::proxy::{Outlet, Proxy, Seen};
use crate::traffic::redaction::Redaction;
use crate::traffic::watcher::{Counts, News, Watcher};

/// Proxy a live service: forward all traffic unchanged and check each exchange.
#[derive(Debug, Args)]
pub(super) struct Watch {
    /// Base URL of the service, such as `https://sessiondirectory.xboxlive.com`.
    #[arg(
        long,
        value_name = "URL",
        required_unless_present = "target",
        conflicts_with = "target"
    )]
    to: Option<String>,
    /// Target file of the service; maps tokens to identities in the HAR.
    #[arg(long, value_name = "FILE")]
    target: Option<PathBuf>,
    /// Address to listen on; port 0 picks a free port.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8732")]
    listen: SocketAddr,
    /// Write the traffic to a HAR file without secrets; `import` turns it into draft cases.
    #[arg(long, value_name = "PATH")]
    har: Option<PathBuf>,
    /// Keep tokens, cookies and signatures in the HAR.
    #[arg(long, requires = "har")]
    keep_secrets: bool,
    #[command(flatten)]
    reports: Reports,
    /// Turn warnings into failures.
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    suite: SuiteSource,
}

impl Watch {
    /// Carries out the command.
    pub(super) fn execute(self) -> Result<Exit, Exit> {
        self.reports.check_paths()?;
        let suite = self.suite.load()?;
        let target = match (&self.target, &self.to) {
            (Some(path), _) => load_target(path)?,
            (None, url) => Target::at(url.as_deref().unwrap_or_default().trim_end_matches('/')),
        };
        runtime()?.block_on(self.watch(&suite, &target))
    }

    async fn watch(&self, suite: &Suite, target: &Target) -> Result<Exit, Exit> {
        use anyhow::Context as _;
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let made = Proxy::new(target, now, stopped).with_context(|| format!("cannot watch `{}`", target.base_url));
        let (proxy, mut outlet) = made.map_err(|error| fault(&error))?;
        let bound = tokio::net::TcpListener::bind(self.listen).await;
        let listener = bound
            .with_context(|| format!("cannot listen on {}", self.listen))
            .map_err(|error| fault(&error))?;
        let address = listener.local_addr().map_or(self.listen, |address| address);
        let mut har = match &self.har {
            Some(path) => Some(Writer::create(path).map_err(|error| unwritable(path, error))?),
            None => None,
        };
        // Before anybody learns that it is there.
        let mut signals = Signals::new();
        eprintln!("watching {} on http://{address}; stop with Ctrl-C", target.base_url);
        let start = Instant::now();
        let running = tokio::spawn(proxy.run(listener));
        tokio::spawn(async move {
            signals.next().await;
            // The proxy is gone only when it has ended already.
            let _ = stop.send(true);
        });
        let mut redaction = Redaction::default();
        for (name, identity) in &target.identities {
            redaction.name(&identity.token.reveal(), name);
        }
        let mut watcher = Watcher::new(suite, target, self.strict);
        while let Some(seen) = outlet.next().await {
            match seen {
                Seen::Exchange(copy) => {
                    if let Some(reason) = &copy.failure {
                        let request = &copy.passed.request;
                        let path = redaction.path(&request.path);
                        eprintln!(
                            "{} {} {path}: no response from the target: {reason}",
                            style_error("502"),
                            request.method
                        );
                    }
                    for news in watcher.see(&copy, &mut redaction) {
                        print(&line(suite, &news));
                    }
                    if let (Some(writer), Some(path)) = (&mut har, &self.har) {
                        let hidden = (!self.keep_secrets).then_some(&mut redaction);
                        writer.add(&copy, hidden).map_err(|error| unwritable(path, error))?;
                    }
                }
                Seen::Frame { path, message } => {
                    for news in watcher.hear(&path, &message, &mut redaction) {
                        print(&line(suite, &news));
                    }
                }
            }
        }
        let _ = running.await;
        self.sum_up(suite, target, watcher, &outlet, har.as_ref(), start)
    }

    fn sum_up(
        &self,
        suite: &Suite,
        target: &Target,
        watcher: Watcher<'_>,
        outlet: &Outlet,
        har: Option<&Writer>,
        start: Instant,
    ) -> Result<Exit, Exit> {
        let counts = watcher.counts();
        let found: Vec<String> = watcher
            .tally()
            .map(|(kind, assertion, clauses, times)| format!("  {times:>5}  {kind}: {assertion}  {clauses}"))
            .collect();
        let milliseconds = start.elapsed().as_secs_f64() * 1000.0;
        let report = Report::of(report::Run {
            milliseconds,
            strict: self.strict,
            ..report::Run::new(suite, target, watcher.into_outcomes())
        });
        let is = |verdict| move |clause: &&report::model::Clause| clause.verdict == Standing::Judged(verdict);
        let held = report.clauses.iter().filter(is(Verdict::Pass)).count();
        let failed = report.clauses.iter().filter(is(Verdict::Fail));
        let failed: Vec<&str> = failed.map(|clause| clause.id.as_str()).collect();
        let mut text = String::new();
        if !found.is_empty() {
            text.push_str("\nFailed assertions, by number of occurrences\n");
            text.push_str(&found.join("\n"));
            text.push('\n');
        }
        let _ = write!(text, "\n{}\n", summary(&counts, outlet.missed()));
        let _ = write!(text, "clauses checked: {held} passed, {} failed", failed.len());
        if !failed.is_empty() {
            let _ = write!(text, " ({})", failed.join(", "));
        }
        if let (Some(writer), Some(path)) = (har, &self.har) {
            let path = path.display();
            let _ = match writer.count() {
                0 => write!(text, "\nno exchanges, so {path} was not written"),
                number => write!(
                    text,
                    "\nwrote {} to {path}; run `mpsd-conformance import {path}` for draft cases",
                    count(number, "exchange")
                ),
            };
        }
        print(&text);
        self.reports.write(&report, None)?;
        Ok(match reports::exit(&report) {
            Exit::NothingExecuted if counts.failed > 0 => Exit::Unreachable,
            Exit::Conforms | Exit::NothingExecuted if counts.failed + counts.unread + outlet.missed() > 0 => {
                Exit::Inconclusive
            }
            exit => exit,
        })
    }
}

fn unwritable(path: &std::path::Path, error: std::io::Error) -> Exit {
    fault(&anyhow::Error::new(error).context(format!("cannot write `{}`", path.display())))
}

/// A failed assertion on one line.
fn line(suite: &Suite, news: &News) -> String {
    let finding = &news.finding;
    let (word, colour) = match finding.weight {
        Weight::Failure => ("error", AnsiColor::Red),
        Weight::Warning => ("warning", AnsiColor::Yellow),
        Weight::Remark => ("note", AnsiColor::Cyan),
    };
    let style: Style = colour.on_default().bold();
    let clauses: Vec<String> = finding
        .clauses
        .iter()
        .map(|id| match suite.clause(id) {
            Some(clause) => format!("{} {}", clause.id, clause.level.name()),
            None => id.clone(),
        })
        .collect();
    let clauses = if clauses.is_empty() {
        String::new()
    } else {
        format!(" [{}]", clauses.join(", "))
    };
    format!(
        "{style}{word}{style:#} {}, exchange {}: {}: {}{clauses}",
        news.kind,
        news.number,
        finding.assertion,
        finding.text()
    )
}

fn summary(counts: &Counts, missed: usize) -> String {
    let Counts {
        exchanges,
        judged,
        messages,
        foreign,
        unread,
        failed,
    } = counts;
    let mut text = format!(
        "{} forwarded, {judged} checked; {} forwarded",
        count(*exchanges, "exchange"),
        count(*messages, "WebSocket message")
    );
    let more = [
        (*foreign, "not MPSD requests"),
        (*unread, "not readable (too long, truncated, or in an unknown encoding)"),
        (*failed, "without a response from the target"),
        (missed, "dropped because the traffic was too fast"),
    ];
    for (count, what) in more.iter().filter(|(count, _)| *count > 0) {
        let _ = write!(text, "; {count} {what}");
    }
    text
}
