//! The ladder: which missing behaviour of a target stands in the way of the most cases, rung after rung.
//!
//! What a case needs follows from its own steps, and what works from the steps that held anywhere in the run. A case
//! stops at the first step that fails, so what its later steps need and nobody has seen is missing for all we know.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::rc::Rc;

use serde_json::Value;

use crate::contract::Suite;
use crate::contract::case::{Action, Body, Case, Expectation, Request, Script, Scripts, Step, Variant};
use crate::contract::world::ANONYMOUS;
use crate::replay::label::Part;
use crate::replay::verdict::Verdict;
use crate::report::model::{self, Finding, Report};

/// How deep keys of a body are looked at.
const DEPTH: usize = 5;

/// A behaviour that the target does not show yet.
#[derive(Debug, PartialEq, Eq)]
pub struct Rung {
    /// What it is.
    pub behaviour: String,
    /// The clauses that say so, as the case to start with knows them.
    pub clauses: Vec<String>,
    /// What the target did instead; `None` where no case came that far.
    pub found: Option<String>,
    /// Failing cases that lack this next, once the rungs before it are climbed.
    pub waiting: usize,
    /// Those of them that lack nothing else.
    pub unlocked: usize,
    /// The simplest case that is about it.
    pub start: String,
}

/// All rungs, the one in the way of the most cases first.
pub fn climb(report: &Report, suite: &Suite) -> Vec<Rung> {
    let survey = Survey::new(report, suite);
    let mut waiting: Vec<Failing<'_>> = survey.failing();
    let mut climbed: HashSet<Need> = HashSet::new();
    let mut rungs = Vec::new();
    loop {
        let mut next: BTreeMap<Need, Vec<usize>> = BTreeMap::new();
        for (index, failing) in waiting.iter().enumerate() {
            if let Some(need) = failing.needs.iter().find(|need| !climbed.contains(*need)) {
                next.entry(Rc::clone(need)).or_default().push(index);
            }
        }
        let is_last = |index: &&usize, need: &Need| {
            let failing = waiting.get(**index);
            let is_done = |other: &Need| other == need || climbed.contains(other);
            failing.is_some_and(|failing| failing.needs.iter().all(is_done))
        };
        let rank = |(need, cases): &(&Need, &Vec<usize>)| {
            (cases.len(), cases.iter().filter(|index| is_last(index, need)).count())
        };
        let Some((need, cases)) = next.iter().rev().max_by_key(rank) else {
            return rungs;
        };
        let unlocked = cases.iter().filter(|index| is_last(index, need)).count();
        let those = || cases.iter().filter_map(|index| waiting.get(*index));
        if let Some(start) = those().min_by_key(|failing| failing.difficulty(need)) {
            rungs.push(Rung {
                behaviour: need.to_string(),
                clauses: start.clauses_of(need),
                found: those().find_map(|failing| failing.found(need)),
                waiting: cases.len(),
                unlocked,
                start: start.case.id.clone(),
            });
        }
        climbed.insert(Rc::clone(need));
        waiting.retain(|failing| failing.needs.iter().any(|need| !climbed.contains(need)));
    }
}

/// Something that a step needs, in words.
type Need = Rc<str>;

/// A variant, with its script.
#[derive(Clone)]
struct Asked<'a> {
    variant: &'a Variant,
    scripts: Scripts,
}

impl Asked<'_> {
    fn script(&self) -> Option<&Script> {
        self.scripts.of(self.variant)
    }

    fn steps(&self) -> impl Iterator<Item = &Step> {
        self.script().into_iter().flat_map(Script::steps)
    }
}

/// A case that failed, or broke off.
struct Failing<'a> {
    case: &'a model::Case,
    asked: Asked<'a>,
    /// What stopped it, and then what its later steps need.
    needs: Vec<Need>,
    /// How many parts its first step has.
    parts: usize,
    finding: Option<&'a Finding>,
}

impl Failing<'_> {
    /// What makes a case a better start: to be about the matter, to lack little else, to ask for
    /// little at once, and to be short.
    fn difficulty(&self, need: &Need) -> (bool, usize, usize, usize, &str) {
        let is_about = self.needs.first() == Some(need) && self.finding.is_none_or(|finding| !finding.setup);
        (
            !is_about,
            self.needs.len(),
            self.parts,
            self.asked.steps().count(),
            &self.case.id,
        )
    }

    fn clauses_of(&self, need: &Need) -> Vec<String> {
        let own = self
            .finding
            .filter(|finding| self.needs.first() == Some(need) && !finding.clauses.is_empty());
        let mut clauses: Vec<String> = Vec::new();
        for id in own.map_or(&self.case.clauses, |finding| &finding.clauses) {
            if !clauses.contains(id) {
                clauses.push(id.clone());
            }
        }
        clauses
    }

    fn found(&self, need: &Need) -> Option<String> {
        let is_seen = self.needs.first() == Some(need);
        let reason = || self.case.reason.clone();
        is_seen
            .then(|| self.finding.map(|finding| finding.actual.clone()).or_else(reason))
            .flatten()
    }
}

/// What held, and what did not.
struct Survey<'a> {
    report: &'a Report,
    suite: &'a Suite,
    variants: HashMap<&'a str, Asked<'a>>,
    /// Needs of steps that held in any case.
    held: HashSet<String>,
}

impl<'a> Survey<'a> {
    fn new(report: &'a Report, suite: &'a Suite) -> Self {
        let asked = |case: &'a Case| {
            let scripts = case.scripts();
            let asked = move |variant| Asked {
                variant,
                scripts: scripts.clone(),
            };
            case.variants.iter().map(asked)
        };
        let variants = suite.cases().iter().flat_map(asked);
        let mut survey = Self {
            report,
            suite,
            variants: variants.map(|asked| (asked.variant.id.as_str(), asked)).collect(),
            held: HashSet::new(),
        };
        for case in &report.cases {
            let Some(asked) = survey.variants.get(case.id.as_str()).cloned() else {
                continue;
            };
            let (stopped, is_answered) = match case.verdict {
                Verdict::Pass | Verdict::Fixed => (end_of_setup(case), true),
                Verdict::Fail | Verdict::Deviation | Verdict::Inconclusive => survey.stop(case),
                Verdict::NotApplicable | Verdict::SuiteFault => continue,
            };
            // A response of the wrong kind that is nothing but a remark did not hold either.
            let wrong = case
                .findings
                .iter()
                .filter(|finding| finding.assertion.is_of_response());
            let wrong: BTreeSet<usize> = wrong.filter_map(|finding| Some(finding.step?.step)).collect();
            for (index, step) in asked.steps().enumerate() {
                let is_done = index < stopped || index == stopped && is_answered;
                if is_done && !wrong.contains(&(index + 1)) {
                    survey.held.extend(needs(suite, &asked, step));
                }
            }
        }
        survey
    }

    /// The place of the step at which a case stopped, and whether its response was of the right kind all the same.
    fn stop(&self, case: &model::Case) -> (usize, bool) {
        let Some(finding) = case.decisive(self.report.strict) else {
            let last = case.conversation.last().map(|exchange| exchange.step);
            let stopped = last.map_or(0, |last| match last.part {
                Part::Before => last.step.saturating_sub(1),
                _ => last.step,
            });
            return (stopped, false);
        };
        let place = finding.step.map_or(0, |label| label.step.saturating_sub(1));
        let is_wrong = |other: &Finding| other.exchange == finding.exchange && other.assertion.is_of_response();
        (place, !case.findings.iter().any(is_wrong))
    }

    fn failing(&self) -> Vec<Failing<'a>> {
        // A part of what steps need is told by the part that is missing in the most cases.
        let mut missing: HashMap<String, usize> = HashMap::new();
        let mut found = Vec::new();
        let is_failing = |case: &&model::Case| matches!(case.verdict, Verdict::Fail | Verdict::Inconclusive);
        for case in self.report.cases.iter().filter(is_failing) {
            let Some(asked) = self.variants.get(case.id.as_str()).cloned() else {
                continue;
            };
            let (index, is_answered) = self.stop(case);
            let lacking = match asked.steps().nth(index) {
                Some(step) if !is_answered => needs(self.suite, &asked, step),
                _ => Vec::new(),
            };
            let lacking: Vec<String> = lacking.into_iter().filter(|need| !self.held.contains(need)).collect();
            for need in &lacking {
                *missing.entry(need.clone()).or_default() += 1;
            }
            found.push((case, asked, index, lacking));
        }
        let suite = self.suite;
        let mut names: HashMap<String, Need> = HashMap::new();
        let mut name = |text: String| Rc::clone(names.entry(text).or_insert_with_key(|text| Rc::from(text.as_str())));
        let failing = |(case, asked, index, lacking): (&'a model::Case, Asked<'a>, usize, Vec<String>)| {
            let finding = case.decisive(self.report.strict);
            let is_setup = finding.is_none_or(|finding| finding.setup);
            let blocker = match lacking.split_first() {
                // Without the answer as such, nothing of it can be told to be missing.
                Some((base, _)) if !base.contains(PART) => base.clone(),
                // What a case is about, its clause tells better than the parts of its request.
                Some(_) if is_setup => {
                    let most = lacking.iter().rev().max_by_key(|need| missing.get(*need).copied());
                    most.cloned().unwrap_or_default()
                }
                _ => self.plain_cause(&asked, index, finding),
            };
            let later = asked.steps().skip(index + 1);
            let later = later.filter_map(|step| needs(self.suite, &asked, step).into_iter().next());
            let mut seen = BTreeSet::new();
            let needs = std::iter::once(blocker).chain(later.filter(|need| !self.held.contains(need)));
            let needs = needs.filter(|need| seen.insert(need.clone())).map(&mut name).collect();
            let first = asked.steps().next();
            let parts = first.map_or(0, |step| self::needs(suite, &asked, step).len());
            Failing {
                case,
                asked,
                needs,
                parts,
                finding,
            }
        };
        found.into_iter().map(failing).collect()
    }

    /// What is told where every part of a step is known to work: the clause, and what was asserted.
    fn plain_cause(&self, asked: &Asked<'_>, index: usize, finding: Option<&Finding>) -> String {
        let suite = self.suite;
        let Some(finding) = finding else {
            let step = asked.steps().nth(index);
            let needs = step.map(|step| needs(suite, asked, step)).unwrap_or_default();
            return format!(
                "{}, within the time limit",
                needs.into_iter().next().unwrap_or_default()
            );
        };
        let (assertion, expected) = (finding.assertion.clone().general(), &finding.expected);
        match finding.clauses.iter().find_map(|id| suite.clause(id)) {
            Some(clause) if assertion.is_of_response() => clause.statement.clone(),
            Some(clause) => format!("{} [{}]", clause.statement, assertion.to_string().trim_end()),
            None => {
                let step = asked.steps().nth(index);
                let needs = step.map(|step| needs(suite, asked, step)).unwrap_or_default();
                let base = needs.into_iter().next().unwrap_or_default();
                format!("{base} in the setup of the case: {assertion} {expected}")
            }
        }
    }
}

/// The place of the setup step that failed in a case that passed all the same, as those of inferred clauses do: no later
/// step was run.
fn end_of_setup(case: &model::Case) -> usize {
    let failed = case.findings.iter().find(|finding| finding.setup);
    let label = failed.and_then(|finding| finding.step);
    label.map_or(usize::MAX, |label| label.step.saturating_sub(1))
}

/// What joins an answer and the part of a request that it is an answer to.
const PART: &str = " where ";

/// What a step needs: the answer as such, and then each part of its request, the larger before the smaller.
fn needs(suite: &Suite, asked: &Asked<'_>, step: &Step) -> Vec<String> {
    let answer = answer(step);
    let request = match &step.action {
        Action::Send(request) => request,
        Action::Together(requests) => match requests.first() {
            Some(request) => request,
            None => return Vec::new(),
        },
        Action::Again(name) => {
            let mut steps = asked.steps();
            let named = steps.find(|step| step.name.as_ref() == Some(name));
            match named.map(Step::requests).and_then(<[Request]>::first) {
                Some(request) => request,
                None => return Vec::new(),
            }
        }
        Action::Open(..) => return vec![format!("a real-time socket opens{answer}")],
        Action::Frame(..) => return vec!["a frame arrives on a real-time socket".to_owned()],
        Action::Close(_) => return Vec::new(),
    };
    let base = format!("{} of {}{answer}", request.method, subject(suite, request));
    let mut parts = Vec::new();
    if step.after.is_some() || step.within.is_some() {
        parts.push("time has passed".to_owned());
    }
    if matches!(step.action, Action::Together(_)) {
        parts.push("several requests are sent at once".to_owned());
    }
    if ANONYMOUS.contains(&request.speaker.as_str()) {
        parts.push(format!("the caller is {}", request.speaker));
    } else if let Some(identity) = suite.world().identities.get(&request.speaker) {
        let facts = [
            (identity.is_server, "the caller is a server".to_owned()),
            (identity.expired, "the caller's token has expired".to_owned()),
            (
                identity.title != "main",
                format!("the caller runs the title `{}`", identity.title),
            ),
        ];
        parts.extend(facts.into_iter().filter(|(is_so, _)| *is_so).map(|(_, part)| part));
    }
    if request.path.contains("{session}")
        && let Some(template) = asked.script().map(|script| &script.template)
        && template != "open"
    {
        parts.push(format!("the template is `{template}`"));
    }
    for (name, values) in &request.headers {
        let is_sent = if values.is_empty() { "is not sent" } else { "is sent" };
        parts.push(format!("the header {name} {is_sent}"));
    }
    if let Some((_, query)) = request.path.split_once('?') {
        let names = query.split('&').filter_map(|pair| pair.split('=').next());
        parts.extend(names.map(|name| format!("the query has `{name}`")));
    }
    match &request.body {
        Body::Json(body) => {
            let mut pointers = BTreeSet::new();
            add_pointers(body, "", 0, &mut pointers);
            parts.extend(
                pointers
                    .into_iter()
                    .map(|(_, pointer)| format!("the body has `{pointer}`")),
            );
        }
        Body::Text(_) | Body::Bytes(_) => parts.push("the body is not JSON".to_owned()),
        Body::None => {}
    }
    if asked.variant.version.is_legacy() {
        parts.push(format!("the contract version is {}", asked.variant.version));
    }
    let parts = parts.iter().map(|part| format!("{base}{PART}{part}"));
    std::iter::once(base.clone()).chain(parts).collect()
}

/// What a step asks of the answer's kind, in words that follow the request's.
fn answer(step: &Step) -> String {
    let mut statuses = BTreeSet::new();
    let expectations = step.expectations();
    for expectation in expectations {
        add_statuses(expectation, &mut statuses);
    }
    statuses.extend(step.tally.iter().map(|(set, _)| set.to_string()));
    if statuses.is_empty() {
        return " returns a response".to_owned();
    }
    format!(" returns {}", statuses.into_iter().collect::<Vec<_>>().join(" or "))
}

fn add_statuses(expectation: &Expectation, statuses: &mut BTreeSet<String>) {
    statuses.extend(expectation.status.as_ref().map(ToString::to_string));
    for (_, reading) in expectation.reading.iter().flat_map(|(_, readings)| readings) {
        add_statuses(reading, statuses);
    }
}

/// What a request is about, in words.
fn subject(suite: &Suite, request: &Request) -> String {
    match suite.schemas().operation(&request.method, &request.sample_path()) {
        Some(operation) => {
            let description = operation.path().description.trim_end_matches('.');
            let mut letters = description.chars();
            let first = letters.next().map(|first| first.to_lowercase().to_string());
            first.unwrap_or_default() + letters.as_str()
        }
        None => "a path outside the contract".to_owned(),
    }
}

/// The keys of a body by their depth, as pointers; what titles make up themselves is not looked into.
fn add_pointers(value: &Value, pointer: &str, depth: usize, pointers: &mut BTreeSet<(usize, String)>) {
    if depth >= DEPTH || pointer.ends_with("/custom") {
        return;
    }
    match value {
        Value::Object(members) => {
            for (key, member) in members {
                let pointer = format!("{pointer}/{key}");
                pointers.insert((depth, pointer.clone()));
                add_pointers(member, &pointer, depth + 1, pointers);
            }
        }
        Value::Array(elements) => {
            for element in elements {
                add_pointers(element, &format!("{pointer}/*"), depth + 1, pointers);
            }
        }
        _ => {}
    }
}

/// Rungs as they are told, at most so many.
pub fn render(rungs: &[Rung], most: usize) -> String {
    use std::fmt::Write as _;

    use crate::contract::plain::{self, Plain};

    let mut out = String::new();
    for (index, rung) in rungs.iter().take(most).enumerate() {
        let (unlocked, nearer) = (rung.unlocked, rung.waiting - rung.unlocked);
        let cases = |count: usize| plain::count(count, "case");
        let effect = match (unlocked, nearer) {
            (unlocked, 0) => format!("unblocks {}", cases(unlocked)),
            (0, nearer) => format!("is a step towards {}", cases(nearer)),
            (unlocked, nearer) => format!("unblocks {}, and is a step towards {nearer} more", cases(unlocked)),
        };
        let (number, clauses) = (index + 1, rung.clauses.join(", "));
        let found = match &rung.found {
            Some(found) => format!("found {}", shortened(found)),
            None => "not reached by any case".to_owned(),
        };
        // Writing to a string cannot fail.
        let _ = writeln!(out, "{number:>2}. {} ({clauses}): {effect}", Plain(&rung.behaviour));
        let _ = writeln!(out, "    {}; start with {}", Plain(&found), Plain(&rung.start));
        if let Some(clause) = rung.clauses.first() {
            let _ = writeln!(out, "    `mpsd-conformance explain {clause}`");
        }
    }
    if rungs.len() > most {
        let _ = writeln!(out, "and {} more", rungs.len() - most);
    }
    out
}

fn shortened(text: &str) -> String {
    const LONGEST: usize = 100;
    let mut shown: String = text.chars().take(LONGEST).collect();
    if shown.len() < text.len() {
        shown.push_str("...");
    }
    shown
}
