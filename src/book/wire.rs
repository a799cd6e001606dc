//! What was seen on the wire, by operation and status.

use std::collections::{BTreeMap, BTreeSet};

use crate::contract::Suite;
use crate::contract::version::ContractVersion;
use crate::snapshot::example::Example;
use crate::snapshot::sections;

/// The recorded exchanges, one for each operation and status.
#[derive(Debug, Default)]
pub(super) struct Wire<'a> {
    seen: BTreeMap<Key, Seen<'a>>,
}

/// An operation's id, the verb and the status.
type Key = (String, String, u16);

/// What was seen of one kind of answer.
#[derive(Debug)]
pub(super) struct Seen<'a> {
    /// The exchange that shows it best.
    pub(super) example: Example<'a>,
    /// How little it does: of an older contract, of a case about something else, long.
    rank: (bool, bool, usize),
    /// The headers of all these answers.
    pub(super) headers: BTreeSet<String>,
}

impl<'a> Wire<'a> {
    /// Reads every recorded conversation.
    pub(super) fn new(suite: &'a Suite, tested: &BTreeMap<&'a str, Vec<&'a str>>) -> Self {
        let mut seen: BTreeMap<Key, Seen<'a>> = BTreeMap::new();
        let current = ContractVersion::CURRENT.to_string();
        for case in suite.cases() {
            let Some(file) = suite.files().snapshot(&case.id) else {
                continue;
            };
            for exchange in sections(&file).into_iter().flat_map(|section| section.exchanges) {
                let (request, Some(response)) = (exchange.request(), exchange.response()) else {
                    continue;
                };
                let Some((verb, path)) = request.line.split_once(' ') else {
                    continue;
                };
                let (Some(operation), Ok(status)) = (suite.schemas().operation(verb, path), response.line.parse())
                else {
                    continue;
                };
                let is_tested = operation
                    .clauses(status)
                    .iter()
                    .filter_map(|id| suite.clause(id))
                    .any(|clause| {
                        let cases = tested.get(clause.id.as_str());
                        cases.is_some_and(|cases| cases.contains(&case.id.as_str()))
                    });
                let is_current = request.headers.contains(&("X-Xbl-Contract-Version", current.as_str()));
                let rank = (!is_current, !is_tested, exchange.text.len());
                let names: Vec<String> = response.headers.iter().map(|(name, _)| (*name).to_owned()).collect();
                let key = (operation.path().id.clone(), verb.to_owned(), status);
                let known = seen.entry(key).or_insert_with(|| Seen {
                    example: Example {
                        case: &case.id,
                        exchange: exchange.clone(),
                    },
                    rank,
                    headers: BTreeSet::new(),
                });
                known.headers.extend(names);
                if rank < known.rank {
                    known.rank = rank;
                    known.example = Example {
                        case: &case.id,
                        exchange,
                    };
                }
            }
        }
        Self { seen }
    }

    /// What was seen of an operation's answers with a status.
    pub(super) fn seen(&self, operation: &str, verb: &str, status: u16) -> Option<&Seen<'a>> {
        self.seen.get(&(operation.to_owned(), verb.to_owned(), status))
    }
}
