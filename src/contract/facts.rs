//! Where the suite says something about a status code, a header or a clause: what `explain` and the book look up.

use std::collections::BTreeMap;

use crate::contract::Suite;
use crate::contract::case::Case;
use crate::contract::clause::Clause;
use crate::contract::invariant::Invariant;
use crate::contract::manifest::OWN_SCHEMAS;
use crate::contract::schemas::Field;

/// The documents of the contract, by the names of their schemas.
pub fn documents(suite: &Suite) -> impl Iterator<Item = &str> {
    let names = suite.schemas().names();
    names.filter(|name| !OWN_SCHEMAS.contains(name) && *name != "headers" && !name.starts_with("session-parts"))
}

/// A status code: which operations answer it, with what, and the clauses that say so.
#[derive(Debug)]
pub struct Status<'a> {
    /// The code.
    pub code: u16,
    /// The operations that answer it, such as `PUT session`, by the schemas that the body may follow.
    pub answers: BTreeMap<&'a [String], Vec<String>>,
    /// The schemas of the body when any operation may answer it.
    pub common: Option<&'a [String]>,
    /// The clauses, each once, the plainest first.
    pub clauses: Vec<&'a Clause>,
}

/// What is known of a status code.
pub fn status(suite: &Suite, code: u16) -> Option<Status<'_>> {
    let table = suite.schemas().operations();
    let mut answers: BTreeMap<&[String], Vec<String>> = BTreeMap::new();
    let mut ids: Vec<&str> = Vec::new();
    for operation in &table.operations {
        for (method, known) in &operation.methods {
            if let Some(schemas) = known.responses.get(&code) {
                let name = format!("{method} {}", operation.id);
                answers.entry(schemas).or_default().push(name);
            }
            ids.extend(known.clauses.get(&code).into_iter().flatten().map(String::as_str));
        }
    }
    ids.extend(table.clauses.get(&code).into_iter().flatten().map(String::as_str));
    let word = code.to_string();
    let said = suite.clauses().iter();
    let said = said.filter(|clause| clause.id.starts_with("STAT-") && mentions(&clause.statement, &word));
    ids.extend(said.map(|clause| clause.id.as_str()));
    let common = table.responses.get(&code).map(Vec::as_slice);
    let clauses = once_each(ids.into_iter().filter_map(|id| suite.clause(id)));
    let is_known = !answers.is_empty() || common.is_some() || !clauses.is_empty();
    is_known.then_some(Status {
        code,
        answers,
        common,
        clauses,
    })
}

/// Clauses without those that came before.
pub fn once_each<'a>(clauses: impl Iterator<Item = &'a Clause>) -> Vec<&'a Clause> {
    let mut known: Vec<&Clause> = Vec::new();
    for clause in clauses {
        if !known.iter().any(|other| other.id == clause.id) {
            known.push(clause);
        }
    }
    known
}

/// The words of a status line that follow its code.
pub fn reason(code: u16) -> &'static str {
    let code = http::StatusCode::from_u16(code).ok();
    code.and_then(|code| code.canonical_reason()).unwrap_or_default()
}

/// What a body may be, with its content type.
pub fn body_words(schemas: &[String]) -> String {
    let words: Vec<String> = schemas
        .iter()
        .map(|name| match name.as_str() {
            "none" => "no body".to_owned(),
            "text" => "a plain-text message (text/plain)".to_owned(),
            name => format!("`{name}` (application/json)"),
        })
        .collect();
    words.join(" or ")
}

/// A header of requests, of answers, or of both.
#[derive(Debug)]
pub struct Header<'a> {
    /// Its name.
    pub name: &'a str,
    /// What it is in requests.
    pub asked: Option<&'a str>,
    /// What it is in answers.
    pub answered: Option<Field>,
    /// The clauses that speak of it.
    pub clauses: Vec<&'a Clause>,
}

/// What is known of a header, whatever the case of its letters.
pub fn header<'a>(suite: &'a Suite, name: &str) -> Option<Header<'a>> {
    let schemas = suite.schemas();
    let asked = &schemas.operations().request_headers;
    let asked = asked.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    let answered = schemas.response_headers().iter();
    let answered = answered.clone().find(|known| known.eq_ignore_ascii_case(name));
    let name = asked.map(|(name, _)| name).or(answered)?.as_str();
    let field = answered.and_then(|known| {
        let fields = schemas.fields("headers");
        fields.into_iter().find(|field| &field.path == known)
    });
    let own = field.as_ref().and_then(|field| suite.clause(field.clause.as_ref()?));
    let said = suite
        .clauses()
        .iter()
        .filter(|clause| mentions(&clause.statement, name));
    Some(Header {
        name,
        asked: asked.map(|(_, about)| about.as_str()),
        clauses: once_each(own.into_iter().chain(said)),
        answered: field,
    })
}

/// Whether a text has a word.
pub fn mentions(text: &str, word: &str) -> bool {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
    text.match_indices(word).any(|(start, _)| {
        let before = text[..start].chars().next_back();
        let after = text[start + word.len()..].chars().next();
        !before.is_some_and(is_part) && !after.is_some_and(is_part)
    })
}

/// What is held against every answer because of a clause.
pub fn invariants<'a>(suite: &'a Suite, clause: &'a Clause) -> impl Iterator<Item = &'a Invariant> {
    let is_it = |id: &String| suite.clause(id).is_some_and(|found| found.id == clause.id);
    let all = suite.invariants().iter();
    all.filter(move |invariant| invariant.clauses.iter().any(is_it))
}

/// A case by its id.
pub fn find_case<'a>(suite: &'a Suite, id: &str) -> Option<&'a Case> {
    suite.cases().iter().find(|case| case.id == id)
}
