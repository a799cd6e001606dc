//! Who may do what: random people and operations against the reference and against a model that is only a table.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tokio::runtime::Builder;

use crate::service::{Dice, Reference, session};

/// How many operations are tried; `MPSD_OPERATIONS` asks for more.
const OPERATIONS: usize = 6_000;
const SLOTS: usize = 4;

/// Somebody of the model: name, xuid and device.
const PEOPLE: [(&str, u64, &str); 7] = [
    ("alice", 1, "a"),
    ("ann", 2, "a"),
    ("bob", 3, "b"),
    ("fay", 4, "f"),
    ("gus", 5, "g"),
    ("otto", 6, "o"),
    ("nobody", 0, ""),
];
/// Who follows whom.
const FOLLOWS: [(&str, &str); 3] = [("alice", "fay"), ("bob", "gus"), ("gus", "alice")];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Reserved,
    Inactive,
    Active,
}

#[derive(Clone, Copy, Debug)]
enum Operation {
    Read,
    Join { active: bool },
    Write,
    Leave,
    Reserve(&'static str),
}

/// The session as the model knows it.
#[derive(Clone, Debug)]
struct Model {
    visibility: &'static str,
    join: &'static str,
    read: &'static str,
    closed: bool,
    members: BTreeMap<&'static str, Standing>,
}

impl Model {
    fn device(who: &str) -> &'static str {
        PEOPLE
            .iter()
            .find(|(name, _, _)| *name == who)
            .map_or("", |(_, _, device)| device)
    }

    /// Whether a restriction lets somebody through who has no place yet.
    fn passes(&self, restriction: &str, who: &str) -> bool {
        let is_local = self
            .members
            .iter()
            .any(|(member, standing)| *standing == Standing::Active && Self::device(member) == Self::device(who));
        let is_followed = self
            .members
            .iter()
            .any(|(member, standing)| *standing != Standing::Reserved && FOLLOWS.contains(&(member, who)));
        match restriction {
            "none" => true,
            "local" => is_local,
            _ => is_local || is_followed,
        }
    }

    fn may_read(&self, who: &str) -> bool {
        match (self.members.contains_key(who), self.visibility) {
            (true, _) | (_, "visible") => true,
            (_, "open") => self.passes(self.read, who),
            _ => false,
        }
    }

    fn may_join(&self, who: &str) -> bool {
        self.members.contains_key(who)
            || self.visibility == "open" && !self.closed && self.members.len() < SLOTS && self.passes(self.join, who)
    }

    /// Whether an operation is let through, and what it leaves behind; `None` where the documents leave it open.
    fn apply(&mut self, who: &'static str, operation: Operation) -> Option<bool> {
        let accepted = |standing: Option<&Standing>| match standing {
            Some(Standing::Active) => Standing::Active,
            _ => Standing::Inactive,
        };
        match operation {
            _ if who == "nobody" || who == "otto" => Some(false),
            Operation::Read => Some(self.may_read(who)),
            Operation::Join { active } => {
                let is_let_in = self.may_join(who);
                if is_let_in {
                    let standing = if active {
                        Standing::Active
                    } else {
                        accepted(self.members.get(who))
                    };
                    self.members.insert(who, standing);
                }
                Some(is_let_in)
            }
            Operation::Write => {
                let is_let_in = self.may_join(who);
                if is_let_in {
                    self.members.insert(who, accepted(self.members.get(who)));
                }
                Some(is_let_in)
            }
            Operation::Leave => self.members.remove(who).map(|_| true),
            Operation::Reserve(whom) => match self.members.get(who) {
                Some(Standing::Active | Standing::Inactive) => {
                    let has_place = self.members.contains_key(whom) || self.members.len() < SLOTS;
                    if has_place {
                        self.members.entry(whom).or_insert(Standing::Reserved);
                    }
                    Some(has_place)
                }
                _ => None,
            },
        }
    }

    /// What a service principal would read.
    fn seen(document: &Value) -> BTreeMap<String, Standing> {
        let members = document["members"].as_object().into_iter().flatten();
        members
            .map(|(_, member)| {
                let xuid = member["constants"]["system"]["xuid"].as_str().unwrap_or_default();
                let name = PEOPLE
                    .iter()
                    .find(|(_, known, _)| known.to_string() == xuid)
                    .map_or("?", |(name, _, _)| name);
                let standing = match (&member["reserved"], &member["properties"]["system"]["active"]) {
                    (Value::Bool(true), _) => Standing::Reserved,
                    (_, Value::Bool(true)) => Standing::Active,
                    _ => Standing::Inactive,
                };
                (name.to_owned(), standing)
            })
            .collect()
    }
}

#[test]
fn the_reference_and_a_table_agree_on_who_may_do_what() {
    let operations = std::env::var("MPSD_OPERATIONS")
        .ok()
        .and_then(|count| count.parse().ok())
        .unwrap_or(OPERATIONS);
    let runtime = Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime starts");
    runtime.block_on(run(operations));
}

async fn run(operations: usize) {
    let mut principals = serde_json::Map::new();
    for (name, xuid, device) in PEOPLE.iter().filter(|(name, _, _)| *name != "nobody") {
        let title = if *name == "otto" { "2" } else { "1" };
        principals.insert(
            (*name).to_owned(),
            json!({"xuid": xuid.to_string(), "device": device, "title": title}),
        );
    }
    principals.insert("server".to_owned(), json!({"kind": "server", "title": "1"}));
    let mut follows: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (who, whom) in FOLLOWS {
        follows.entry(who).or_default().push(whom);
    }
    let template = json!({"t": {"constants": {"system": {
        "version": 1, "maxMembersCount": SLOTS, "inactiveRemovalTimeout": 600_000, "reservedRemovalTimeout": 600_000
    }}}});
    let reference = Reference::new(&Value::Object(principals), &json!({"follows": follows}), &template);
    let mut dice = Dice::new(20_260_101);
    let mut done = 0;
    let mut number = 0;
    while done < operations {
        number += 1;
        let (visibility, (join, read), closed) = (
            *dice.pick(&["open", "open", "open", "visible", "private"]),
            *dice.pick(&[
                ("none", "none"),
                ("local", "none"),
                ("local", "local"),
                ("followed", "followed"),
                ("followed", "none"),
            ]),
            dice.roll(4) == 0,
        );
        let mut model = Model {
            visibility,
            join,
            read,
            closed,
            members: BTreeMap::from([("alice", Standing::Active)]),
        };
        let path = session("t", &format!("model-{number}"));
        let body = json!({
            "constants": {"system": {"visibility": visibility}},
            "properties": {"system": {"joinRestriction": join, "readRestriction": read, "closed": closed}},
            "members": {"me": {"properties": {"system": {"active": true}}}}
        });
        let created = reference.ask("alice", "PUT", &path, Some(&body)).await;
        assert_eq!(created.status, 201, "{body}");
        for _ in 0..24 {
            done += 1;
            let who = dice.pick(&PEOPLE).0;
            let operation = match dice.roll(9) {
                0 | 1 => Operation::Read,
                2 | 3 => Operation::Join { active: true },
                4 => Operation::Join { active: false },
                5 | 6 => Operation::Write,
                7 => Operation::Leave,
                _ => Operation::Reserve(["ann", "bob", "fay", "gus"][dice.roll(4)]),
            };
            let before = model.clone();
            let Some(expected) = model.apply(who, operation) else {
                continue;
            };
            let answer = send(&reference, &path, who, operation, done).await;
            let is_let_through = answer < 300;
            assert_eq!(
                is_let_through, expected,
                "{who} {operation:?} got {answer} on {before:?}"
            );
            let document = reference.ask("server", "GET", &path, None).await;
            if model.members.is_empty() {
                assert_ne!(document.status, 200, "an empty session is still there");
                break;
            }
            let expected: BTreeMap<String, Standing> = model
                .members
                .iter()
                .map(|(name, standing)| ((*name).to_owned(), *standing))
                .collect();
            assert_eq!(
                Model::seen(&document.json()),
                expected,
                "{who} {operation:?} on {before:?}"
            );
        }
    }
}

async fn send(reference: &Reference, path: &str, who: &str, operation: Operation, number: usize) -> u16 {
    let body = match operation {
        Operation::Read => return reference.ask(who, "GET", path, None).await.status,
        Operation::Leave => {
            return reference
                .ask(who, "DELETE", &format!("{path}/members/me"), None)
                .await
                .status;
        }
        Operation::Join { active: true } => json!({"members": {"me": {"properties": {"system": {"active": true}}}}}),
        Operation::Join { active: false } => json!({"members": {"me": {}}}),
        Operation::Write => json!({"properties": {"custom": {"number": number}}}),
        Operation::Reserve(whom) => {
            let xuid = PEOPLE
                .iter()
                .find(|(name, _, _)| *name == whom)
                .map_or(0, |(_, xuid, _)| *xuid);
            json!({"members": {"reserve_0": {"constants": {"system": {"xuid": xuid.to_string()}}}}})
        }
    };
    reference.ask(who, "PUT", path, Some(&body)).await.status
}
