//! Services that have less than the suite wants, described as what they are: nothing that they are asked may fail for it, and
//! nothing is left out that they could have been asked.
//!
//! By default a dozen descriptions, and some variants of each. `MPSD_DESCRIPTIONS=N` tries N, and all that each can be
//! asked; `MPSD_VARIANTS=N` tries N of these.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use mpsd_conformance::contract::case::needs::{self, Need};
use mpsd_conformance::contract::version::ContractVersion;
use mpsd_conformance::contract::world::World;
use mpsd_conformance::replay::verdict::{Outcome, Verdict};
use mpsd_conformance::replay::{Options, Selected, Strictness};
use mpsd_conformance::run::embedded;
use mpsd_conformance::run::runner::Runner;
use mpsd_conformance::target::Target;
use mpsd_reference::Server;
use serde_json::{Value, json};

use crate::service::Dice;
use crate::wrong_service::SUITE;

/// What a service has of the suite's world, and says that it lacks.
#[derive(Clone, Debug)]
struct Description {
    identities: BTreeSet<String>,
    templates: BTreeSet<String>,
    lacks: BTreeSet<String>,
}

impl Description {
    /// A service that has all of it.
    fn whole() -> Self {
        let world = SUITE.world();
        Self {
            identities: world.identities.keys().cloned().collect(),
            templates: world.templates.keys().cloned().collect(),
            lacks: BTreeSet::from(["rate-limits".to_owned()]),
        }
    }

    fn with(mut self, identities: &[&str]) -> Self {
        self.identities.retain(|name| identities.contains(&name.as_str()));
        self
    }

    fn made_from(mut self, templates: &[&str]) -> Self {
        self.templates.retain(|name| templates.contains(&name.as_str()));
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.identities.remove(name);
        self.templates.remove(name);
        self
    }

    fn lacking(mut self, feature: &str) -> Self {
        self.lacks.insert(feature.to_owned());
        self
    }

    fn random(dice: &mut Dice) -> Self {
        let mut description = Self::whole();
        let some = |dice: &mut Dice, names: &mut BTreeSet<String>| {
            let (part, whole) = *dice.pick(&[(1, 8), (1, 3), (2, 3), (9, 10), (1, 1)]);
            names.retain(|_| dice.roll(whole) < part);
        };
        some(dice, &mut description.identities);
        for name in ["alice", "bob", "carol", "dave"] {
            if dice.roll(2) == 0 {
                description.identities.insert(name.to_owned());
            }
        }
        if description.identities.is_empty() {
            description.identities.insert("bob".to_owned());
        }
        some(dice, &mut description.templates);
        for name in ["bare", "open", "calm"] {
            if dice.roll(2) == 0 {
                description.templates.insert(name.to_owned());
            }
        }
        let mut lacks: BTreeSet<String> = SUITE.world().features.keys().cloned().collect();
        let (part, whole) = *dice.pick(&[(0, 1), (1, 8), (1, 3), (2, 3)]);
        lacks.retain(|_| dice.roll(whole) < part);
        description.lacks.append(&mut lacks);
        description
    }

    /// What of the world there is.
    fn world(&self) -> World {
        let mut world = SUITE.world().clone();
        world.identities.retain(|name, _| self.identities.contains(name));
        world.templates.retain(|name, _| self.templates.contains(name));
        for (feature, kinds) in [
            ("social-graph", ["follows", "favorites"].as_slice()),
            ("blocks", &["blocks"]),
        ] {
            if self.lacks.contains(feature) {
                for kind in kinds {
                    world.relations.insert((*kind).to_owned(), Vec::new());
                }
            }
        }
        for pairs in world.relations.values_mut() {
            pairs.retain(|(from, to)| self.identities.contains(from) && self.identities.contains(to));
        }
        world
    }

    /// A service that has no more than this.
    async fn serve(&self) -> (Target, Server) {
        let (mut target, server) = embedded::start(&self.world()).await.unwrap();
        target.lacks.clone_from(&self.lacks);
        (target, server)
    }

    /// How many of some variants can be asked of it as they are, those that are adapted to it, and those that cannot be asked.
    async fn judged(&self, of: &[Selected]) -> (usize, Vec<Selected>, Vec<Selected>) {
        let (target, server) = self.serve().await;
        server.stop().await;
        let (mut as_they_are, mut adapted, mut left_out) = (0, Vec::new(), Vec::new());
        for selected in of {
            let case = &SUITE.cases()[selected.case];
            let variant = &case.variants[selected.variant];
            let scripts = case.scripts();
            let needs = &NEEDS[selected];
            match target.fit_needs(SUITE.world(), needs, variant.version, scripts.of(variant).unwrap()) {
                Ok(Cow::Borrowed(_)) => as_they_are += 1,
                Ok(Cow::Owned(_)) => adapted.push(*selected),
                Err(_) => left_out.push(*selected),
            }
        }
        (as_they_are, adapted, left_out)
    }
}

/// What each variant needs, worked out once.
static NEEDS: LazyLock<BTreeMap<Selected, BTreeSet<Need>>> = LazyLock::new(|| {
    let needs = variants().into_iter().map(|selected| {
        let case = &SUITE.cases()[selected.case];
        let variant = &case.variants[selected.variant];
        let needs = needs::of(SUITE.world(), case, variant, case.scripts().of(variant).unwrap());
        (selected, needs)
    });
    needs.collect()
});

/// Time enough for a machine that has much else to do: nothing here is about time.
const PATIENT: Options = Options {
    jobs: 16,
    exchange_limit: Duration::from_mins(2),
    case_limit: Duration::from_mins(5),
    frame_limit: Duration::from_secs(30),
    strictness: Strictness::Failures,
};

fn variants() -> Vec<Selected> {
    let cases = SUITE.cases().iter().enumerate();
    let variants = cases.flat_map(|(case, of)| (0..of.variants.len()).map(move |variant| Selected { case, variant }));
    variants.collect()
}

/// How many of the variants of a description are tried.
fn most(default: usize) -> usize {
    asked("MPSD_VARIANTS").unwrap_or(match asked("MPSD_DESCRIPTIONS") {
        Some(_) => usize::MAX,
        None => default,
    })
}

/// A number that the environment asks for.
fn asked(name: &str) -> Option<usize> {
    std::env::var(name).ok()?.parse().ok()
}

fn some_of(dice: &mut Dice, mut all: Vec<Selected>, most: usize) -> Vec<Selected> {
    while all.len() > most {
        let place = dice.roll(all.len());
        all.swap_remove(place);
    }
    all
}

/// Replays variants, and looks at each outcome while its exchanges are there.
async fn replay(
    target: Target,
    selection: Vec<Selected>,
    look: impl Fn(&Outcome) + Send + Sync + 'static,
) -> Vec<Outcome> {
    let runner = Runner::against(Arc::clone(&SUITE), Arc::new(target), PATIENT).unwrap();
    let mut receiver = runner.replay_all(&selection, move |outcome| look(outcome));
    let mut outcomes = Vec::new();
    while let Some(outcome) = receiver.recv().await {
        outcomes.push(outcome);
    }
    outcomes
}

/// What is wrong with what came of a description: each verdict that no honest service deserves, and each request that uses
/// what it lacks.
async fn wrong_with(description: &Description, selection: Vec<Selected>) -> Vec<String> {
    let (target, server) = description.serve().await;
    let wrong: Arc<Mutex<Vec<String>>> = Arc::default();
    let lacks = description.lacks.clone();
    let seen = Arc::clone(&wrong);
    let outcomes = replay(target, selection, move |outcome| {
        for feature in features_of(outcome).intersection(&lacks) {
            seen.lock()
                .unwrap()
                .push(format!("{} uses `{feature}`, which is lacked", outcome.id));
        }
    })
    .await;
    server.stop().await;
    let mut wrong = std::mem::take(&mut *wrong.lock().unwrap());
    for outcome in &outcomes {
        let is_good = matches!(outcome.verdict, Verdict::Pass | Verdict::NotApplicable);
        if !is_good || outcome.findings.iter().any(|finding| finding.is_setup) {
            let first = outcome.findings.first();
            let told = first.map(|finding| {
                format!(
                    "{}: expected {}, found {}",
                    finding.assertion, finding.expected, finding.actual
                )
            });
            wrong.push(format!(
                "{} {:?} {:?} {told:?}",
                outcome.id, outcome.verdict, outcome.reason
            ));
        }
    }
    wrong
}

/// Tries what is adapted to a service, and some of what is not.
#[expect(clippy::print_stderr, reason = "the figures are what is asked for")]
async fn try_out(description: Description) {
    let mut dice = Dice::new(7);
    let (as_they_are, adapted, left_out) = description.judged(&variants()).await;
    let all = variants();
    eprintln!(
        "{} of {} are judged: {as_they_are} as they are, {} adapted",
        all.len() - left_out.len(),
        all.len(),
        adapted.len()
    );
    let mut selection = some_of(&mut dice, adapted, most(300));
    selection.append(&mut some_of(&mut dice, all, most(50)));
    selection.sort_unstable();
    selection.dedup();
    let wrong = wrong_with(&description, selection).await;
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_with_one_account_is_spared() {
    try_out(Description::whole().with(&["alice"])).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_with_one_account_and_one_template_is_spared() {
    try_out(Description::whole().with(&["alice"]).made_from(&["open"])).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_with_two_accounts_is_spared() {
    try_out(Description::whole().with(&["alice", "bob"])).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_with_two_accounts_and_one_template_is_spared() {
    try_out(Description::whole().with(&["alice", "bob"]).made_from(&["open"])).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_has_all_but_one_is_spared() {
    for name in ["bob", "carol", "dave", "otto", "bare"] {
        try_out(Description::whole().without(name)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_with_nothing_but_the_blank_template_is_spared() {
    try_out(Description::whole().made_from(&["bare"])).await;
    try_out(
        Description::whole()
            .with(&["alice", "bob", "carol"])
            .made_from(&["bare"]),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_lacks_a_feature_is_not_asked_for_it() {
    let features: Vec<&String> = SUITE.world().features.keys().collect();
    let mut dice = Dice::new(11);
    for feature in features {
        let description = Description::whole().lacking(feature);
        let selection = some_of(&mut dice, variants(), most(60));
        let wrong = wrong_with(&description, selection).await;
        assert!(wrong.is_empty(), "without `{feature}`:\n{}", wrong.join("\n"));
    }
}

#[tokio::test]
async fn few_accounts_and_one_template_judge_most_of_the_suite() {
    let all = variants().len();
    for (accounts, least) in [(["alice", "bob", "carol"].as_slice(), 65), (&["alice", "bob"], 50)] {
        let description = Description::whole().with(accounts).made_from(&["bare"]);
        let (as_they_are, adapted, _) = description.judged(&variants()).await;
        let judged = as_they_are + adapted.len();
        eprintln!("{} accounts and one template judge {judged} of {all}", accounts.len());
        assert!(
            judged * 100 >= all * least,
            "{judged} of {all} with {accounts:?}: less than {least} %"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_a_service_has_of_the_world_it_is_spared() {
    let mut dice = Dice::new(3);
    let (mut replayed, mut judged) = (0, 0);
    let mut wrong = Vec::new();
    let count: usize = asked("MPSD_DESCRIPTIONS").unwrap_or(12);
    for number in 0..count {
        let description = Description::random(&mut dice);
        let (as_they_are, _, left_out) = description.judged(&variants()).await;
        judged += variants().len() - left_out.len();
        let left_out: BTreeSet<Selected> = left_out.into_iter().collect();
        let mut applicable = variants();
        applicable.retain(|selected| !left_out.contains(selected));
        let selection = some_of(&mut dice, applicable, most(40));
        replayed += selection.len();
        let found = wrong_with(&description, selection).await;
        wrong.extend(found.into_iter().map(|found| format!("description {number}: {found}")));
        assert!(as_they_are <= variants().len());
    }
    eprintln!(
        "{count} descriptions, {judged} variants that can be judged, {replayed} replayed, {} wrong",
        wrong.len()
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_left_out_uses_something_that_there_is_not() {
    let mut dice = Dice::new(5);
    // What each variant is seen to use, against a service that has all of it.
    let whole = Description::whole();
    let selection = some_of(&mut dice, variants(), most(500));
    let (target, server) = whole.serve().await;
    let people: BTreeMap<String, String> = target
        .identities
        .iter()
        .filter_map(|(name, identity)| Some((name.clone(), identity.xuid.clone()?)))
        .collect();
    let used: Arc<Mutex<BTreeMap<String, BTreeSet<String>>>> = Arc::default();
    let seen = Arc::clone(&used);
    let outcomes = replay(target, selection.clone(), move |outcome| {
        let mut used = features_of(outcome);
        used.append(&mut names_of(outcome, &people));
        seen.lock().unwrap().insert(outcome.id.clone(), used);
    })
    .await;
    server.stop().await;
    assert_eq!(outcomes.len(), selection.len());
    let used = std::mem::take(&mut *used.lock().unwrap());
    let mut wrong = Vec::new();
    for _ in 0..asked("MPSD_DESCRIPTIONS").unwrap_or(30) {
        let description = Description::random(&mut dice);
        let (_, _, left_out) = description.judged(&selection).await;
        let left_out: BTreeSet<Selected> = left_out.into_iter().collect();
        for selected in selection.iter().filter(|selected| left_out.contains(selected)) {
            let case = &SUITE.cases()[selected.case];
            let variant = &case.variants[selected.variant];
            let is_missing = |name: &String| {
                let world = SUITE.world();
                description.lacks.contains(name)
                    || world.identities.contains_key(name) && !description.identities.contains(name)
                    || world.templates.contains_key(name) && !description.templates.contains(name)
            };
            let is_seen = used.get(&variant.id).is_some_and(|used| used.iter().any(is_missing));
            if !is_seen && !is_only_expected(*selected, &is_missing) {
                wrong.push(format!("{} without {:?}", variant.id, description));
            }
        }
    }
    wrong.sort();
    wrong.dedup_by_key(|told| told.split(' ').next().map(str::to_owned));
    assert!(
        wrong.is_empty(),
        "{} could have been judged:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// Whether what is missing is used where the wire does not show it: in what is expected, or in a wait that was not needed.
fn is_only_expected(selected: Selected, is_missing: &dyn Fn(&String) -> bool) -> bool {
    let case = &SUITE.cases()[selected.case];
    let text = SUITE
        .files()
        .get(&format!("cases/{}.json", case.id))
        .unwrap_or_default();
    NEEDS[&selected].iter().any(|need| match need {
        // A list of templates is not asked for any of them.
        Need::Feature(name) if name == "legacy-versions" && text.contains("{template}") => is_missing(name),
        Need::Feature(name) if name == "clock" => is_missing(name) && text.contains("\"within\""),
        Need::Feature(name) => is_missing(name) && case.needs.contains(name),
        Need::Identity(name) => is_missing(name) && text.contains(&format!("{{{name}.")),
        Need::Template(name) => is_missing(name) && text.contains(&format!("{{templates.{name}")),
        Need::Fact(..) => false,
    })
}

/// The features that the exchanges of a conversation show, found in another way than the suite finds them.
fn features_of(outcome: &Outcome) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut add = |feature: &str, is_used: bool| {
        if is_used {
            found.insert(feature.to_owned());
        }
    };
    let speakers: BTreeSet<&str> = outcome
        .exchanges
        .iter()
        .map(|exchange| exchange.speaker.as_str())
        .collect();
    add("titles", speakers.contains("tess") || speakers.contains("otto"));
    add("privileges", speakers.contains("una"));
    add("expired-tokens", speakers.contains("expired"));
    add("server-principal", speakers.contains("server"));
    for exchange in &outcome.exchanges {
        let request = &exchange.request;
        let header = |wanted: &str| {
            let mut headers = request.headers.iter();
            headers
                .find(|(name, _)| name.eq_ignore_ascii_case(wanted))
                .map(|(_, value)| value.as_str())
        };
        let path = request.path.to_ascii_lowercase();
        let path = path.split('?').next().unwrap_or_default();
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        let body: Value = request
            .body
            .as_ref()
            .and_then(|body| serde_json::from_slice(body).ok())
            .unwrap_or_default();
        let shown = exchange.json.as_ref().map(|json| json.value()).unwrap_or_default();
        let is_list = matches!(segments.as_slice(), ["serviceconfigs", _, "sessions" | "batch"])
            || matches!(
                segments.as_slice(),
                ["serviceconfigs", _, "sessiontemplates", _, "sessions" | "batch"]
            );
        add("queries", is_list);
        let is_template = matches!(segments.as_slice(), ["serviceconfigs", scid, "sessiontemplates"] if !scid.is_empty())
            || matches!(segments.as_slice(), ["serviceconfigs", _, "sessiontemplates", name] if !name.is_empty());
        add("templates", is_template);
        add(
            "elements",
            segments.len() > 6
                && segments[0] == "serviceconfigs"
                && request.method != "DELETE"
                && !segments[6].is_empty(),
        );
        add("handles", segments.first() == Some(&"handles"));
        add(
            "search",
            segments.first() == Some(&"handles") && body["type"] == "search",
        );
        add("realtime", request.method == "FRAME" || path == "/connect");
        add(
            "legacy-versions",
            header("X-Xbl-Contract-Version").is_some_and(|version| version == "104" || version == "105"),
        );
        let advance = header(embedded::ADVANCE_HEADER).and_then(|time| time.parse::<u64>().ok());
        add("clock", advance.is_some_and(|time| time > 0));
        add("moved-clock", advance.is_some_and(|time| time >= 3_600_000));
        // What a template says shows nowhere when the request is refused.
        let name = segments.get(3).filter(|_| segments.get(2) == Some(&"sessiontemplates"));
        let template = name.and_then(|name| SUITE.world().templates.get(*name));
        add(
            "legacy-versions",
            template.is_some_and(|template| template.contract_version != ContractVersion::CURRENT),
        );
        let given =
            template.map(|template| json!({ "constants": template.constants, "roleTypes": template.role_types }));
        for document in [&body, shown].into_iter().chain(&given) {
            let system = &document["constants"]["system"];
            let capability = |name: &str| system["capabilities"].get(name).is_some();
            add("large", capability("large") || capability("broadcast"));
            let types = document["roleTypes"].as_object().into_iter().flatten();
            let is_managed = types.clone().any(|(_, of)| of["ownerManaged"] == true);
            let is_owned = capability("hasOwners") || system.get("ownershipPolicies").is_some();
            add("owners", is_owned || is_managed);
            add("realtime", capability("connectionRequiredForActiveMembers"));
            add(
                "initialization",
                system.get("memberInitialization").is_some() || system.get("managedInitialization").is_some(),
            );
            add("roles", types.count() > 0);
        }
        for member in body["members"]
            .as_object()
            .into_iter()
            .flat_map(|members| members.values())
        {
            let system = &member["properties"]["system"];
            add(
                "realtime",
                system.get("subscription").is_some() || system.get("connection").is_some(),
            );
            add("roles", member.get("roles").is_some());
            add(
                "initialization",
                member["constants"]["system"].get("initialize").is_some(),
            );
        }
        let asks_for_people = ["owners", "sessionMembers"]
            .iter()
            .any(|key| body[key]["people"].get("moniker").is_some());
        add("social-graph", asks_for_people);
        let restricts = |to: &str| {
            let system = &body["properties"]["system"];
            system["joinRestriction"] == to || system["readRestriction"] == to
        };
        add("social-graph", restricts("followed"));
        add("same-device", restricts("local"));
        add("same-device", body.to_string().contains("secureDeviceAddress"));
        add(
            "blocks",
            body["constants"]["system"]["capabilities"].get("hasOwners").is_some(),
        );
    }
    // What depends on how two identities know each other is nothing where only one of them is there.
    let bodies: Vec<_> = outcome
        .exchanges
        .iter()
        .map(|exchange| &exchange.request.body)
        .collect();
    let all = format!("{bodies:?}");
    let is_there = |name: &str| {
        let identity = SUITE.world().identities.get(name);
        let xuid = identity.and_then(|identity| identity.xuid.as_deref());
        speakers.contains(name) || xuid.is_some_and(|xuid| all.contains(xuid))
    };
    let asks_for_people = all.contains("moniker");
    for (feature, pairs) in [
        ("blocks", [("alice", "blake")].as_slice()),
        ("same-device", &[("alice", "ann")]),
        ("social-graph", &[("alice", "fay"), ("alice", "hal"), ("gus", "alice")]),
    ] {
        let are_there = pairs.iter().any(|(from, to)| is_there(from) && is_there(to));
        let is_used = are_there || feature == "social-graph" && asks_for_people;
        if !is_used {
            found.remove(feature);
        }
    }
    found
}

/// The identities and templates that the exchanges of a conversation show.
fn names_of(outcome: &Outcome, people: &BTreeMap<String, String>) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for exchange in &outcome.exchanges {
        names.insert(exchange.speaker.clone());
        let text = format!(
            "{} {:?} {} {}",
            exchange.request.path,
            exchange.request.headers,
            String::from_utf8_lossy(exchange.request.body.as_deref().unwrap_or_default()),
            String::from_utf8_lossy(&exchange.response.body),
        );
        names.extend(
            people
                .iter()
                .filter(|(_, xuid)| text.contains(xuid.as_str()))
                .map(|(name, _)| name.clone()),
        );
        let lower = text.to_ascii_lowercase();
        let is_named = |name: &&String| {
            lower.contains(&format!("/sessiontemplates/{name}/"))
                || lower.contains(&format!("/sessiontemplates/{name} "))
                || lower.contains(&format!("/sessiontemplates/{name}?"))
                || lower.contains(&format!("\"{name}\""))
                || lower.contains(&format!("'{name}'"))
        };
        names.extend(SUITE.world().templates.keys().filter(is_named).cloned());
    }
    names
}
