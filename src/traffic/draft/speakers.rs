//! Who speaks: every token is somebody, and the suite has names for them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;

use crate::contract::Suite;
use crate::contract::world::{Identity, World};
use crate::target::Target;
use crate::traffic::draft::{address, json, session_of};
use crate::traffic::{Passed, without_query};

/// The cast of a capture.
#[derive(Debug, Default)]
pub(super) struct Cast {
    /// Who spoke each entry.
    speakers: Vec<String>,
    /// The identities that users of the capture are played by, by xuid.
    pub(super) xuids: BTreeMap<String, String>,
    /// Their gamertags, by what stands for them.
    pub(super) gamertags: BTreeMap<String, String>,
}

/// What is known of somebody with a token.
#[derive(Debug, Default)]
struct Clues {
    /// Users that it may be, by how often they were the only ones.
    certain: BTreeMap<String, usize>,
    /// Those who were there whenever it had written as a member.
    possible: Option<BTreeSet<String>>,
    /// Whether it ever wrote as a member.
    is_user: bool,
    /// Whether it wrote what services write.
    is_server: bool,
    /// Whether it was ever let in.
    is_known: bool,
}

impl Cast {
    /// Who spoke an entry.
    pub(super) fn speaker(&self, place: usize) -> &str {
        self.speakers.get(place).map_or("nobody", String::as_str)
    }

    /// Finds out who spoke, as far as the capture tells.
    pub(super) fn find(suite: &Suite, target: Option<&Target>, passed: &[Passed], hints: &mut Vec<String>) -> Self {
        let world = suite.world();
        let mut tokens: Vec<&str> = Vec::new();
        for token in passed.iter().filter_map(|one| one.header("authorization")) {
            if !tokens.contains(&token) {
                tokens.push(token);
            }
        }
        let clues = clues(passed, &tokens);
        let mut cast = Self::default();
        let mut names: HashMap<&str, String> = HashMap::new();
        let mut free = understudies(world);
        let mut strangers = Vec::new();
        for token in &tokens {
            let clue = clues.get(token);
            let name = told(world, target, token).or_else(|| {
                let clue = clue?;
                if !clue.is_known {
                    return Some("unknown".to_owned());
                }
                let xuid = clue
                    .xuid()
                    .or_else(|| hash(token).filter(|hash| by_xuid(world, hash).next().is_some()))?;
                let taken: Vec<&String> = names.values().collect();
                let namesakes: Vec<&str> = by_xuid(world, &xuid).collect();
                let name = namesakes
                    .iter()
                    .copied()
                    .find(|name| !taken.iter().any(|taken| taken == name))
                    .or_else(|| namesakes.first().copied())
                    .map(str::to_owned)
                    .or_else(|| cast.xuids.get(&xuid).cloned());
                if let Some(name) = &name {
                    cast.xuids.insert(xuid, name.clone());
                }
                name
            });
            match name {
                Some(name) => {
                    free.retain(|other| other != &name);
                    names.insert(token, name);
                }
                None => strangers.push(*token),
            }
        }
        for token in strangers {
            let clue = clues.get(token);
            let xuid = clue.and_then(Clues::xuid);
            let played = xuid.as_ref().and_then(|xuid| cast.xuids.get(xuid).cloned());
            let server = || {
                world
                    .identities
                    .iter()
                    .find(|(_, identity)| identity.is_server)
                    .map(|(name, _)| name.clone())
            };
            // The tokens of services carry no user's hash.
            let is_bare = hash(token).is_some_and(|hash| matches!(hash.as_str(), "" | "0" | "-" | "*"));
            let is_server = clue.is_some_and(|clue| !clue.is_user && (clue.is_server || is_bare));
            let name = played
                .or_else(|| is_server.then(server).flatten())
                .or_else(|| (!free.is_empty()).then(|| free.remove(0)));
            let name = name.unwrap_or_else(|| {
                let number = names.len() + 1;
                hints.push(format!(
                    "the suite has no identity left for caller {number}; replace `caller{number}` under `as` by one of `list identities`"
                ));
                format!("caller{number}")
            });
            if let Some(xuid) = xuid {
                cast.xuids.entry(xuid).or_insert_with(|| name.clone());
            }
            names.insert(token, name);
        }
        let is_silent = tokens.is_empty() && passed.iter().any(|one| one.response.status < 300);
        if is_silent {
            hints.push(
                "no request has an Authorization header (the tool may have removed them); all were assigned to `alice`"
                    .to_owned(),
            );
        }
        let nobody = if is_silent {
            understudies(world).first().cloned()
        } else {
            None
        };
        let nobody = nobody.unwrap_or_else(|| "nobody".to_owned());
        cast.speakers = passed
            .iter()
            .map(|one| match one.header("authorization") {
                None => nobody.clone(),
                Some(token) => names.get(token).cloned().unwrap_or_else(|| nobody.clone()),
            })
            .collect();
        cast.adopt_sockets(passed);
        cast.add_silent(world, target, passed, free);
        cast
    }

    /// Sockets that were let in though the capture shows no token: they are whose sessions name their connection, or of
    /// whoever speaks at all.
    fn adopt_sockets(&mut self, passed: &[Passed]) {
        let is_known = |speaker: &&String| !crate::contract::world::ANONYMOUS.contains(&speaker.as_str());
        for (place, one) in passed.iter().enumerate() {
            if !one.is_socket() || one.header("authorization").is_some() {
                continue;
            }
            let frames = one
                .messages
                .iter()
                .filter_map(|message| json(message.text.as_ref()?.as_bytes()));
            let ids: Vec<String> = frames
                .filter_map(|frame| Some(frame.pointer("/4/ConnectionId")?.as_str()?.to_owned()))
                .collect();
            let says_so = |other: &Passed| {
                let body = other.request.body.as_deref().unwrap_or_default();
                let text = String::from_utf8_lossy(body);
                ids.iter().any(|id| text.contains(id))
            };
            let user = passed.iter().position(says_so).and_then(|user| self.speakers.get(user));
            let owner = user
                .filter(is_known)
                .or_else(|| self.speakers.iter().find(is_known))
                .cloned();
            if let (Some(owner), Some(speaker)) = (owner, self.speakers.get_mut(place)) {
                *speaker = owner;
            }
        }
    }

    /// Those who are spoken of, and never speak.
    fn add_silent(&mut self, world: &World, target: Option<&Target>, passed: &[Passed], mut free: Vec<String>) {
        // Two identities may be one user, who is called as they speak.
        let mut of_target: Vec<_> = target.iter().flat_map(|target| &target.identities).collect();
        of_target.sort_by_key(|(name, _)| !self.speakers.contains(name));
        for (name, identity) in of_target {
            if let Some(xuid) = &identity.xuid {
                self.xuids.entry(xuid.clone()).or_insert_with(|| name.clone());
            }
        }
        for one in passed {
            let bodies = [one.request.body.as_deref().and_then(json), json(&one.response.body)];
            for body in bodies.iter().flatten() {
                crate::traffic::draft::strings(body, "", &mut |key, text| {
                    if !key.to_ascii_lowercase().contains("xuid") || !is_xuid(text) || self.xuids.contains_key(text) {
                        return;
                    }
                    let known = by_xuid(world, text).next().map(str::to_owned);
                    if let Some(name) = known.or_else(|| (!free.is_empty()).then(|| free.remove(0))) {
                        free.retain(|other| other != &name);
                        self.xuids.insert(text.to_owned(), name);
                    }
                });
                for (xuid, _, member) in members(body) {
                    let tag = member.get("gamertag").and_then(Value::as_str);
                    if let (Some(tag), Some(name)) = (tag, self.xuids.get(xuid)) {
                        self.gamertags.entry(tag.to_owned()).or_insert_with(|| name.clone());
                    }
                }
            }
        }
    }
}

impl Clues {
    fn xuid(&self) -> Option<String> {
        let likeliest = self
            .certain
            .iter()
            .max_by_key(|(_, times)| **times)
            .map(|(xuid, _)| xuid.clone());
        likeliest.or_else(|| {
            let possible = self.possible.as_ref().filter(|possible| possible.len() == 1)?;
            possible.first().cloned()
        })
    }
}

/// Whom the target file, or a mark of the proxy, says that a token belongs to.
fn told(world: &World, target: Option<&Target>, token: &str) -> Option<String> {
    if let Some(name) = token.strip_prefix("<secret:").and_then(|rest| rest.strip_suffix('>'))
        && world.identities.contains_key(name)
    {
        return Some(name.to_owned());
    }
    let mut identities = target?.identities.iter();
    let found = identities.find(|(_, identity)| &*identity.token.reveal() == token);
    found.map(|(name, _)| name.clone())
}

/// The user's hash of a token: `XBL3.0 x=hash;token`.
fn hash(token: &str) -> Option<String> {
    let rest = token.strip_prefix("XBL3.0 x=")?;
    Some(rest.split_once(';')?.0.to_owned())
}

fn is_xuid(text: &str) -> bool {
    (5..=20).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The identities of the suite with a xuid, the plainest first.
fn by_xuid<'w>(world: &'w World, xuid: &str) -> impl Iterator<Item = &'w str> {
    let mut found: Vec<&str> = world
        .identities
        .iter()
        .filter(|(_, identity)| identity.xuid.as_deref() == Some(xuid) && !identity.expired)
        .map(|(name, _)| name.as_str())
        .collect();
    let main = understudies(world);
    found.sort_by_key(|name| !main.iter().any(|known| known == name));
    found.into_iter()
}

/// The identities that can play anybody: users without a peculiarity, those that most cases speak for first.
fn understudies(world: &World) -> Vec<String> {
    let is_plain = |identity: &Identity| {
        !identity.is_server && !identity.expired && identity.multiplayer_privilege && identity.title_identity
    };
    let home = world.identities.get("alice").map(|identity| identity.title.as_str());
    let mut plain: Vec<(&String, &Identity)> = world
        .identities
        .iter()
        .filter(|(_, identity)| is_plain(identity) && home.is_none_or(|home| identity.title == home))
        .collect();
    // The suite's usual speakers, then those who are not somebody's other half.
    let usual = ["alice", "bob", "carol", "dave"];
    plain.sort_by_key(|(name, _)| usual.iter().position(|known| known == name).unwrap_or(usual.len()));
    let mut seen = BTreeSet::new();
    plain.retain(|(_, identity)| seen.insert(identity.xuid.clone()));
    plain.into_iter().map(|(name, _)| name.clone()).collect()
}

/// The members of a session document: xuid, whether the slot is only reserved, and the member.
fn members(document: &Value) -> Vec<(&str, bool, &Value)> {
    let members = document.get("members").and_then(Value::as_object);
    members
        .into_iter()
        .flat_map(|members| members.values())
        .filter_map(|member| {
            let xuid = member.pointer("/constants/system/xuid")?.as_str()?;
            Some((xuid, member.get("reserved") == Some(&Value::Bool(true)), member))
        })
        .collect()
}

fn clues<'p>(passed: &'p [Passed], tokens: &[&'p str]) -> HashMap<&'p str, Clues> {
    let mut clues: HashMap<&str, Clues> = tokens.iter().map(|token| (*token, Clues::default())).collect();
    // Who was in each session when it was last seen.
    let mut there: HashMap<crate::traffic::draft::Address, BTreeSet<String>> = HashMap::new();
    for one in passed {
        let Some(clue) = one.header("authorization").and_then(|token| clues.get_mut(token)) else {
            continue;
        };
        let status = one.response.status;
        clue.is_known |= status != 401;
        let answer = json(&one.response.body).filter(|_| status < 300);
        let request = one.request.body.as_deref().and_then(json);
        let wrote_me = request
            .as_ref()
            .and_then(|body| body.pointer("/members/me"))
            .is_some_and(|me| !me.is_null());
        clue.is_user |= wrote_me && status < 300;
        clue.is_server |= status < 300 && request.as_ref().is_some_and(|body| body.get("servers").is_some());
        let Some(answer) = answer else { continue };
        let mut certain = |xuid: &str| *clue.certain.entry(xuid.to_owned()).or_default() += 1;
        if let Some(owner) = answer
            .get("ownerXuid")
            .or(answer.get("senderXuid"))
            .and_then(Value::as_str)
            && one.request.method == "POST"
        {
            certain(owner);
        }
        let path = one.request.path.to_ascii_lowercase();
        let own = if without_query(&path).ends_with("/members/me") {
            answer.pointer("/constants/system/xuid")
        } else {
            answer.pointer("/members/me/constants/system/xuid")
        };
        if let Some(own) = own.and_then(Value::as_str) {
            certain(own);
        }
        let Some((session, _)) = session_of(&one.request.path) else {
            continue;
        };
        let now: BTreeSet<String> = members(&answer)
            .iter()
            .filter(|(_, reserved, _)| !reserved)
            .map(|(xuid, ..)| (*xuid).to_owned())
            .collect();
        if answer.get("members").is_none() {
            continue;
        }
        let before = there.insert(address(session), now.clone());
        if wrote_me {
            let new: Vec<&String> = match &before {
                Some(before) => now.difference(before).collect(),
                None if status == 201 => now.iter().collect(),
                None => Vec::new(),
            };
            if let [only] = new.as_slice() {
                certain(only);
            } else if now.len() == 1 {
                for only in &now {
                    certain(only);
                }
            }
            let possible = clue.possible.take().unwrap_or_else(|| now.clone());
            clue.possible = Some(possible.intersection(&now).cloned().collect());
        }
    }
    clues
}
