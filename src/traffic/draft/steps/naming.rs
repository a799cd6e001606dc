//! Names for what a capture is about: people, sessions and templates.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::Value;

use crate::traffic::Passed;
use crate::traffic::draft::names::{Place, guids, is_guid};
use crate::traffic::draft::steps::{Session, Writer, leaves, service_config};
use crate::traffic::draft::{Address, address, json as parse, referred, session_of, strings};

impl Writer<'_> {
    /// Users and their titles.
    pub(super) fn name_people(&mut self) {
        for (xuid, name) in &self.cast.xuids {
            self.names.add(xuid, format!("{name}.xuid"), 0);
        }
        for (tag, name) in &self.cast.gamertags {
            self.names.add(tag, format!("{name}.gamertag"), 0);
        }
        for index in 0..self.entries.len() {
            let (Some(one), speaker) = (self.entry(index), self.speaker(index)) else {
                continue;
            };
            if crate::contract::world::ANONYMOUS.contains(&speaker) {
                continue;
            }
            for body in [one.request.body.as_deref().and_then(parse), parse(&one.response.body)]
                .iter()
                .flatten()
            {
                strings(body, "", &mut |key, text| {
                    let is_title = key.to_ascii_lowercase().ends_with("titleid");
                    if is_title && text.len() >= 5 && text.bytes().all(|byte| byte.is_ascii_digit()) {
                        self.names.add(text, format!("{speaker}.title"), 0);
                    }
                });
            }
        }
    }

    /// Sessions, their service config and their templates.
    pub(super) fn name_sessions(&mut self) {
        let mut addresses: Vec<([String; 3], usize)> = Vec::new();
        for (index, (_, one)) in self.entries.iter().enumerate() {
            // One that only answers name was made by the service: a name to capture.
            let body = one.request.body.as_deref().and_then(parse);
            let references = body
                .iter()
                .flat_map(|body| ["sessionRef", "originSessionRef", "targetSessionRef"].map(|key| body.get(key)));
            let named = references
                .flatten()
                .filter_map(referred)
                .map(|parts| parts.map(str::to_owned));
            let own = session_of(&one.request.path).map(|(parts, _)| parts.map(str::to_owned));
            for parts in own.into_iter().chain(named) {
                addresses.push((parts, index));
            }
        }
        let own = service_config(self.entries.iter().map(|(_, one)| *one));
        let scid = own.or_else(|| self.options.scid.clone());
        if let Some(scid) = &scid {
            self.names.add(scid, "scid", 0);
        }
        let main = addresses
            .iter()
            .map(|(parts, _)| parts)
            .find(|[own, ..]| Some(own.to_lowercase()) == scid)
            .cloned();
        for ([own, template, name], index) in addresses {
            let key = address([&own, &template, &name]);
            if Some(own.to_lowercase()) != scid || self.sessions.iter().any(|known| known.address == key) {
                continue;
            }
            self.name_template(&template, index);
            let is_main = main
                .as_ref()
                .is_some_and(|main| address([&main[0], &main[1], &main[2]]) == key);
            let is_named = is_guid(&name) || !self.is_refused(&key) || is_main && !self.is_wrong(&key);
            let given = if is_named { self.given(&key, &name) } else { None };
            let variable = match self.sessions.len() {
                0 if given.is_none() => "session".to_owned(),
                count => format!("session{}", count + 1),
            };
            if is_named && given.is_none() {
                // A word may mean something else elsewhere.
                if guids(&name).next().is_some() {
                    self.names.add(&name, format!("{variable}.name"), 0);
                } else {
                    self.names.add_placed(Place::Session, &name, format!("{variable}.name"));
                }
            }
            self.sessions.push(Session {
                address: key,
                variable,
                name,
                given,
                is_named,
            });
        }
    }

    /// The name that the case must give a session: one that stands for something else too, or that was spelt in ways
    /// that no letter case tells apart.
    pub(super) fn given(&mut self, key: &Address, name: &str) -> Option<String> {
        if let Some(known) = self.names.placed(Some(Place::Session), name, 0) {
            return Some(known);
        }
        let spellings = self.spellings(key);
        let is_plain = |spelling: &String| {
            *spelling == name || *spelling == name.to_uppercase() || *spelling == name.to_lowercase()
        };
        if spellings.iter().all(is_plain) {
            return None;
        }
        // A GUID keeps the sessions of two runs apart.
        let guid = guids(name).next().map(str::to_owned);
        let label = self.names.fresh("uuid:name");
        if let Some(guid) = &guid {
            self.names.add(guid, label.clone(), 0);
        }
        for spelling in spellings {
            let mut text = self.names.text(&spelling, 0);
            if guid.is_none() {
                _ = write!(text, "-{{{label}}}");
            }
            self.names.spell(spelling, text);
        }
        self.names.placed(Some(Place::Session), name, 0)
    }

    /// How the name of a session is spelt, wherever it is named.
    pub(super) fn spellings(&self, key: &Address) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for (_, one) in self.entries {
            let bodies = [one.request.body.as_deref().and_then(parse), parse(&one.response.body)];
            let references = bodies.iter().flatten().flat_map(|body| {
                let references = ["sessionRef", "originSessionRef", "targetSessionRef"].map(|key| body.get(key));
                references.into_iter().flatten().filter_map(referred)
            });
            let own = session_of(&one.request.path).map(|(parts, _)| parts);
            let all = own.into_iter().chain(references);
            found.extend(
                all.filter(|parts| address(*parts) == *key)
                    .map(|[.., name]| name.to_owned()),
            );
        }
        found
    }

    /// Whether a read without fault was refused as a bad request, for which only the name is left as a reason.
    pub(super) fn is_wrong(&self, key: &Address) -> bool {
        let is_bad =
            |one: &Passed| one.response.status == 400 && one.request.method == "GET" && one.version().is_some();
        let mut own = self.entries.iter().map(|(_, one)| *one);
        own.any(|one| {
            is_bad(one)
                && session_of(&one.request.path).is_some_and(|(parts, rest)| rest.is_empty() && address(parts) == *key)
        })
    }

    /// Whether a session was never there.
    pub(super) fn is_refused(&self, key: &Address) -> bool {
        let own = self.entries.iter().map(|(_, one)| *one);
        let mut own = own.filter(|one| session_of(&one.request.path).is_some_and(|(parts, _)| address(parts) == *key));
        own.all(|one| one.response.status >= 400)
    }

    /// Finds the suite's template that plays a template of the capture.
    pub(super) fn name_template(&mut self, template: &str, index: usize) {
        let key = template.to_lowercase();
        // One that the service does not know plays no part.
        if self.templates.contains_key(&key) || !self.is_known(template) {
            return;
        }
        let world = self.suite.world();
        let of_target = self.options.target.and_then(|target| {
            let mut known = target.templates.iter();
            known
                .find(|(_, theirs)| theirs.eq_ignore_ascii_case(template))
                .map(|(ours, _)| ours.clone())
        });
        let same = world
            .templates
            .keys()
            .find(|name| name.eq_ignore_ascii_case(template))
            .cloned();
        let known = of_target.or(same);
        let name = known.clone().unwrap_or_else(|| {
            let first = self.entries.iter().skip(index).find_map(|(_, one)| {
                let (parts, _) = session_of(&one.request.path)?;
                let document = parse(&one.response.body).filter(|_| one.response.status < 300)?;
                (parts[1].eq_ignore_ascii_case(template)).then(|| document.pointer("/constants/system").cloned())?
            });
            let likely = first.as_ref().map(|constants| self.likeliest(constants));
            let name = likely.flatten().unwrap_or_else(|| "open".to_owned());
            self.hints.push(format!(
                "the suite has no template `{template}`; the draft uses `{name}`: compare the constants (`list templates`)"
            ));
            name
        });
        self.names
            .add_placed(Place::Template, template, format!("templates.{name}"));
        self.templates.insert(key, name);
    }

    /// Whether the service knows a template: what is asked of its sessions is found, or what refers to it accepted.
    pub(super) fn is_known(&self, template: &str) -> bool {
        let mut own = self.entries.iter().filter_map(|(_, one)| {
            let asked = session_of(&one.request.path).map(|(parts, _)| parts[1].eq_ignore_ascii_case(template));
            let refers = || {
                let body = one.request.body.as_deref().and_then(parse)?;
                let references =
                    ["sessionRef", "originSessionRef", "targetSessionRef"].map(|key| body.get(key).cloned());
                let mut references = references.into_iter().flatten();
                Some(references.any(|reference| {
                    referred(&reference).is_some_and(|[_, name, _]| name.eq_ignore_ascii_case(template))
                }))
            };
            let status = one.response.status;
            match asked {
                Some(true) => Some(status != 404),
                Some(false) => None,
                None => refers().unwrap_or_default().then_some(status < 400),
            }
        });
        own.any(|is_found| is_found)
    }

    /// The template of the suite that says most of what a session's constants are, and nothing else.
    pub(super) fn likeliest(&self, constants: &Value) -> Option<String> {
        let world = self.suite.world();
        let fits = world.templates.iter().filter_map(|(name, template)| {
            let system = template.constants.get("system")?;
            let said = leaves(system);
            let holds = said
                .iter()
                .all(|(pointer, value)| constants.pointer(pointer) == Some(*value));
            (holds && template.role_types.is_null()).then_some((said.len(), name))
        });
        // Of those that say as much, the plain one.
        let best = fits.max_by_key(|(count, name)| (*count, name.as_str() == "open", std::cmp::Reverse(name.len())));
        best.map(|(_, name)| name.clone())
    }
}
