//! Writing the server entries of a session: server principals do, and all see them.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::field::At;
use super::merge::{self, same};
use super::model::{Server, Servers};
use super::properties::read_matchmaking_result;
use super::refusal::Refusal;
use super::request::Bag;
use crate::rules::Rules;

/// Merges the `servers` of a request and says whether anything changed (SES-SERVER-002, 003, 007).
pub(super) fn merge(servers: &mut Servers, asked: &Map<String, Value>, rules: &Rules) -> Result<bool, Refusal> {
    let at = At::ROOT.then("servers");
    let mut changed = false;
    for (name, value) in asked {
        let at = at.then(name);
        let position = servers.iter().position(|(own, _)| own == name);
        if value.is_null() {
            if let Some(position) = position {
                servers.remove(position);
                changed = true;
            }
            continue;
        }
        let stored = position.and_then(|position| servers.get(position));
        let mut server = stored.map_or_else(Server::new, |(_, server)| Server::clone(server));
        server.merge(name, value, stored.is_none(), rules, &at)?;
        match position.and_then(|position| servers.get_mut(position)) {
            Some((_, own)) if **own == server => {}
            Some((_, own)) => {
                *own = Arc::new(server);
                changed = true;
            }
            None => {
                servers.push((name.clone(), Arc::new(server)));
                changed = true;
            }
        }
    }
    Ok(changed)
}

impl Server {
    fn merge(&mut self, name: &str, value: &Value, is_new: bool, rules: &Rules, at: &At<'_>) -> Result<(), Refusal> {
        for (key, value) in at.object(value)? {
            let at = at.then(key);
            let bag = Bag::read(value, &at)?;
            match key.as_str() {
                "constants" => self.add_constants(name, bag, is_new, &at)?,
                "properties" => {
                    for (field, value) in bag.system.into_iter().flatten() {
                        let at = at.then("system");
                        let at = at.then(field);
                        if name == "matchmaking" && field != "lockId" {
                            read_matchmaking_result(field, value, rules, &at)?;
                        } else if name == "matchmaking" && !value.is_null() {
                            at.text(value)?;
                        }
                        if value.is_null() {
                            self.system.shift_remove(field);
                        } else {
                            self.system.insert(field.clone(), value.clone());
                        }
                    }
                    if let Some(custom) = bag.custom.filter(|custom| !custom.is_null()) {
                        at.then("custom").object(custom)?;
                        merge::merge_custom(&mut self.custom, custom, rules);
                    }
                }
                _ => return Err(at.unknown(&["constants", "properties"])),
            }
        }
        Ok(())
    }

    /// The constants of a server are fixed when it is added.
    fn add_constants(&mut self, name: &str, bag: Bag<'_>, is_new: bool, at: &At<'_>) -> Result<(), Refusal> {
        for (key, value) in bag.system.into_iter().flatten() {
            let at = at.then("system");
            let at = at.then(key);
            if name == "arbitration" && key == "startTime" && !value.is_null() {
                at.text(value)?;
            }
            match self.constants_system.get(key) {
                Some(own) if same(own, value) => {}
                None if value.is_null() => {}
                None if is_new => {
                    self.constants_system.insert(key.clone(), value.clone());
                }
                own => return Err(at.conflict(value, own)),
            }
        }
        if let Some(custom) = bag.custom.filter(|custom| !custom.is_null()) {
            let at = at.then("custom");
            if is_new {
                self.constants_custom = custom.clone();
            } else if !same(&self.constants_custom, custom) {
                return Err(at.conflict(custom, Some(&self.constants_custom)));
            }
        }
        Ok(())
    }
}
