//! Reads a case file: each row of its table and each contract version is a variant.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};

use serde_json::Value;

use crate::contract::case::model::{Case, Script, Scripts, SessionSpec, Variant};
use crate::contract::case::step::{Body, Request, Step, read_step};
use crate::contract::case::table::{Row, read_table};
use crate::contract::case::variable::{self, Scope, resolve};
use crate::contract::case::words::CaseKey;
use crate::contract::files::Text;
use crate::contract::json::{self, Fields, Item, Problems, Word as _};
use crate::contract::version::ContractVersion;

/// Reads a case file, whose text is parsed as `root`; what is wrong with it is added to `problems`.
///
/// `chapter` is what all cases of its chapter need.
pub(in crate::contract) fn read(
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
        item.wrong("the title must end with a period", "add a period");
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
        text: text.clone(),
        in_use: Arc::default(),
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
                "the chapter's `clauses.json` has it already; remove it here",
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

impl Case {
    /// The scripts of its variants, read from its text unless somebody holds them. Hold on to them while going through the
    /// variants.
    ///
    /// They are by far the greater part of a suite, and few of them are needed at a time: with all of them kept, `list` takes
    /// 72 MB instead of 21 MB, and a run a sixth more than now.
    pub fn scripts(&self) -> Scripts {
        let mut in_use = self.in_use.lock().unwrap_or_else(PoisonError::into_inner);
        let scripts = in_use.upgrade().unwrap_or_else(|| {
            // Nothing was wrong with the text when the case was read.
            let read = read_again(&self.text).unwrap_or_default();
            Arc::new(read)
        });
        *in_use = Arc::downgrade(&scripts);
        Scripts(scripts)
    }
}

fn read_again(text: &str) -> Option<Vec<Script>> {
    let problems = Problems::new("");
    let root = json::parse("", text).ok()?;
    let file = Item::root(&root, &problems);
    let mut shared = Vec::new();
    let rows = read_rows(file)?;
    rows.iter()
        .map(|row| read_script(file, row, &mut shared, &problems))
        .collect()
}

/// Reads a script, with the cells of a row in the place of its variables.
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
