//! The case as a whole: its title, clauses, sessions and hints.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::contract::version::ContractVersion;
use crate::traffic::draft::steps::{MANY, NO_CLAUSE, Session, Writer, joined};
use crate::traffic::draft::{Address, address, session_of};

impl Writer<'_> {
    pub(super) fn case(&mut self, steps: Vec<Value>) -> Value {
        let mut speakers: Vec<&str> = Vec::new();
        for index in 0..self.entries.len() {
            let speaker = self.speaker(index);
            if !speakers.contains(&speaker) {
                speakers.push(speaker);
            }
        }
        let mut case = Map::new();
        case.insert("$schema".to_owned(), "../../schemas/case.schema.json".into());
        let count = self.entries.len();
        let requests = if count == 1 {
            "1 request gets the recorded response".to_owned()
        } else {
            format!("{count} requests get the recorded responses")
        };
        case.insert(
            "title".to_owned(),
            format!("Captured exchanges of {}: {requests}.", joined(&speakers)).into(),
        );
        let mut clauses = self.clauses.clone();
        clauses.truncate(MANY);
        if clauses.is_empty() {
            let mut statuses = self.entries.iter().map(|(_, one)| one.response.status);
            let likely = statuses.find_map(|status| self.suggestions.likely(status));
            let id = likely.unwrap_or(NO_CLAUSE);
            self.hints.push(format!(
                "the tested clause could not be derived; replace `{id}` by one of `list clauses`"
            ));
            clauses.push(id.to_owned());
        }
        case.insert("clauses".to_owned(), json!(clauses));
        if self.version != ContractVersion::CURRENT {
            case.insert("versions".to_owned(), json!([self.version.number()]));
        }
        let template = |address: &Address| {
            self.templates
                .get(&address.1)
                .cloned()
                .unwrap_or_else(|| "open".to_owned())
        };
        let (main, others): (Vec<_>, Vec<_>) = self.sessions.iter().partition(|one| one.variable == "session");
        if let Some(main) = main.first() {
            let template = template(&main.address);
            if template != "open" {
                case.insert("template".to_owned(), template.into());
            }
        }
        let others: Map<String, Value> = others
            .iter()
            .filter(|one| one.is_named || one.given.is_some())
            .map(|one| {
                let mut told = json!({ "template": template(&one.address) });
                if let Some(given) = &one.given {
                    told["name"] = given.as_str().into();
                }
                (one.variable.clone(), told)
            })
            .collect();
        if !others.is_empty() {
            case.insert("sessions".to_owned(), Value::Object(others));
        }
        // A session that is named after somebody is there once.
        let owners = self
            .sessions
            .iter()
            .filter_map(|one| one.given.as_deref()?.strip_prefix('{')?.strip_suffix(".xuid}"));
        let owners: BTreeSet<&str> = owners.collect();
        if !owners.is_empty() {
            case.insert("exclusive".to_owned(), json!(owners));
        }
        let known = |speaker: &&str| !crate::contract::world::ANONYMOUS.contains(speaker);
        if let Some(observer) = speakers.iter().copied().find(known)
            && speakers.first() != Some(&observer)
        {
            case.insert("observer".to_owned(), observer.into());
        }
        self.hint_at_beginning();
        case.insert("steps".to_owned(), Value::Array(steps));
        Value::Object(case)
    }

    /// A capture that begins in the middle cannot be replayed as it is.
    pub(super) fn hint_at_beginning(&mut self) {
        for Session {
            address: key, variable, ..
        } in &self.sessions
        {
            let own = self.entries.iter().map(|(_, one)| *one);
            let mut own =
                own.filter(|one| session_of(&one.request.path).is_some_and(|(parts, _)| address(parts) == *key));
            let is_there = own.next().is_some_and(|one| one.response.status == 200);
            if is_there {
                self.hints.push(format!(
                    "`{{{variable}}}` existed before the capture began: add the steps that create it"
                ));
            }
        }
    }
}
