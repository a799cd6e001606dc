//! The manifest: what a run of the whole suite against the reference does, case by case, as it was recorded.
//!
//! Nothing is green because nothing ran: what the suite asks may grow at any time, and shrinks only when somebody
//! records that it does.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::contract::Suite;
use crate::contract::case::strength::{self, Strength};
use crate::contract::case::{Action, Script};
use crate::contract::files::Files;
use crate::contract::json::problem::{Place, Problem};
use crate::contract::json::{self, Fields, Item, Problems};

/// Where it is kept, beside the conversations that are recorded with it.
pub const FILE: &str = "snapshots/manifest.json";
/// Schemas of the project's own files, which judge no service.
pub const OWN_SCHEMAS: [&str; 16] = [
    "case",
    "clauses",
    "deviations",
    "faults",
    "invariants",
    "ledger",
    "manifest",
    "matcher",
    "operations",
    "proof",
    "report",
    "sources",
    "target",
    "templates",
    "version",
    "world",
];
const RECORD: &str = "if this is intended, record it with `run --suite . --snapshots record`";

/// What was recorded of a suite.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    /// Those of the contract's documents, by name.
    schemas: BTreeMap<String, Strength>,
    /// By what they say.
    invariants: BTreeMap<String, Strength>,
    /// By the variant's id.
    cases: BTreeMap<String, Entry>,
}

/// What was recorded of a variant of a case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Entry {
    strength: Strength,
    exchanges: usize,
    /// `None` where requests race: what is asserted of the answers depends on which of them wins.
    assertions: Option<usize>,
}

/// What a variant of a case did in a run; one that has failed is none, for it did not come to its end.
#[derive(Clone, Copy, Debug)]
pub struct Ran<'a> {
    /// The variant's id.
    pub id: &'a str,
    /// The exchanges it made.
    pub exchanges: usize,
    /// The assertions it made.
    pub assertions: usize,
}

impl Manifest {
    /// Reads what was recorded of a suite; `None` when nothing was.
    pub fn read(files: &Files) -> Result<Option<Self>, Vec<Problem>> {
        let Some(text) = files.get(FILE) else { return Ok(None) };
        let root = json::parse(FILE, text).map_err(|problem| vec![problem])?;
        let problems = Problems::new(FILE);
        let manifest = read(Item::root(&root, &problems));
        match manifest {
            Some(manifest) if problems.is_empty() => Ok(Some(manifest)),
            _ => Err(problems.into_vec()),
        }
    }

    /// What is missing in a suite, or asks for less than was recorded.
    pub fn weakened(&self, suite: &Suite) -> Vec<Problem> {
        let mut problems = Vec::new();
        let now = strengths(suite);
        let entries = self.cases.iter().map(|(id, entry)| (id, entry.strength));
        let recorded = [
            ("cases", entries.collect::<BTreeMap<_, _>>()),
            (
                "invariants",
                self.invariants.iter().map(|(id, strength)| (id, *strength)).collect(),
            ),
            (
                "schemas",
                self.schemas.iter().map(|(id, strength)| (id, *strength)).collect(),
            ),
        ];
        for (kind, recorded) in recorded {
            for (id, recorded) in recorded {
                let message = match now.get(kind).and_then(|now| now.get(id)) {
                    None => format!("`{id}` is recorded but no longer in the suite"),
                    Some(now) if now.is_below(recorded) => format!(
                        "`{id}` is weaker than recorded: it requires {} values and leaves {} open, previously {} and {}",
                        now.asks, now.allows, recorded.asks, recorded.allows
                    ),
                    Some(_) => continue,
                };
                problems.push(Problem {
                    file: FILE.to_owned(),
                    place: Place::Key(format!("/{kind}/{}", json::escape(id))),
                    message,
                    expected: RECORD.to_owned(),
                });
            }
        }
        problems
    }

    /// How many parts of a suite are new, or stronger than was recorded.
    pub fn grown(&self, suite: &Suite) -> usize {
        let recorded = |kind: &str, id: &str| match kind {
            "cases" => self.cases.get(id).map(|entry| entry.strength),
            "invariants" => self.invariants.get(id).copied(),
            _ => self.schemas.get(id).copied(),
        };
        let now = strengths(suite);
        let parts = now
            .iter()
            .flat_map(|(kind, parts)| parts.iter().map(move |(id, now)| (kind, id, now)));
        parts
            .filter(|(kind, id, now)| recorded(kind, id) != Some(**now))
            .count()
    }

    /// The cases that did less than was recorded; `is_whole` says that all cases were to run.
    pub fn fallen_short(&self, ran: &[Ran<'_>], failed: &BTreeSet<&str>, is_whole: bool) -> Vec<String> {
        let done: BTreeMap<&str, &Ran<'_>> = ran.iter().map(|ran| (ran.id, ran)).collect();
        let mut short = Vec::new();
        for (id, entry) in &self.cases {
            let (exchanges, assertions) = match done.get(id.as_str()) {
                Some(ran) => (ran.exchanges, ran.assertions),
                None if is_whole && !failed.contains(id.as_str()) => (0, 0),
                None => continue,
            };
            let asserted = entry.assertions.unwrap_or_default();
            if exchanges < entry.exchanges || assertions < asserted {
                short.push(format!(
                    "{id}: {exchanges} of {} exchanges, {assertions} of {asserted} assertions",
                    entry.exchanges
                ));
            }
        }
        short
    }

    /// What is to be recorded after a run: of cases that did not run, what was recorded of them before.
    #[must_use]
    pub fn recorded(&self, suite: &Suite, ran: &[Ran<'_>]) -> Self {
        let done: BTreeMap<&str, &Ran<'_>> = ran.iter().map(|ran| (ran.id, ran)).collect();
        let mut cases = BTreeMap::new();
        for case in suite.cases() {
            for (variant, script) in case.scripts().with(case) {
                let entry = match done.get(variant.id.as_str()) {
                    Some(ran) => Entry {
                        strength: strength::of_variant(variant, script),
                        exchanges: ran.exchanges,
                        assertions: (!races(script)).then_some(ran.assertions),
                    },
                    None => match self.cases.get(&variant.id) {
                        Some(entry) => *entry,
                        None => continue,
                    },
                };
                cases.insert(variant.id.clone(), entry);
            }
        }
        Self {
            schemas: schemas(suite),
            invariants: invariants(suite),
            cases,
        }
    }

    /// The file's text.
    pub fn write(&self) -> String {
        let strength = |strength: &Strength| format!(r#"{{"asks":{},"allows":{}}}"#, strength.asks, strength.allows);
        let entry = |entry: &Entry| {
            let Entry {
                strength: Strength { asks, allows },
                exchanges,
                assertions,
            } = entry;
            let assertions = assertions.map_or(String::new(), |assertions| format!(r#","assertions":{assertions}"#));
            format!(r#"{{"asks":{asks},"allows":{allows},"exchanges":{exchanges}{assertions}}}"#)
        };
        let mut text = "{\n  \"$schema\": \"../schemas/manifest.schema.json\"".to_owned();
        section(&mut text, "schemas", &self.schemas, strength);
        section(&mut text, "invariants", &self.invariants, strength);
        section(&mut text, "cases", &self.cases, entry);
        text.push_str("\n}\n");
        text
    }
}

/// A member of the file with a line for each part.
fn section<T>(text: &mut String, name: &str, parts: &BTreeMap<String, T>, write: impl Fn(&T) -> String) {
    // Writing to a string cannot fail.
    let _ = write!(text, ",\n  \"{name}\": {{");
    for (index, (id, part)) in parts.iter().enumerate() {
        let comma = if index > 0 { "," } else { "" };
        let _ = write!(
            text,
            "{comma}\n    {}: {}",
            serde_json::Value::from(id.as_str()),
            write(part)
        );
    }
    text.push_str("\n  }");
}

/// The strength of each part of a suite, by its kind and id.
fn strengths(suite: &Suite) -> BTreeMap<&'static str, BTreeMap<String, Strength>> {
    let mut cases = BTreeMap::new();
    for case in suite.cases() {
        let scripts = case.scripts();
        let strengths = scripts.with(case);
        cases.extend(strengths.map(|(variant, script)| (variant.id.clone(), strength::of_variant(variant, script))));
    }
    [
        ("cases", cases),
        ("invariants", invariants(suite)),
        ("schemas", schemas(suite)),
    ]
    .into()
}

fn invariants(suite: &Suite) -> BTreeMap<String, Strength> {
    let strength = |invariant| strength::of_invariant(invariant);
    let invariants = suite.invariants().iter();
    invariants
        .map(|invariant| (invariant.about.clone(), strength(invariant)))
        .collect()
}

fn schemas(suite: &Suite) -> BTreeMap<String, Strength> {
    let strength = |(file, text): (&str, &str)| {
        let name = file.trim_start_matches("schemas/").strip_suffix(".schema.json")?;
        let schema = json::parse(file, text).ok()?;
        (!OWN_SCHEMAS.contains(&name)).then(|| (name.to_owned(), strength::of_schema(&schema)))
    };
    suite.files().under("schemas/").filter_map(strength).collect()
}

/// Whether requests are sent at once, so that what they come to is not the same in every run.
fn races(script: &Script) -> bool {
    let mut steps = script.steps();
    steps.any(|step| matches!(step.action, Action::Together(_)))
}

fn read(file: Item<'_>) -> Option<Manifest> {
    let fields = file.object(&["$schema", "schemas", "invariants", "cases"])?;
    let strengths = |key| {
        let entries = fields.require(key)?.members(|id, item| {
            let strength = read_strength(item.object(&["asks", "allows"])?)?;
            Some((id.to_owned(), strength))
        })?;
        Some(entries.into_iter().collect())
    };
    let cases = fields.require("cases")?.members(|id, item| {
        let fields = item.object(&["asks", "allows", "exchanges", "assertions"])?;
        let entry = Entry {
            strength: read_strength(fields)?,
            exchanges: read_count(fields.require("exchanges")?)?,
            assertions: fields
                .get("assertions")
                .map_or(Some(None), |item| read_count(item).map(Some))?,
        };
        Some((id.to_owned(), entry))
    })?;
    Some(Manifest {
        schemas: strengths("schemas")?,
        invariants: strengths("invariants")?,
        cases: cases.into_iter().collect(),
    })
}

fn read_strength(fields: Fields<'_, '_>) -> Option<Strength> {
    Some(Strength {
        asks: read_count(fields.require("asks")?)?,
        allows: read_count(fields.require("allows")?)?,
    })
}

fn read_count(item: Item<'_>) -> Option<usize> {
    usize::try_from(item.unsigned()?).ok()
}
