//! The preflight: asks a target for what a run will take for granted, before any case does.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use jiff::fmt::rfc2822;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use uuid::Uuid;

use crate::contract::case::{Action, Script, Step};
use crate::contract::json::document::Document;
use crate::contract::json::expected_one_of;
use crate::contract::version::ContractVersion;
use crate::contract::world::{Identity, Template};
use crate::replay::{Replay, Selected};
use crate::wire::connection;
use crate::wire::error::WireError;
use crate::wire::message::WireResponse;
use crate::wire::transport::Patience;

/// How far the target's clock may be from this machine's.
const SKEW: SignedDuration = SignedDuration::from_secs(30);
/// How far the clock is moved to see whether it can be, in ms.
const ADVANCE: i64 = 3_600_000;

/// How long a port is listened to, to see what it speaks.
const SNIFF: Duration = Duration::from_secs(2);
/// A run that takes so long is worth a word.
const LONG: Duration = Duration::from_mins(10);
/// A run that takes so long is not begun.
const TOO_LONG: Duration = Duration::from_hours(24);

/// What a note of the preflight amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gravity {
    /// As it should be.
    Fine,
    /// Worth knowing; a run is possible and says the same.
    Doubt,
    /// Some cases will fail for it, or say nothing.
    Problem,
    /// No run is possible.
    Fatal,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// What it amounts to.
    pub gravity: Gravity,
    /// What was found.
    pub found: String,
    /// What to do about it; empty when there is nothing to do.
    pub advice: String,
}

/// What the first look at a target showed.
#[derive(Clone, Debug)]
pub struct Look {
    /// What was found, in the order in which it was looked at.
    pub notes: Vec<Note>,
    /// An identity that the target accepts; no run is possible without.
    pub speaker: Option<String>,
    /// Whether the selection takes longer at the declared pace than anybody waits.
    pub is_too_long: bool,
}

impl Note {
    fn new(gravity: Gravity, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            gravity,
            found: found.into(),
            advice: advice.into(),
        }
    }
}

impl Replay {
    /// Tries the target; the notes are in the order in which things were looked at, `now` is this machine's time.
    pub async fn preflight(&self, selection: &[Selected], now: Timestamp) -> Vec<Note> {
        let Look { mut notes, speaker, .. } = self.look(selection, now).await;
        let Some(speaker) = speaker else {
            return notes;
        };
        self.templates(&mut notes, &speaker).await;
        self.members(&mut notes).await;
        self.clock(&mut notes, &speaker).await;
        notes.extend(self.not_applicable(selection));
        notes
    }

    /// The part of it that no run does without: is the target there, whom does it accept, how long will it take.
    pub async fn look(&self, selection: &[Selected], now: Timestamp) -> Look {
        let mut notes = self.names();
        let speaker = self.reach(&mut notes, now).await;
        let budget = self.budget(selection);
        let is_too_long = budget.as_ref().is_some_and(|note| note.gravity == Gravity::Problem);
        notes.extend(budget);
        Look {
            notes,
            speaker,
            is_too_long,
        }
    }

    /// What the selection costs at the target's pace; nothing where it declares none.
    fn budget(&self, selection: &[Selected]) -> Option<Note> {
        self.target().limits.lowest_rate()?;
        let mut requests: BTreeMap<String, usize> = BTreeMap::new();
        let mut kept = None;
        for selected in selection
            .iter()
            .filter(|selected| self.not_applicable_to(**selected).is_none())
        {
            let case = self.suite().cases().get(selected.case)?;
            let scripts = kept.insert(case.scripts());
            for (speaker, count) in planned(scripts.of(case.variants.get(selected.variant)?)?) {
                *requests.entry(speaker.to_owned()).or_default() += count;
            }
        }
        let total: usize = requests.values().sum();
        let (busiest, most) = requests.iter().max_by_key(|(_, count)| **count)?;
        let duration = self
            .target()
            .limits
            .duration(requests.iter().map(|(name, count)| (name.as_str(), *count)));
        let found = format!(
            "at least {total} requests, {most} of them by `{busiest}`: about {} within the declared limits",
            words(duration)
        );
        let advice = "select fewer cases, split the run with `--shard`, or raise `limits` if the service allows more";
        Some(match duration {
            _ if duration >= TOO_LONG => Note::new(Gravity::Problem, found, advice),
            _ if duration >= LONG => Note::new(Gravity::Doubt, found, advice),
            _ => Note::new(Gravity::Fine, found, ""),
        })
    }

    /// Names in the target file that mean nothing to the suite.
    fn names(&self) -> Vec<Note> {
        let world = self.suite().world();
        let lacks = self
            .target()
            .lacks
            .iter()
            .map(|name| ("feature", name, world.features.keys().collect::<Vec<_>>()));
        let templates = self
            .target()
            .templates
            .keys()
            .map(|name| ("template", name, world.templates.keys().collect()));
        let identities = self
            .target()
            .identities
            .keys()
            .map(|name| ("identity", name, world.identities.keys().collect()));
        let unknown = lacks
            .chain(templates)
            .chain(identities)
            .filter(|(_, name, known)| !known.contains(name));
        let note = |(kind, name, known): (&str, &String, Vec<&String>)| {
            let known: Vec<&str> = known.into_iter().map(String::as_str).collect();
            Note::new(
                Gravity::Problem,
                format!("unknown {kind} `{name}`"),
                expected_one_of(name, &known),
            )
        };
        unknown.map(note).collect()
    }

    /// Whether the target is there and accepts its identities; the one that asks from here on.
    async fn reach(&self, notes: &mut Vec<Note>, now: Timestamp) -> Option<String> {
        let list = self.templates_path();
        let mut path = if self.target().lacks.contains("templates") {
            self.vacant(self.ordinary())
        } else {
            list.clone()
        };
        let world = self.suite().world();
        let (mut accepted, mut refused) = (Vec::new(), Vec::new());
        for name in self.target().identities.keys() {
            let known = world.identities.get(name);
            let is_expired = known.is_some_and(|identity| identity.expired);
            let has_access = known.is_none_or(|identity| world.titles.get(&identity.title) != Some(&false));
            let mut answer = self.ask(&path, name, ContractVersion::CURRENT, None).await;
            if let Ok(response) = &answer
                && path == list
                && has_access
                && matches!(response.status, 404 | 405 | 501)
            {
                notes.push(Note::new(
                    Gravity::Problem,
                    format!("GET {list} returned {}", response.status),
                    format!(
                        "check that `{}` is the right `scid` and that `baseUrl` ends before `/serviceconfigs`; if the service has no such list, add `templates` to `lacks`",
                        self.target().scid
                    ),
                ));
                path = self.vacant(self.ordinary());
                answer = self.ask(&path, name, ContractVersion::CURRENT, None).await;
            }
            let response = match answer {
                Ok(response) => response,
                Err(error) => {
                    notes.push(self.unreachable(&error).await);
                    return None;
                }
            };
            if accepted.is_empty() && refused.is_empty() {
                notes.push(Note::new(
                    Gravity::Fine,
                    format!("{} responds", self.target().base_url),
                    "",
                ));
                notes.extend(skew(&response, now));
            }
            let told = |found: &str, advice: &str| Note::new(Gravity::Problem, format!("`{name}` {found}"), advice);
            match response.status {
                401 if is_expired => {}
                _ if is_expired => notes.push(told(
                    "was accepted, although its token should have expired",
                    "use a token that has expired, or remove the identity and add `expired-tokens` to `lacks`",
                )),
                401 => refused.push(name.as_str()),
                403 if has_access => notes.push(told(
                    "has no access to the service config (403)",
                    "give its title access, or set `scid` to a service config of its title",
                )),
                403 | 404 if !has_access => accepted.push(name),
                _ if !has_access && response.status < 300 => notes.push(told(
                    "has access to the service config, although its title should have none",
                    "use an account of another title, or remove the identity and add `titles` to `lacks`",
                )),
                // There is no session at the address that was made up.
                200 | 204 | 404 if path != list => accepted.push(name),
                200 if is_json(&response) => accepted.push(name),
                200 => {
                    let advice = "check that `baseUrl` is the URL of an MPSD service";
                    notes.push(Note::new(
                        Gravity::Problem,
                        "the list of templates is not valid JSON",
                        advice,
                    ));
                    accepted.push(name);
                    path = self.vacant(self.ordinary());
                }
                400 if self.is_tls_mistaken().await => {
                    let advice = "the port uses TLS: change `baseUrl` to `https://`";
                    notes.push(Note::new(
                        Gravity::Fatal,
                        format!("GET {} returned 400 Bad Request", self.target().base_url),
                        advice,
                    ));
                    return None;
                }
                status => {
                    notes.push(told(
                        &format!("got {status} for a simple GET"),
                        "look into the log of the service",
                    ));
                    accepted.push(name);
                }
            }
        }
        if self.target().identities.is_empty() {
            notes.push(Note::new(
                Gravity::Problem,
                "the target file declares no identities",
                "add at least `alice` (see `list identities`)",
            ));
            return None;
        }
        let advice = "fetch new tokens, and check that each source has the full value of an `Authorization` header";
        if !refused.is_empty() {
            let who = refused.join(", ");
            notes.push(if accepted.is_empty() {
                let found = format!("{} refused every identity (401): {who}", self.target().base_url);
                Note::new(Gravity::Fatal, found, advice)
            } else {
                Note::new(Gravity::Problem, format!("not authenticated (401): {who}"), advice)
            });
        }
        if !accepted.is_empty() {
            let count = self.target().identities.len() - refused.len();
            notes.push(Note::new(
                Gravity::Fine,
                format!("{count} of {} identities accepted", self.target().identities.len()),
                "",
            ));
        }
        accepted.first().map(|name| (*name).clone())
    }

    /// Whether the templates are there and say what the suite's say.
    async fn templates(&self, notes: &mut Vec<Note>, speaker: &str) {
        let is_listed = async || {
            let list = self
                .ask(&self.templates_path(), speaker, ContractVersion::CURRENT, None)
                .await;
            list.is_ok_and(|list| list.status == 200)
        };
        let is_readable = !self.target().lacks.contains("templates") && is_listed().await;
        let mut missing = Vec::new();
        let world = self.suite().world();
        let (mut good, mut trusted) = (0, 0);
        for (name, there) in &self.target().templates {
            let Some(wanted) = world.templates.get(name) else {
                continue;
            };
            let version = wanted.contract_version;
            let answer = if is_readable {
                let path = format!("{}/{there}", self.templates_path());
                self.ask(&path, speaker, version, None).await
            } else {
                // What a session is made with says what the template is.
                self.try_session(name, speaker, version).await
            };
            let response = match answer {
                Ok(response) => response,
                Err(error) => {
                    notes.push(Note::new(Gravity::Problem, format!("template `{there}`: {error}"), ""));
                    continue;
                }
            };
            if !is_readable && (400..500).contains(&response.status) && response.status != 404 {
                // There is such a template, and it wants more of a session than this one has.
                trusted += 1;
                continue;
            }
            let found = Document::value_of(&response.body).filter(|_| matches!(response.status, 200 | 201));
            let Some(found): Option<Value> = found else {
                let advice = format!(
                    "provision it (`mpsd-conformance target needs` prints `{name}`), or remove it from `templates`"
                );
                let status = response.status;
                let found = if is_readable {
                    format!("template `{there}` cannot be read ({status})")
                } else {
                    format!("no session can be created from template `{there}` ({status})")
                };
                missing.push(Note::new(Gravity::Problem, found, advice));
                continue;
            };
            let differences = differences(wanted, &found);
            good += usize::from(differences.is_empty());
            for difference in differences {
                let advice = "provision it as `mpsd-conformance target needs` prints it, or remove it from `templates`";
                notes.push(Note::new(
                    Gravity::Problem,
                    format!("template `{there}` differs from `{name}`: {difference}"),
                    advice,
                ));
            }
        }
        let count = self.target().templates.len();
        if missing.len() == count && count > 1 {
            let first = missing.swap_remove(0);
            notes.push(Note::new(
                Gravity::Problem,
                format!("{}, and all other templates failed too", first.found),
                "check `scid`, and that the `templates` exist under these names",
            ));
        } else {
            notes.append(&mut missing);
        }
        let trust = match trusted {
            0 => String::new(),
            _ => format!(", {trusted} could not be checked"),
        };
        let found = format!("{good} of {count} templates match those of the suite{trust}");
        notes.push(Note::new(Gravity::Fine, found, ""));
    }

    /// Whether the service takes each identity for whom the target file says it is: one session each, which is left again.
    async fn members(&self, notes: &mut Vec<Note>) {
        let world = self.suite().world();
        let template = self.ordinary();
        if !self.target().templates.contains_key(template) {
            return;
        }
        let (mut good, mut users) = (0, 0);
        let mut problems = Vec::new();
        for (name, identity) in &self.target().identities {
            let is_player = |known: &Identity| {
                let has_access = world.titles.get(&known.title) != Some(&false);
                let may_play = known.multiplayer_privilege && known.title_identity;
                !known.is_server && !known.expired && may_play && has_access
            };
            let (Some(xuid), Some(_)) = (
                &identity.xuid,
                world.identities.get(name).filter(|known| is_player(known)),
            ) else {
                continue;
            };
            users += 1;
            let problem =
                |found: String, advice: &str| Note::new(Gravity::Problem, format!("`{name}` {found}"), advice);
            let response = match self.try_session(template, name, ContractVersion::CURRENT).await {
                Ok(response) => response,
                Err(error) => {
                    problems.push(problem(format!("cannot create a session: {error}"), ""));
                    continue;
                }
            };
            let document = Document::value_of(&response.body);
            let members = document
                .as_ref()
                .and_then(|document| document.get("members")?.as_object());
            let told: Vec<&Value> = members
                .into_iter()
                .flat_map(|members| members.values())
                .filter_map(|member| member.pointer("/constants/system/xuid"))
                .collect();
            match told.as_slice() {
                _ if !matches!(response.status, 200 | 201) => problems.push(problem(
                    format!(
                        "cannot create a session from template `{template}` ({})",
                        response.status
                    ),
                    "almost every case starts by creating a session with PUT `{ \"members\": { \"me\": {} } }`",
                )),
                [only] if only.as_str() == Some(xuid) => good += 1,
                _ => {
                    let told: Vec<String> = told.iter().map(ToString::to_string).collect();
                    let found = if told.is_empty() {
                        "nobody".to_owned()
                    } else {
                        told.join(", ")
                    };
                    problems.push(problem(
                        format!("has the XUID {found} on the service, not \"{xuid}\""),
                        "correct `xuid`, or check whether this is the token of another user",
                    ));
                }
            }
        }
        if good == 0 && problems.len() > 1 {
            let first = problems.swap_remove(0);
            let found = format!("{}; the other {} users failed too", first.found, problems.len());
            notes.push(Note::new(Gravity::Problem, found, first.advice));
        } else {
            notes.append(&mut problems);
        }
        if users > 0 {
            let found = format!("{good} of {users} users have the XUID given in the target file");
            notes.push(Note::new(Gravity::Fine, found, ""));
        }
    }

    /// Makes a session and leaves it; what the making was answered.
    async fn try_session(
        &self,
        template: &str,
        speaker: &str,
        version: ContractVersion,
    ) -> Result<WireResponse, WireError> {
        let path = self.vacant(template);
        let patience = Patience {
            expects_throttling: false,
            pauses: self.options().exchange_limit,
        };
        let mut request = self.transport().plain_read(speaker);
        request.method = "PUT".to_owned();
        request.path.clone_from(&path);
        request.body = Some(Bytes::from_static(br#"{"members":{"me":{}}}"#));
        request
            .headers
            .retain(|(name, _)| !name.eq_ignore_ascii_case("x-xbl-contract-version"));
        request
            .headers
            .push(("X-Xbl-Contract-Version".to_owned(), version.to_string()));
        request
            .headers
            .push(("Content-Type".to_owned(), "application/json".to_owned()));
        let response = self.transport().deliver(speaker, &mut request, patience).await?;
        if response.status < 300 {
            let mut leave = self.transport().plain_read(speaker);
            leave.method = "DELETE".to_owned();
            leave.path = format!("{path}/members/me");
            self.transport().deliver(speaker, &mut leave, patience).await?;
        }
        Ok(response)
    }

    /// The address of a session that there is not.
    fn vacant(&self, template: &str) -> String {
        let there = self.target().templates.get(template).map_or(template, String::as_str);
        format!("{}/{there}/sessions/{}", self.templates_path(), Uuid::new_v4())
    }

    /// A template that asks nothing of the creator, if the target has one.
    fn ordinary(&self) -> &str {
        let has = |name: &&str| self.target().templates.contains_key(*name);
        let blank = self.suite().world().blank().map(|(name, _)| name);
        let first = self.target().templates.keys().next().map(String::as_str);
        Some("open")
            .filter(has)
            .or(blank.filter(has))
            .or(first)
            .unwrap_or("open")
    }

    fn templates_path(&self) -> String {
        format!("/serviceconfigs/{}/sessiontemplates", self.target().scid)
    }

    /// Whether the clock moves, where the target says that it does.
    async fn clock(&self, notes: &mut Vec<Note>, speaker: &str) {
        let Some(header) = &self.target().advance_header else {
            if !self.target().lacks.contains("clock") {
                notes.push(Note::new(
                    Gravity::Doubt,
                    "the target's clock cannot be advanced: timed cases wait in real time",
                    "",
                ));
            }
            return;
        };
        let path = self.templates_path();
        let plain = self.ask(&path, speaker, ContractVersion::CURRENT, None).await;
        let moved = self
            .ask(&path, speaker, ContractVersion::CURRENT, Some((header, ADVANCE)))
            .await;
        let times = plain
            .ok()
            .as_ref()
            .and_then(date)
            .zip(moved.ok().as_ref().and_then(date));
        let is_moved =
            times.is_some_and(|(plain, moved)| moved.duration_since(plain).as_millis() * 2 > i128::from(ADVANCE));
        notes.push(if is_moved {
            Note::new(Gravity::Fine, format!("`{header}` advances the clock"), "")
        } else {
            let advice = "correct `clock`, or remove it; timed cases then wait in real time";
            Note::new(
                Gravity::Problem,
                format!("`{header}` does not advance the clock: `Date` does not change"),
                advice,
            )
        });
    }

    /// What keeps cases from being judged, and how many.
    fn not_applicable(&self, selection: &[Selected]) -> Vec<Note> {
        let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
        for selected in selection {
            if let Some(reason) = self.not_applicable_to(*selected) {
                *reasons.entry(reason).or_default() += 1;
            }
        }
        let missing: usize = reasons.values().sum();
        let mut reasons: Vec<(String, usize)> = reasons.into_iter().collect();
        reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let told = reasons
            .into_iter()
            .map(|(reason, count)| Note::new(Gravity::Doubt, format!("{} not applicable: {reason}", cases(count)), ""));
        let left = selection.len() - missing;
        let total = Note::new(
            Gravity::Fine,
            format!("{left} of {} can be tested", cases(selection.len())),
            "",
        );
        let none = Note::new(
            Gravity::Problem,
            "no case can be tested",
            "see the notes above for what is not applicable and why",
        );
        told.chain([if left == 0 { none } else { total }]).collect()
    }

    /// Whether plain HTTP went to a port that speaks TLS; some servers answer that in plain HTTP.
    async fn is_tls_mistaken(&self) -> bool {
        let address = self.transport().client().connector().address();
        let sniffed = tokio::time::timeout(SNIFF, connection::speaks(address, true));
        !address.is_tls && self.target().proxy.is_none() && sniffed.await.unwrap_or_default()
    }

    /// Why there is no answer, and what to do.
    async fn unreachable(&self, error: &WireError) -> Note {
        let address = self.transport().client().connector().address();
        let is_other = matches!(
            error,
            WireError::Tls(_) | WireError::Timeout(_) | WireError::Closed(_) | WireError::Broken(_)
        ) && self.target().proxy.is_none();
        let is_no_http = matches!(error, WireError::Broken(reason) if reason.contains("`HTTP/1.1`"));
        // A port that speaks the other of the two is the commonest reason.
        let other = tokio::time::timeout(SNIFF, connection::speaks(address, !address.is_tls));
        let advice = match error {
            _ if is_other && other.await.unwrap_or_default() => {
                if address.is_tls {
                    "the port does not use TLS: change `baseUrl` to `http://`"
                } else {
                    "the port uses TLS: change `baseUrl` to `https://`"
                }
            }
            WireError::Connect(_) => "check that the service is running, and the host, port and scheme of `baseUrl`",
            WireError::Timeout(_) => "connected, but no response: check the port",
            WireError::Closed(_) | WireError::Broken(_) if is_no_http => {
                "the response is not HTTP: check the port and the scheme (http or https) of `baseUrl`"
            }
            WireError::Closed(_) | WireError::Broken(_) => "does `curl -v` with the same URL show a whole response?",
            WireError::Machine(_) => "the target itself may be fine",
            WireError::Limit(_) => "the target may be right; this program cannot test it",
            WireError::Unsendable(_) => "check that `baseUrl` is a URL and that each token is one line",
            WireError::Throttled(_) => "wait, then declare `limits` that the service allows",
            WireError::Tls(_) | WireError::Token(_) => "",
        };
        let base_url = &self.target().base_url;
        let found = match error {
            WireError::Limit(_) => format!("the response of {base_url} cannot be read: {error}"),
            WireError::Broken(_) if !is_no_http => format!("{base_url} has no readable response: {error}"),
            WireError::Machine(_) => format!("no request was sent to {base_url}: {error}"),
            _ => format!("{base_url} cannot be reached: {error}"),
        };
        Note::new(Gravity::Fatal, found, advice)
    }

    async fn ask(
        &self,
        path: &str,
        speaker: &str,
        version: ContractVersion,
        header: Option<(&String, i64)>,
    ) -> Result<WireResponse, WireError> {
        let mut request = self.transport().plain_read(speaker);
        path.clone_into(&mut request.path);
        for (name, value) in &mut request.headers {
            if name == "X-Xbl-Contract-Version" {
                *value = version.to_string();
            }
        }
        request
            .headers
            .extend(header.map(|(name, value)| (name.clone(), value.to_string())));
        let patience = Patience {
            expects_throttling: false,
            pauses: self.options().exchange_limit,
        };
        self.transport().deliver(speaker, &mut request, patience).await
    }
}

/// The requests that a script makes at least, by speaker.
fn planned(script: &Script) -> Vec<(&str, usize)> {
    let mut planned = Vec::new();
    for step in script.steps() {
        let named = |name: &String| script.steps().find(|step| step.name.as_ref() == Some(name));
        let requests = match &step.action {
            Action::Again(name) => named(name).map(Step::requests).unwrap_or_default(),
            _ => step.requests(),
        };
        planned.extend(requests.iter().map(|request| (request.speaker.as_str(), 1)));
        if step.expectations().any(|expectation| expectation.guarded().is_some()) {
            planned.push((script.observer.as_str(), 2));
        }
    }
    planned
}

/// A duration as people say it.
fn words(duration: Duration) -> String {
    match duration.as_secs() {
        seconds @ ..120 => format!("{} s", seconds.max(1)),
        seconds @ ..7200 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3600),
    }
}

fn cases(count: usize) -> String {
    if count == 1 {
        "1 case".to_owned()
    } else {
        format!("{count} cases")
    }
}

fn is_json(response: &WireResponse) -> bool {
    Document::parse(&response.body).is_ok()
}

/// The time of an answer.
fn date(response: &WireResponse) -> Option<Timestamp> {
    rfc2822::DateTimeParser::new()
        .parse_timestamp(response.header("date")?)
        .ok()
}

fn skew(response: &WireResponse, now: Timestamp) -> Option<Note> {
    let Some(there) = date(response) else {
        return Some(Note::new(
            Gravity::Doubt,
            "responses have no `Date` header: the clocks cannot be compared",
            "",
        ));
    };
    let skew = there.duration_since(now);
    let advice = "tokens may be refused: set the clock (timed cases only compare times of the target with each other)";
    (skew.abs() > SKEW).then(|| {
        Note::new(
            Gravity::Doubt,
            format!("the clocks differ by {} s", skew.as_secs()),
            advice,
        )
    })
}

/// Where a template does not say what the suite's says; what it says beyond that is its own.
fn differences(wanted: &Template, found: &Value) -> Vec<String> {
    let mut differences = Vec::new();
    compare(
        "/constants",
        &wanted.constants,
        found.get("constants"),
        &mut differences,
    );
    compare(
        "/roleTypes",
        &wanted.role_types,
        found.get("roleTypes"),
        &mut differences,
    );
    differences
}

fn compare(pointer: &str, wanted: &Value, found: Option<&Value>, differences: &mut Vec<String>) {
    match (wanted, found) {
        (Value::Null, None | Some(Value::Null)) | (Value::Bool(false), None) => {}
        (Value::Object(members), None) if members.is_empty() => {}
        (Value::Array(items), None) if items.is_empty() => {}
        (Value::Object(members), Some(Value::Object(others))) => {
            for (key, member) in members {
                compare(&format!("{pointer}/{key}"), member, others.get(key), differences);
            }
        }
        (Value::Number(a), Some(Value::Number(b))) if a.as_f64() == b.as_f64() => {}
        (wanted, Some(found)) if wanted == found => {}
        (wanted, found) => {
            let found = found.map_or("nothing".to_owned(), Value::to_string);
            differences.push(format!("{pointer} is {found}, not {wanted}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_template_may_say_more_but_not_otherwise() {
        let wanted = Template {
            about: String::new(),
            contract_version: ContractVersion::CURRENT,
            constants: json!({ "system": { "maxMembersCount": 4, "visibility": null }, "custom": {} }),
            role_types: Value::Null,
            is_blank: false,
            is_pinned: false,
        };
        let good = json!({ "constants": { "system": { "version": 1, "maxMembersCount": 4.0 } }, "name": "open" });
        assert_eq!(differences(&wanted, &good), [""; 0]);
        let bad = json!({ "constants": { "system": { "maxMembersCount": 5 } } });
        assert_eq!(
            differences(&wanted, &bad),
            ["/constants/system/maxMembersCount is 5, not 4"]
        );
    }

    #[test]
    fn durations_are_told_in_the_unit_that_fits() {
        let told = [0, 90, 600, 7300].map(|seconds| words(Duration::from_secs(seconds)));
        assert_eq!(told, ["1 s", "90 s", "10 min", "2 h"]);
    }

    #[test]
    fn clocks_are_compared_by_the_date_of_an_answer() {
        let response = |date: &str| WireResponse {
            headers: vec![("Date".to_owned(), date.to_owned())],
            ..WireResponse::default()
        };
        let now: Timestamp = "2030-06-15T12:00:00Z".parse().unwrap();
        assert!(skew(&response("Sat, 15 Jun 2030 12:00:20 GMT"), now).is_none());
        assert!(
            skew(&response("Sat, 15 Jun 2030 12:05:00 GMT"), now)
                .unwrap()
                .found
                .contains("300 s")
        );
        assert!(skew(&response("soon"), now).is_some());
    }
}
