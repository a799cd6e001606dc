//! A case: a conversation that tests one or a few clauses, read from its file.

pub mod adapt;
pub mod matcher;
pub mod needs;
pub mod strength;
pub mod variable;
pub mod words;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::contract::files::Text;
use crate::contract::json::{Fields, Item, Problems, Word as _, escape};
use crate::contract::version::ContractVersion;
use matcher::Matcher;
use variable::{Scope, resolve};
use words::{CaseKey, ExpectKey, StepKey};

/// A case file, with its variants.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its path under `cases/`, without `.json`.
    pub id: String,
    /// What is true of a service that passes.
    pub title: String,
    /// The clauses it tests, where a row does not say otherwise.
    pub clauses: Vec<String>,
    /// Features that a target may lack: those of its chapter, then its own.
    pub needs: Vec<String>,
    /// One for each row and contract version.
    pub variants: Vec<Variant>,
    origin: Origin,
}

/// Where a case's conversations are read from.
///
/// They are by far the greater part of a suite, and few are needed at a time: nobody keeps them but who uses them, until
/// it shows that they are wanted again and again.
#[derive(Clone, Debug)]
struct Origin {
    text: Text,
    scripts: Arc<Mutex<Reread>>,
}

/// Conversations that were read before.
#[derive(Debug, Default)]
struct Reread {
    /// Whoever uses them has them.
    used: Weak<Vec<Script>>,
    kept: Option<Arc<Vec<Script>>>,
    times: u8,
}

/// Conversations that are read so often are kept: a run reads most of them once, a proof hundreds of times.
const OFTEN: u8 = 3;

/// The conversations of a case, one for each row of its table.
#[derive(Clone, Debug)]
pub struct Scripts(Arc<Vec<Script>>);

impl Scripts {
    /// What is said in a variant; its versions share it.
    pub fn of(&self, variant: &Variant) -> &Script {
        // No case of a sound suite is without.
        static NONE: Script = Script::empty();
        self.0.get(variant.row).unwrap_or(&NONE)
    }
}

impl Case {
    /// What is said in its variants. Hold on to it while the variants are gone through: it is read again when nobody has
    /// it, the first few times.
    pub fn scripts(&self) -> Scripts {
        let mut reread = self.origin.scripts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(scripts) = reread.used.upgrade() {
            return Scripts(scripts);
        }
        let problems = Problems::new("");
        let root = crate::contract::json::parse("", &self.origin.text).unwrap_or_default();
        let rows = read_rows(Item::root(&root, &problems)).unwrap_or_default();
        let mut shared = Vec::new();
        let mut read = |row| read_script(Item::root(&root, &problems), row, &mut shared, &problems);
        let scripts: Arc<Vec<Script>> = Arc::new(rows.iter().map_while(&mut read).collect());
        reread.used = Arc::downgrade(&scripts);
        reread.times = reread.times.saturating_add(1);
        if reread.times >= OFTEN {
            reread.kept = Some(Arc::clone(&scripts));
        }
        Scripts(scripts)
    }
}

/// The folder, and so the first part of the ids, of drafts: cases that are no part of the suite yet.
pub const DRAFTS: &str = "drafts";

impl Case {
    /// Whether it is a draft: nothing was recorded of it.
    pub fn is_draft(&self) -> bool {
        is_draft(&self.id)
    }
}

/// Whether this is the id of a draft.
pub fn is_draft(id: &str) -> bool {
    id.split('/').next() == Some(DRAFTS)
}

/// One way of running a case.
#[derive(Clone, Debug)]
pub struct Variant {
    /// The case's id, then `#row` and `@version` where there are several.
    pub id: String,
    /// The clauses it tests.
    pub clauses: Vec<String>,
    /// The contract version it speaks.
    pub version: ContractVersion,
    /// The clauses that single expectations name in the place of its own.
    pub judged: Vec<String>,
    /// The place of its row in the table.
    row: usize,
}

/// A conversation as it is written, the row of a table filled in.
#[derive(Clone, Debug)]
pub struct Script {
    /// The suite's template of `{session}`.
    pub template: String,
    /// Further sessions.
    pub sessions: Vec<SessionSpec>,
    /// Named values, in order.
    pub lets: Vec<(String, Value)>,
    /// Whether the case is about the template itself, so that nobody may say in its place what it says.
    pub template_is_the_point: bool,
    /// Who reads the document for `unchanged`.
    pub observer: String,
    /// Identities that no other conversation may claim while this one runs, sorted: the case's own, and those that set
    /// activities, of which a user has one (HDL-ACT-006).
    pub claims: Vec<String>,
    /// The steps, in order; rows of a table share those that are the same in all of them.
    steps: Vec<Arc<Step>>,
}

impl Script {
    /// The steps, in order.
    pub fn steps(&self) -> impl Iterator<Item = &Step> + Clone {
        self.steps.iter().map(|step| &**step)
    }

    const fn empty() -> Self {
        Self {
            template: String::new(),
            template_is_the_point: false,
            sessions: Vec::new(),
            lets: Vec::new(),
            observer: String::new(),
            claims: Vec::new(),
            steps: Vec::new(),
        }
    }
}

/// A fresh session of a case, besides `{session}`.
#[derive(Clone, Debug)]
pub struct SessionSpec {
    /// What the case calls it.
    pub key: String,
    /// The suite's template.
    pub template: Option<String>,
    /// Its name; a fresh GUID when absent. May hold variables.
    pub name: Option<String>,
}

/// One exchange of a case, or several at once.
#[derive(Clone, Debug)]
pub struct Step {
    /// What later steps call it.
    pub name: Option<String>,
    /// Where it stands in the file, a JSON Pointer.
    pub pointer: String,
    /// What it does.
    pub action: Action,
    /// Whether it only prepares what the case is about.
    pub is_setup: bool,
    /// Time to let pass first, in ms.
    pub after: Option<u64>,
    /// Time in which the expectation must come true, in ms.
    pub within: Option<u64>,
    /// What is expected of each answer.
    pub expect: Option<Expectation>,
    /// What else is expected of each answer, with clauses of its own.
    pub also: Vec<Expectation>,
    /// How many answers of a simultaneous step have which status.
    pub tally: Vec<(StatusSet, Matcher)>,
    /// What is expected of the answers with a status.
    pub each: Vec<(StatusSet, Expectation)>,
}

/// What a step does.
#[derive(Clone, Debug)]
pub enum Action {
    /// One request.
    Send(Request),
    /// The request of an earlier step once more.
    Again(String),
    /// Several requests at once.
    Together(Vec<Request>),
    /// Opening of a real-time socket, by what later steps call it; the request's path and headers, without a body.
    Open(String, Request),
    /// A frame to send on a socket, if any, and then one to receive.
    Frame(String, Option<Value>),
    /// The closing of a socket.
    Close(String),
}

/// A request, with its variables in place.
#[derive(Clone, Debug)]
pub struct Request {
    /// Who speaks.
    pub speaker: String,
    /// The verb.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Headers to set or, with an empty list, to leave out.
    pub headers: Vec<(String, Vec<String>)>,
    /// The body.
    pub body: Body,
    fixed: OnceLock<Option<Bytes>>,
}

/// What a request carries.
#[derive(Clone, Debug)]
pub enum Body {
    /// Nothing.
    None,
    /// JSON, with variables and generators.
    Json(Value),
    /// A text sent as it is, with variables and generators.
    Text(Value),
    /// Bytes.
    Bytes(Vec<u8>),
}

/// A set of status codes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusSet(Vec<(u16, u16)>);

/// What kind of body an answer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// A JSON document.
    Json,
    /// Text for people.
    Text,
    /// Nothing.
    None,
}

/// What is expected of an answer; matchers are JSON, see `cases/README.md`.
#[derive(Clone, Debug, Default)]
pub struct Expectation {
    /// Where it stands in the file, a JSON Pointer.
    pub pointer: String,
    /// The status.
    pub status: Option<StatusSet>,
    /// Headers and their matchers.
    pub headers: Vec<(String, Matcher)>,
    /// The kind of body.
    pub content: Option<Content>,
    /// A matcher for the JSON body.
    pub body: Option<Matcher>,
    /// Matchers for parts of the JSON body.
    pub at: Vec<(String, Matcher)>,
    /// A matcher that no frame of the socket may fit, of those that came so far.
    pub none: Option<Matcher>,
    /// The session that must be as before: a path with variables.
    pub unchanged: Option<String>,
    /// The step whose document and `ETag` this answer must have.
    pub same_as: Option<String>,
    /// Whether its own matchers, and the places they are about, hold no variable.
    pub is_plain: bool,
    /// Whether the list of members is walked.
    pub roster: bool,
    /// Values to keep for later.
    pub capture: Vec<(String, Source)>,
    /// The clauses it counts against, where they are others than the case's.
    pub clauses: Option<Vec<String>>,
    /// The readings of a contested clause, by ledger entry.
    pub reading: Option<(String, Vec<(String, Self)>)>,
}

impl Expectation {
    /// Whether an answer of this status and kind is as expected once its headers and its body are, each for itself.
    pub(super) fn is_of_parts(&self, status: u16, content: Content) -> bool {
        let is_more = self.roster
            || self.none.is_some()
            || self.unchanged.is_some()
            || self.same_as.is_some()
            || self.reading.is_some();
        let is_of_kind = self.status.as_ref().is_none_or(|set| set.contains(status))
            && self.content.is_none_or(|expected| expected == content);
        self.is_plain && is_of_kind && !is_more
    }
}

/// Where a captured value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The status code.
    Status,
    /// A header's value.
    Header(String),
    /// The body's value at a JSON Pointer.
    Body(String),
}

impl StatusSet {
    /// Whether the set holds a status.
    pub fn contains(&self, status: u16) -> bool {
        self.0.iter().any(|(low, high)| (*low..=*high).contains(&status))
    }

    /// The status, if there is but one in it.
    pub fn only(&self) -> Option<u16> {
        match self.0.as_slice() {
            [(low, high)] if low == high => Some(*low),
            _ => None,
        }
    }

    /// The number of statuses in it.
    pub fn width(&self) -> usize {
        self.0.iter().map(|(low, high)| usize::from(high - low) + 1).sum()
    }

    /// Whether it holds refusals only.
    pub fn is_refusal(&self) -> bool {
        self.0.iter().all(|(low, high)| *low >= 400 && *high < 500)
    }

    /// Whether it holds successes only.
    pub fn is_success(&self) -> bool {
        self.0.iter().all(|(low, high)| *low >= 200 && *high < 300)
    }

    fn parse(text: &str) -> Option<Vec<(u16, u16)>> {
        match text.strip_suffix("xx").and_then(|class| class.parse::<u16>().ok()) {
            Some(class @ 1..=5) => Some(vec![(class * 100, class * 100 + 99)]),
            _ => text
                .parse()
                .ok()
                .filter(|code| (100..600).contains(code))
                .map(|code| vec![(code, code)]),
        }
    }
}

impl std::fmt::Display for StatusSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, (low, high)) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(" or ")?;
            }
            if low == high {
                write!(f, "{low}")?;
            } else {
                write!(f, "{}xx", low / 100)?;
            }
        }
        Ok(())
    }
}

impl Expectation {
    /// The number of things it asserts.
    pub fn assertions(&self) -> usize {
        let Self {
            status,
            headers,
            content,
            body,
            at,
            none,
            unchanged,
            same_as,
            roster,
            reading,
            pointer: _,
            is_plain: _,
            capture: _,
            clauses: _,
        } = self;
        let single = [
            status.is_some(),
            content.is_some(),
            body.is_some(),
            none.is_some(),
            unchanged.is_some(),
            same_as.is_some(),
            *roster,
            reading.is_some(),
        ];
        single.into_iter().filter(|is_asserted| *is_asserted).count() + headers.len() + at.len()
    }

    /// The session that must be as before, under this expectation or one of its readings.
    pub fn guarded(&self) -> Option<&String> {
        let mut nested = self.reading.iter().flat_map(|(_, readings)| readings);
        self.unchanged
            .as_ref()
            .or_else(|| nested.find_map(|(_, reading)| reading.guarded()))
    }

    /// Every matcher of its own with the place below it; those of its readings are theirs.
    pub fn own_matchers(&self) -> Vec<(String, &Value)> {
        let headers = self
            .headers
            .iter()
            .map(|(name, matcher)| (format!("headers/{name}"), matcher.said()));
        let at = self
            .at
            .iter()
            .map(|(pointer, matcher)| (format!("at/{}", escape(pointer)), matcher.said()));
        let body = self.body.iter().map(|matcher| ("body".to_owned(), matcher.said()));
        let none = self.none.iter().map(|matcher| ("none".to_owned(), matcher.said()));
        headers.chain(at).chain(body).chain(none).collect()
    }

    /// The places in the body that its own matchers and captures are about; they may hold variables.
    pub fn pointers(&self) -> impl Iterator<Item = &str> {
        let captured = self.capture.iter().filter_map(|(_, source)| match source {
            Source::Body(pointer) => Some(pointer.as_str()),
            _ => None,
        });
        self.at.iter().map(|(pointer, _)| pointer.as_str()).chain(captured)
    }

    /// Every capture in it, and those of its readings that all of them have.
    pub fn captures(&self) -> Vec<&str> {
        let mut captures: Vec<&str> = self.capture.iter().map(|(name, _)| name.as_str()).collect();
        let mut readings = self.reading.iter().flat_map(|(_, readings)| readings);
        let first = readings
            .next()
            .map(|(_, reading)| reading.captures())
            .unwrap_or_default();
        let others: Vec<_> = readings.map(|(_, reading)| reading.captures()).collect();
        captures.extend(
            first
                .into_iter()
                .filter(|name| others.iter().all(|other| other.contains(name))),
        );
        captures
    }
}

impl Request {
    /// A request without headers or body.
    pub fn bare(speaker: &str, method: &str, path: String) -> Self {
        Self {
            speaker: speaker.to_owned(),
            method: method.to_owned(),
            path,
            headers: Vec::new(),
            body: Body::None,
            fixed: OnceLock::new(),
        }
    }

    /// The JSON body as it goes over the wire, if it is one that nothing changes any more: no variable and no generator.
    pub fn fixed(&self) -> Option<&Bytes> {
        let fixed = self.fixed.get_or_init(|| match &self.body {
            Body::Json(value) if variable::is_plain(value) => match variable::generate(value) {
                Cow::Borrowed(value) => Some(value.to_string().into()),
                Cow::Owned(_) => None,
            },
            _ => None,
        });
        fixed.as_ref()
    }

    /// A path of the same shape, with something in the place of every variable.
    pub fn sample_path(&self) -> String {
        let value = |name: &str| {
            let is_session = self.path.strip_prefix('{').is_some_and(|path| path.starts_with(name));
            let text = if is_session {
                "/serviceconfigs/s/sessiontemplates/t/sessions/n"
            } else if name.contains(".index") {
                "0"
            } else {
                "x"
            };
            Some(text.into())
        };
        let scope = Scope {
            value: &value,
            is_last: true,
        };
        variable::substitute_text(&self.path, scope)
    }
}

impl Step {
    /// The requests it makes itself.
    pub fn requests(&self) -> &[Request] {
        match &self.action {
            Action::Send(request) | Action::Open(_, request) => std::slice::from_ref(request),
            Action::Again(_) | Action::Frame(..) | Action::Close(_) => &[],
            Action::Together(requests) => requests,
        }
    }

    /// Everything it expects.
    pub fn expectations(&self) -> impl Iterator<Item = &Expectation> {
        self.expect
            .iter()
            .chain(&self.also)
            .chain(self.each.iter().map(|(_, expectation)| expectation))
    }

    fn expectations_mut(&mut self) -> impl Iterator<Item = &mut Expectation> {
        self.expect
            .iter_mut()
            .chain(&mut self.also)
            .chain(self.each.iter_mut().map(|(_, expectation)| expectation))
    }
}

const CONTENTS: [(&str, Content); 3] = [
    ("json", Content::Json),
    ("text", Content::Text),
    ("none", Content::None),
];

/// Reads a case file, whose text is parsed as `root`; what is wrong with it is added to `problems`.
///
/// `chapter` is what all cases of its chapter need.
pub(super) fn read(
    id: &str,
    text: &Text,
    root: &Value,
    chapter: &[String],
    problems: &Problems<'_>,
) -> Option<(Case, Scripts)> {
    let file = Item::root(root, problems);
    let fields = file.object(CaseKey::NAMES)?;
    let title = fields.string(CaseKey::Title);
    if !title.is_empty()
        && !title.ends_with('.')
        && let Some(item) = fields.get(CaseKey::Title)
    {
        item.wrong(
            "a title is one sentence with a period",
            "a period is missing at the end",
        );
    }
    let clauses = fields
        .require(CaseKey::Clauses)
        .and_then(|item| item.strings())
        .unwrap_or_default();
    let versions = fields
        .get(CaseKey::Versions)
        .map_or(Some(vec![ContractVersion::CURRENT]), ContractVersion::read_list)?;
    let mut case = Case {
        id: id.to_owned(),
        title,
        clauses: clauses.clone(),
        needs: read_needs(fields, chapter),
        variants: Vec::new(),
        origin: Origin {
            text: text.clone(),
            scripts: Arc::default(),
        },
    };
    let (mut scripts, mut shared) = (Vec::new(), Vec::new());
    let is_versioned = versions.len() > 1;
    for (place, row) in read_rows(file)?.into_iter().enumerate() {
        let script = read_script(file, &row, &mut shared, problems)?;
        let own = script.steps().flat_map(Step::expectations);
        let judged: BTreeSet<String> = own
            .filter_map(|expectation| expectation.clauses.clone())
            .flatten()
            .collect();
        scripts.push(script);
        let clauses = row.clauses.as_ref().unwrap_or(&clauses);
        for version in row.version.map_or(versions.clone(), |version| vec![version]) {
            let mut id = id.to_owned();
            if !row.name.is_empty() {
                id.extend(["#", &row.name]);
            }
            if is_versioned {
                id.extend(["@", &version.to_string()]);
            }
            case.variants.push(Variant {
                id,
                clauses: clauses.clone(),
                version,
                judged: judged.iter().cloned().collect(),
                row: place,
            });
        }
    }
    Some((case, Scripts(Arc::new(scripts))))
}

/// What a case needs: what its chapter does, and what it names itself.
fn read_needs(fields: Fields<'_, '_>, chapter: &[String]) -> Vec<String> {
    let Some(item) = fields.get(CaseKey::Needs) else {
        return chapter.to_vec();
    };
    let own = item.elements(|item| {
        let need = item.string()?.to_owned();
        if chapter.contains(&need) {
            item.wrong(
                format!("all cases of the chapter need `{need}`"),
                "the chapter's `clauses.json` says so; leave it out here",
            );
        }
        Some(need)
    });
    chapter.iter().cloned().chain(own.into_iter().flatten()).collect()
}

/// The rows of a case's table; one that changes nothing when it has none.
fn read_rows(file: Item<'_>) -> Option<Vec<Row>> {
    let table = file.object(CaseKey::NAMES)?.get(CaseKey::Table);
    table.map_or(Some(vec![Row::default()]), read_table)
}

/// Reads what is said, with the cells of a row in the place of its variables.
///
/// `shared` keeps the steps that are the same in all rows.
fn read_script(
    file: Item<'_>,
    row: &Row,
    shared: &mut Vec<Option<Arc<Step>>>,
    problems: &Problems<'_>,
) -> Option<Script> {
    let value = |name: &str| row.cells.get(name).cloned();
    let scope = Scope {
        value: &value,
        is_last: false,
    };
    let fields = file.object(CaseKey::NAMES)?;
    let part = |key| {
        let item = fields.get(key)?;
        let value = if row.cells.is_empty() {
            Cow::Borrowed(item.value())
        } else {
            resolve(item.value(), scope)
        };
        Some((value, item.pointer()))
    };
    let text = |key| match part(key) {
        Some((value, pointer)) => Some(Some(Item::at(&value, &pointer, problems).string()?.to_owned())),
        None => Some(None),
    };
    let sessions = match part(CaseKey::Sessions) {
        Some((value, pointer)) => Item::at(&value, &pointer, problems).members(read_session)?,
        None => Vec::new(),
    };
    let lets = match part(CaseKey::Let) {
        Some((value, pointer)) => {
            let read = |key: &str, item: Item<'_>| Some((key.to_owned(), item.value().clone()));
            Item::at(&value, &pointer, problems).members(read)?
        }
        None => Vec::new(),
    };
    let item = fields.require(CaseKey::Steps)?;
    let mut place = 0;
    let steps = item.elements(|item| {
        place += 1;
        if let Some(Some(step)) = shared.get(place - 1) {
            return Some(Arc::clone(step));
        }
        let is_first = shared.len() < place;
        let is_shared = is_first
            && (row.cells.is_empty() || !variable::mentions(item.value(), &|name| row.cells.contains_key(name)));
        let step = Arc::new(if is_shared {
            read_step(item)?
        } else {
            let value = resolve(item.value(), scope);
            read_step(Item::at(&value, &item.pointer(), problems))?
        });
        if is_first {
            shared.resize(place, None);
        }
        if let Some(kept) = shared.get_mut(place - 1).filter(|_| is_shared) {
            *kept = Some(Arc::clone(&step));
        }
        Some(step)
    })?;
    if steps.is_empty() && problems.is_empty() {
        item.wrong("a case needs at least one step", "steps go here");
    }
    let setters = steps
        .iter()
        .flat_map(|step| step.requests())
        .filter(|request| sets_activity(request));
    let mut claims: Vec<String> = setters
        .map(|request| request.speaker.clone())
        .chain(fields.strings(CaseKey::Exclusive))
        .collect();
    claims.sort_unstable();
    claims.dedup();
    let first = steps.iter().flat_map(|step| step.requests()).next();
    let first = first.map(|request| request.speaker.clone());
    Some(Script {
        template: text(CaseKey::Template)?.unwrap_or_else(|| "open".to_owned()),
        template_is_the_point: fields
            .get(CaseKey::TemplateIsThePoint)
            .map_or(Some(false), |item| item.boolean())?,
        observer: text(CaseKey::Observer)?.or(first).unwrap_or_default(),
        claims,
        sessions,
        lets,
        steps,
    })
}

fn sets_activity(request: &Request) -> bool {
    let Body::Json(body) = &request.body else { return false };
    request.method == "POST"
        && request.path.eq_ignore_ascii_case("/handles")
        && body.get("type") == Some(&"activity".into())
}

fn read_session(key: &str, item: Item<'_>) -> Option<SessionSpec> {
    let fields = item.object(&["template", "name"])?;
    let (template, name) = (fields.optional_string("template"), fields.optional_string("name"));
    Some(SessionSpec {
        key: key.to_owned(),
        template,
        name,
    })
}

#[derive(Default)]
struct Row {
    name: String,
    clauses: Option<Vec<String>>,
    version: Option<ContractVersion>,
    cells: Map<String, Value>,
}

fn read_table(item: Item<'_>) -> Option<Vec<Row>> {
    let fields = item.object(&["columns", "rows"])?;
    let columns = fields.require("columns")?.strings()?;
    if columns.first().is_none_or(|first| first != "row") {
        item.wrong(
            "the first column of a table is `row`, the row's name",
            "expected `row` as the first column",
        );
        return None;
    }
    let mut names = Vec::new();
    fields.require("rows")?.elements(|row| {
        let cells = row.value().as_array().map(Vec::as_slice).unwrap_or_default();
        if cells.len() != columns.len() {
            let message = format!("expected {} cells, found {}", columns.len(), cells.len());
            row.wrong(message, format!("one cell for each of `{}`", columns.join("`, `")));
            return None;
        }
        let mut read = Row::default();
        let mut index = 0;
        row.elements(|cell| {
            let column = columns.get(index)?;
            index += 1;
            match column.as_str() {
                "row" => {
                    read.name = cell.string()?.to_owned();
                    let is_slug = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
                    if read.name.is_empty() || !read.name.chars().all(is_slug) {
                        cell.wrong("a row's name is kebab-case", "lower-case letters, digits and hyphens");
                    }
                    if names.contains(&read.name) {
                        cell.wrong(
                            format!("two rows are named `{}`", read.name),
                            "a name of its own goes here",
                        );
                    }
                    names.push(read.name.clone());
                }
                "clauses" if !cell.value().is_null() => read.clauses = Some(cell.strings()?),
                "version" if !cell.value().is_null() => read.version = Some(ContractVersion::read(cell)?),
                "clauses" | "version" => {}
                _ => {
                    read.cells.insert(column.clone(), cell.value().clone());
                }
            }
            Some(())
        })?;
        Some(read)
    })
}

/// Reads a step.
fn read_step(item: Item<'_>) -> Option<Step> {
    let fields = item.object(StepKey::NAMES)?;
    let mut step = Step {
        name: None,
        pointer: item.pointer(),
        action: read_action(item, fields)?,
        is_setup: false,
        after: None,
        within: None,
        expect: None,
        also: Vec::new(),
        tally: Vec::new(),
        each: Vec::new(),
    };
    for (key, item) in fields.words() {
        match key {
            StepKey::Name => step.name = Some(item.string()?.to_owned()),
            StepKey::Setup => step.is_setup = item.boolean()?,
            StepKey::After => step.after = Some(item.unsigned()?),
            StepKey::Within => step.within = Some(item.unsigned()?),
            StepKey::Expect => step.expect = Some(read_expectation(item)?),
            StepKey::Also => step.also = item.elements(read_expectation)?,
            StepKey::Tally => {
                step.tally = item.members(|key, item| Some((read_status_key(key, item)?, Matcher::read(item))))?;
            }
            StepKey::Each => {
                step.each = item.members(|key, item| Some((read_status_key(key, item)?, read_expectation(item)?)))?;
            }
            // What it does, which is read above.
            StepKey::As
            | StepKey::Get
            | StepKey::Put
            | StepKey::Post
            | StepKey::Delete
            | StepKey::Method
            | StepKey::Path
            | StepKey::Headers
            | StepKey::Body
            | StepKey::Text
            | StepKey::Base64
            | StepKey::Again
            | StepKey::Together
            | StepKey::Open
            | StepKey::Socket
            | StepKey::Send
            | StepKey::Close => {}
        }
    }
    check_also(fields, &step);
    let asserts = step.tally.len() + step.expectations().map(Expectation::assertions).sum::<usize>();
    // What is written there and not understood is reported already.
    let is_silent = |key: &StepKey| {
        let members = fields.get(*key).and_then(|item| item.value().as_object());
        members.is_none_or(|members| members.keys().all(|key| key == "capture" || key == "clauses"))
    };
    let is_silent = [StepKey::Expect, StepKey::Tally, StepKey::Each].iter().all(is_silent);
    if asserts == 0 && is_silent && !matches!(step.action, Action::Close(_)) {
        item.wrong(
            "a step that expects nothing",
            "`expect` goes here, with a `status` at least",
        );
    }
    Some(step)
}

/// The words that are verbs, with the verbs.
fn verbs() -> impl Iterator<Item = (StepKey, &'static str)> {
    let words = StepKey::ROWS.iter().flat_map(|(words, _)| *words);
    words.filter_map(|word| Some((*word, word.verb()?)))
}

/// Reads what a step does.
fn read_action(item: Item<'_>, fields: Fields<'_, '_>) -> Option<Action> {
    let has = |key| fields.get(key).is_some();
    if has(StepKey::Open) || has(StepKey::Socket) {
        return read_socket_action(fields);
    }
    if let Some(again) = fields.get(StepKey::Again) {
        return Some(Action::Again(again.string()?.to_owned()));
    }
    match fields.get(StepKey::Together) {
        Some(list) if list.value().is_array() => Some(Action::Together(
            list.elements(read_requests)?.into_iter().flatten().collect(),
        )),
        Some(copies) => {
            let count = usize::try_from(copies.unsigned()?).unwrap_or(usize::MAX).min(1_000);
            let requests = read_requests(item)?;
            Some(Action::Together(
                requests.iter().cycle().take(requests.len() * count).cloned().collect(),
            ))
        }
        None if !has(StepKey::Path) && !verbs().any(|(key, _)| has(key)) => {
            item.wrong(
                "a step without a request",
                "a method and path, `again` or `together` go here",
            );
            None
        }
        None => {
            let mut requests = read_requests(item)?;
            Some(if requests.len() == 1 {
                Action::Send(requests.remove(0))
            } else {
                Action::Together(requests)
            })
        }
    }
}

/// Reports what `also` cannot do: it stands beside `expect`, and each of its expectations names its clauses.
fn check_also(fields: Fields<'_, '_>, step: &Step) {
    let Some(item) = fields.get(StepKey::Also) else { return };
    if step.expect.is_none() {
        item.wrong("`also` without `expect`", "one expectation goes into `expect`");
    } else if step.is_setup {
        item.wrong(
            "`also` in a setup step, which counts against no clause",
            "all that it expects goes into `expect`",
        );
    } else if step.also.iter().any(|expectation| expectation.clauses.is_none()) {
        item.wrong(
            "an expectation of `also` without clauses",
            "`clauses`: the ids that it counts against",
        );
    }
}

/// Reads what a step does with a socket.
fn read_socket_action(fields: Fields<'_, '_>) -> Option<Action> {
    if let Some(open) = fields.get(StepKey::Open) {
        let headers = fields.get(StepKey::Headers).map_or(Some(Vec::new()), read_headers)?;
        let path = fields
            .optional_string(StepKey::Path)
            .unwrap_or_else(|| "/connect".to_owned());
        let request = Request {
            headers,
            ..Request::bare(&fields.string(StepKey::As), "GET", path)
        };
        return Some(Action::Open(open.string()?.to_owned(), request));
    }
    let name = fields.string(StepKey::Socket);
    match fields.get(StepKey::Close) {
        Some(close) if close.boolean()? => Some(Action::Close(name)),
        _ => Some(Action::Frame(
            name,
            fields.get(StepKey::Send).map(|item| item.value().clone()),
        )),
    }
}

fn read_headers(item: Item<'_>) -> Option<Vec<(String, Vec<String>)>> {
    item.members(|name, item| {
        let values = match item.value() {
            Value::Null => Vec::new(),
            Value::Array(_) => item.strings()?,
            _ => vec![item.string()?.to_owned()],
        };
        Some((name.to_owned(), values))
    })
}

/// Reads a request; a list of callers makes one for each.
fn read_requests(item: Item<'_>) -> Option<Vec<Request>> {
    let fields = item.object(StepKey::NAMES)?;
    let speakers = match fields.require(StepKey::As)? {
        list if list.value().is_array() => list.strings()?,
        one => vec![one.string()?.to_owned()],
    };
    let mut verbs = verbs().filter_map(|(key, method)| Some((method, fields.get(key)?)));
    let (method, path) = match (verbs.next(), verbs.next(), fields.get(StepKey::Method)) {
        (Some((method, path)), None, None) => (method.to_owned(), path.string()?.to_owned()),
        (None, None, Some(method)) => (method.string()?.to_owned(), fields.string(StepKey::Path)),
        _ => {
            item.wrong(
                "expected one verb",
                "one of `get`, `put`, `post`, `delete`, ... or `method` and `path`",
            );
            return None;
        }
    };
    let headers = fields.get(StepKey::Headers).map_or(Some(Vec::new()), read_headers)?;
    let body = match (
        fields.get(StepKey::Body),
        fields.get(StepKey::Text),
        fields.get(StepKey::Base64),
    ) {
        (None, None, None) => Body::None,
        (Some(json), None, None) => Body::Json(json.value().clone()),
        (None, Some(text), None) => Body::Text(text.value().clone()),
        (None, None, Some(item)) => {
            use base64::Engine as _;
            match base64::engine::general_purpose::STANDARD.decode(item.string()?) {
                Ok(bytes) => Body::Bytes(bytes),
                Err(error) => {
                    item.wrong(format!("not base64: {error}"), "base64 with padding goes here");
                    return None;
                }
            }
        }
        _ => {
            item.wrong("a request has one body", "only one of `body`, `text` and `base64`");
            return None;
        }
    };
    let request = |speaker| Request {
        speaker,
        method: method.clone(),
        path: path.clone(),
        headers: headers.clone(),
        body: body.clone(),
        fixed: OnceLock::new(),
    };
    Some(speakers.into_iter().map(request).collect())
}

fn read_status_key(key: &str, item: Item<'_>) -> Option<StatusSet> {
    let status = StatusSet::parse(key).map(StatusSet);
    if status.is_none() {
        item.wrong_key(
            format!("`{key}` is no status"),
            "a code such as `200`, or a class such as `4xx`",
        );
    }
    status
}

/// Reads a status: a code, a class, or a list of both.
pub(super) fn read_status(item: Item<'_>) -> Option<StatusSet> {
    let wrong = |item: Item<'_>| {
        item.wrong(
            "expected a status",
            "a code such as `200`, a class such as `\"4xx\"`, or a list of them",
        );
        None
    };
    let single = |item: Item<'_>| match item.value() {
        Value::String(text) => StatusSet::parse(text).or_else(|| wrong(item)),
        Value::Number(code) => StatusSet::parse(&code.to_string()).or_else(|| wrong(item)),
        _ => wrong(item),
    };
    let ranges = match item.value() {
        Value::Array(_) => item.elements(single)?.concat(),
        _ => single(item)?,
    };
    Some(StatusSet(ranges))
}

/// Reads what is expected of a response.
pub(super) fn read_expectation(item: Item<'_>) -> Option<Expectation> {
    let fields = item.object(ExpectKey::NAMES)?;
    let mut read = Expectation {
        pointer: item.pointer(),
        is_plain: true,
        ..Expectation::default()
    };
    let mut is_read = true;
    for (key, item) in fields.words() {
        is_read &= read_part(&mut read, key, item).is_some();
    }
    is_read.then_some(read)
}

fn read_part(read: &mut Expectation, key: ExpectKey, item: Item<'_>) -> Option<()> {
    let matchers = |item: Item<'_>| item.members(|name, item| Some((name.to_owned(), Matcher::read(item))));
    match key {
        ExpectKey::Status => read.status = Some(read_status(item)?),
        ExpectKey::Headers => read.headers = matchers(item)?,
        ExpectKey::Content => read.content = Some(item.one_of(&CONTENTS)?),
        ExpectKey::Body => read.body = Some(Matcher::read(item)),
        ExpectKey::At => read.at = matchers(item)?,
        ExpectKey::None => read.none = Some(Matcher::read(item)),
        ExpectKey::Unchanged if item.value().is_boolean() => {
            read.unchanged = item.boolean()?.then(|| "{session}".to_owned());
        }
        ExpectKey::Unchanged => read.unchanged = Some(item.string()?.to_owned()),
        ExpectKey::SameAs => read.same_as = Some(item.string()?.to_owned()),
        ExpectKey::Roster => read.roster = item.boolean()?,
        ExpectKey::Capture => read.capture = item.members(read_capture)?,
        ExpectKey::Clauses => read.clauses = Some(item.strings()?),
        ExpectKey::Reading => {
            let fields = item.object(&["entry", "oneOf"])?;
            let readings = fields
                .require("oneOf")?
                .members(|key, item| Some((key.to_owned(), read_expectation(item)?)))?;
            read.reading = Some((fields.string("entry"), readings));
        }
    }
    if matches!(
        key,
        ExpectKey::Headers | ExpectKey::Body | ExpectKey::At | ExpectKey::None
    ) {
        read.is_plain &= variable::is_plain(item.value());
    }
    Some(())
}

fn read_capture(name: &str, item: Item<'_>) -> Option<(String, Source)> {
    let text = item.string()?;
    let source = match text.split_once(' ') {
        None if text == "status" => Some(Source::Status),
        None if text == "body" => Some(Source::Body(String::new())),
        Some(("header", header)) => Some(Source::Header(header.to_owned())),
        Some(("body", pointer)) if pointer.starts_with('/') => Some(Source::Body(pointer.to_owned())),
        _ => None,
    };
    if source.is_none() {
        item.wrong(
            format!("cannot capture `{text}`"),
            "`status`, `header NAME`, `body` or `body /pointer`",
        );
    }
    Some((name.to_owned(), source?))
}
