//! What is read: the contract as a site of pages that need nothing else, and as an `OpenAPI` document.
//!
//! It is made from the suite alone, and the same suite gives the same bytes; a report adds what a target does.

mod case;
mod chapter;
mod document;
mod finder;
mod openapi;
mod operation;
mod page;
mod start;
mod tables;
mod wire;

use std::collections::{BTreeMap, HashMap};

use crate::contract::case::Case;
use crate::contract::clause::Clause;
use crate::contract::schemas::Field;
use crate::contract::signature::{Signature, Signatures};
use crate::contract::{Suite, facts};
use crate::replay::verdict::Verdict;
use crate::report::{Report, Standing};
use page::Page;
use wire::Wire;

/// Writes the book: its files by their paths, with `/` between folders.
pub fn render(suite: &Suite, report: Option<&Report>) -> BTreeMap<String, String> {
    // What is wrong with the file is for `check` to tell.
    let signatures = Signatures::read(suite.files()).ok().flatten().unwrap_or_default();
    let book = Book::new(suite, &signatures, report);
    let style = concat!(include_str!("../report/html/style.css"), include_str!("style.css"));
    let mut files = BTreeMap::from([
        ("style.css".to_owned(), style.to_owned()),
        ("openapi.json".to_owned(), openapi::render(&book)),
    ]);
    let mut add = |page: Page<'_, '_>, title: &str, body: maud::Markup| {
        let text = page.render(title, &body);
        files.insert(page.path, text);
    };
    start::add(&book, &mut add);
    chapter::add(&book, &mut add);
    case::add(&book, &mut add);
    operation::add(&book, &mut add);
    document::add(&book, &mut add);
    tables::add(&book, &mut add);
    finder::add(&book, &mut add);
    files
}

/// Takes a page, its title and its content.
type Add<'f> = dyn FnMut(Page<'_, '_>, &str, maud::Markup) + 'f;

/// The suite, with what pages look up in it.
struct Book<'a> {
    suite: &'a Suite,
    report: Option<&'a Report>,
    /// What the report knows of a clause, and of a variant.
    standings: HashMap<&'a str, Standing>,
    verdicts: HashMap<&'a str, Verdict>,
    cases: HashMap<&'a str, &'a Case>,
    /// By the ids of clauses: their cases, the faults that break them, and the statuses that they decide.
    tested: BTreeMap<&'a str, Vec<&'a str>>,
    faults: HashMap<&'a str, Vec<&'a Signature>>,
    unproven: &'a BTreeMap<String, String>,
    answers: HashMap<&'a str, Vec<(String, u16)>>,
    /// The documents of the contract, and their fields.
    documents: Vec<(&'a str, Vec<Field>)>,
    wire: Wire<'a>,
}

impl<'a> Book<'a> {
    fn new(suite: &'a Suite, signatures: &'a Signatures, report: Option<&'a Report>) -> Self {
        let tested = suite.cases_by_clause();
        let mut faults: HashMap<&str, Vec<&Signature>> = HashMap::new();
        for fault in &signatures.faults {
            for clause in fault.clauses.iter().filter_map(|id| suite.clause(id)) {
                faults.entry(&clause.id).or_default().push(fault);
            }
        }
        let mut answers: HashMap<&str, Vec<(String, u16)>> = HashMap::new();
        for path in &suite.schemas().operations().operations {
            for (verb, method) in &path.methods {
                for (status, ids) in &method.clauses {
                    for clause in ids.iter().filter_map(|id| suite.clause(id)) {
                        let operation = format!("{verb} {}", path.id);
                        answers.entry(&clause.id).or_default().push((operation, *status));
                    }
                }
            }
        }
        let documents = facts::documents(suite).map(|name| (name, suite.schemas().fields(name)));
        let clauses = report.into_iter().flat_map(|report| &report.clauses);
        let judged = report.into_iter().flat_map(|report| &report.cases);
        Self {
            suite,
            report,
            standings: clauses.map(|clause| (clause.id.as_str(), clause.verdict)).collect(),
            verdicts: judged.map(|case| (case.id.as_str(), case.verdict)).collect(),
            cases: suite.cases().iter().map(|case| (case.id.as_str(), case)).collect(),
            wire: Wire::new(suite, &tested),
            tested,
            faults,
            unproven: &signatures.unproven,
            answers,
            documents: documents.collect(),
        }
    }

    /// The clauses of a chapter.
    fn clauses(&self, chapter: &str) -> Vec<&'a Clause> {
        let all = self.suite.clauses().iter();
        all.filter(|clause| clause.chapter == chapter).collect()
    }

    /// The cases of a clause.
    fn cases_of(&self, clause: &Clause) -> &[&'a str] {
        self.tested.get(clause.id.as_str()).map_or(&[], Vec::as_slice)
    }
}
