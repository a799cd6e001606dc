//! Harmless variations: ways in which a service may differ without breaking the contract.
//!
//! The other half of the faults: a suite that reports a failure for one of them is wrong. Most are made on the way of a
//! response to the client, byte for byte, so that they are what any client would meet: see `edge.rs`. Some are made by the
//! service itself. A response changes only in what the clause, ledger entry or RFC section of the row leaves free.

mod answer;
mod edge;
mod frames;
mod json;
mod table;
mod text;

use std::sync::Arc;

pub(super) use self::edge::Edge;
use super::config::{Config, ConfigError};
use super::rules::{RuleKind, Rules};
use json::Alter;
use text::Form;

/// A way in which a service may differ, and what leaves it free.
#[derive(Clone, Debug)]
pub struct Variation {
    /// What the configuration calls it.
    pub id: String,
    /// What is different then, in one sentence.
    pub text: String,
    /// The clause, ledger entry or RFC section that leaves it free.
    pub source: String,
    /// Variations of one kind may contradict each other, so that only one of them is in force at a time.
    pub kind: &'static str,
}

/// A variation of the table.
#[derive(Clone, Copy, Debug)]
struct Row {
    id: &'static str,
    text: &'static str,
    source: &'static str,
    kind: &'static str,
    does: &'static [Act],
}

/// The kind of the variations that are readings of the table of rules.
pub const READING: &str = "reading";

/// What is done to a response.
#[derive(Clone, Copy, Debug)]
enum Act {
    /// The names of headers are in other letters.
    Names(Letters),
    /// The headers are in another order.
    Headers(Order),
    /// One header more; `{n}` counts, `{id}` is a new GUID, `{host}` the host that the request names.
    Add(&'static str, &'static str),
    /// So many headers more.
    AddMany(usize),
    /// A header of another value, where there is one.
    Value(&'static str, fn(&str) -> String),
    /// The values of headers stand between other white space.
    Padding(&'static str, &'static str),
    /// A header is left out.
    Without(&'static str),
    /// A header with several values, separated by commas, comes once for each.
    Split(&'static str),
    /// The entity tags have another form.
    Tags(&'static str, &'static str),
    /// The location of what was made names the host.
    Absolute(&'static str),
    /// The time to come back is a date.
    RetryDate,
    /// The status line ends with this instead of the reason.
    Reason(&'static str),
    /// The status line has HTTP/1.0.
    Http10,
    /// Another status instead of one, for requests of a method to such paths.
    Status(&'static str, fn(&str) -> bool, u16, u16),
    /// Responses of these statuses have another body: its media type and text; none leaves the body out.
    Body(&'static [u16], Option<(&'static str, &'static str)>),
    /// There is no body in a response to a POST of an activity.
    NoHandle,
    /// The JSON of bodies and frames is altered.
    Json(Alter),
    /// The JSON of bodies and frames is written in another form.
    Form(Form),
    /// How the body is delimited.
    Framing(Framing),
    /// The body is compressed.
    Coding(Coding),
    /// Interim responses come first.
    Interim(&'static str),
    /// What becomes of the connection.
    Connection(Closing),
    /// The bytes go out in pieces of this size, each by itself, this many ms apart.
    Pieces(usize, u64),
    /// So many ms pass before the response.
    Delay(u64),
    /// So many ms pass between the head and the body.
    DelayBody(u64),
    /// The response to a query is, for once, the one before.
    Lag,
    /// The results of a query whose order nothing says are in the opposite one.
    Turned,
    /// Frames are late by so many ms.
    FramesLate(u64),
    /// Events are gathered for so many ms and come in one frame.
    FramesMerged(u64),
    /// Frames come in fragments of this size.
    Fragments(usize),
    /// A ping comes before each frame.
    Pings,
    /// The service does something else.
    Freedom(fn(&mut Freedom)),
}

/// How the letters of a name are written.
#[derive(Clone, Copy, Debug)]
enum Letters {
    Lower,
    Upper,
    Title,
    Mixed,
}

/// The order of headers, or of the fields of an object.
#[derive(Clone, Copy, Debug)]
enum Order {
    Reverse,
    Sorted,
    Rotated,
}

/// How a body is delimited.
#[derive(Clone, Copy, Debug)]
enum Framing {
    Length,
    /// The size of chunks, what follows the size, the trailer, and how the coding is spelt.
    Chunks(usize, &'static str, &'static str, &'static str),
    /// The connection ends with the body.
    UntilClose,
}

/// How a body is compressed.
#[derive(Clone, Copy, Debug)]
enum Coding {
    Gzip,
    XGzip,
    Deflate,
    Identity,
}

/// What becomes of a connection.
#[derive(Clone, Copy, Debug)]
enum Closing {
    /// It ends after each response, which says so.
    Announced,
    /// It ends after each response, without a word.
    Silent,
    /// It ends after so many ms without a request.
    Idle(u64),
    /// It ends after so many responses, without a word.
    After(usize),
}

/// What the service itself is free to choose; the default is the reference's own choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Freedom {
    /// The index of the first member of a session.
    pub(super) first_index: u32,
    /// The change number of a new session.
    pub(super) first_change: u64,
    /// By how much a change raises the change number.
    pub(super) change_step: u64,
    /// Whether the steps of change numbers differ.
    pub(super) is_uneven: bool,
}

impl Default for Freedom {
    fn default() -> Self {
        Self {
            first_index: 0,
            first_change: 1,
            change_step: 1,
            is_uneven: false,
        }
    }
}

impl Freedom {
    /// The change number after another.
    pub(super) fn next_change(&self, number: u64) -> u64 {
        let more = if self.is_uneven { number % 7 } else { 0 };
        number + self.change_step + more
    }
}

/// The variations of the table, then the readings of contested rules that are not the reference's own.
pub fn all() -> Vec<Variation> {
    let rows = table::rows().map(|row| Variation {
        id: row.id.to_owned(),
        text: row.text.to_owned(),
        source: row.source.to_owned(),
        kind: row.kind,
    });
    let rules = Rules::table().iter().filter(|rule| rule.kind == RuleKind::Contested);
    let readings = rules.flat_map(|rule| {
        let others = rule.readings.iter().filter(|(name, _)| *name != rule.default);
        others.map(|(name, meaning)| Variation {
            id: format!("{}={name}", rule.id),
            text: format!("{} {meaning}", rule.question),
            source: rule.id.to_owned(),
            kind: READING,
        })
    });
    rows.chain(readings).collect()
}

fn find(id: &str) -> Option<&'static Row> {
    table::rows().find(|row| row.id == id)
}

/// Puts the configured variations in force that the rules make.
pub(super) fn vary_rules(config: &Config, rules: &mut Rules) -> Result<(), ConfigError> {
    for id in &config.variations {
        match (find(id), id.split_once('=')) {
            (Some(row), _) => {
                for act in row.does {
                    if let Act::Freedom(change) = act {
                        change(&mut rules.freedom);
                    }
                }
            }
            (None, Some((rule, reading))) if is_contested(rule) => rules
                .set(rule, reading)
                .map_err(|error| ConfigError::new("variations", error.to_string()))?,
            (None, _) => {
                return Err(ConfigError::new("variations", format!("there is no variation `{id}`")));
            }
        }
    }
    Ok(())
}

fn is_contested(id: &str) -> bool {
    let mut rules = Rules::table().iter();
    rules.any(|rule| rule.id == id && rule.kind == RuleKind::Contested)
}

/// The edge with the configured variations that are made on the way; `None` for none.
pub(super) fn on_the_way(config: &Config) -> Option<Arc<Edge>> {
    let rows: Vec<&'static Row> = config.variations.iter().filter_map(|id| find(id)).collect();
    let is_way = |row: &&'static Row| row.does.iter().any(|act| !matches!(act, Act::Freedom(_)));
    let rows: Vec<_> = rows.into_iter().filter(is_way).collect();
    (!rows.is_empty()).then(|| Arc::new(Edge::new(rows)))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_variation_has_an_id_of_its_own_and_a_source() {
        let mut seen = HashSet::new();
        for variation in all() {
            assert!(seen.insert(variation.id.clone()), "{}", variation.id);
            assert!(!variation.source.is_empty(), "{}", variation.id);
        }
        assert!(seen.len() >= 120, "{}", seen.len());
    }

    #[test]
    fn an_unknown_variation_is_refused() {
        for id in ["nicer", "X-999=nicer", "X-02=nicer", "SES-MERGE-001=broken"] {
            let config = Config {
                variations: vec![id.to_owned()],
                ..Config::default()
            };
            let error = vary_rules(&config, &mut Rules::default()).unwrap_err();
            assert_eq!(error.path(), "variations", "{id}");
        }
    }
}
