//! What is asked: the chapters and their clauses, the cases, the world they live in, and the schemas.

pub mod case;
pub mod clause;
pub mod disk;
pub mod facts;
pub mod files;
pub mod fingerprint;
pub mod invariant;
pub mod json;
mod links;
pub mod lint;
pub mod manifest;
pub mod pattern;
pub mod plain;
pub mod schemas;
pub mod signature;
pub mod source;
pub mod version;
pub mod world;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use case::{Case, Content};
use clause::{Chapter, Clause, LedgerEntry, Note};
use files::Files;
use invariant::{Invariant, Invariants};
use json::problem::{Place, Problem};
use json::{Item, Problems};
use schemas::Schemas;
use serde_json::Value;
use source::{Bibliography, Citation};
use world::World;

/// A suite that is sound: every name in it means something.
#[derive(Debug)]
pub struct Suite {
    files: Files,
    chapters: Vec<Chapter>,
    clauses: Vec<Clause>,
    notes: Vec<Note>,
    /// Clause ids and aliases to places in `clauses`.
    clause_index: HashMap<String, usize>,
    ledger: Vec<LedgerEntry>,
    sources: Bibliography,
    world: World,
    invariants: Invariants,
    cases: Vec<Case>,
    schemas: Schemas,
}

impl Suite {
    /// Reads a suite; all that is wrong with it is found, not only the first.
    pub fn load(files: Files) -> Result<Self, Box<Broken>> {
        let mut problems = Vec::new();
        let named = files
            .under("schemas/")
            .map(|(name, text)| (name.trim_start_matches("schemas/"), text));
        let schemas = Schemas::new(named).unwrap_or_else(|found| {
            problems.extend(found);
            Schemas::default()
        });
        let mut suite = Self {
            files: Files::from_texts([]),
            chapters: Vec::new(),
            clauses: Vec::new(),
            notes: Vec::new(),
            clause_index: HashMap::new(),
            ledger: Vec::new(),
            sources: Bibliography::default(),
            world: World::default(),
            invariants: Invariants::default(),
            cases: Vec::new(),
            schemas,
        };
        let (cases, others): (Vec<&str>, Vec<&str>) = files
            .names_under("cases/")
            .partition(|name| files::case_id(name).is_some());
        for name in others {
            let root = match json::parse(name, files.get(name).unwrap_or_default()) {
                Ok(root) => root,
                Err(problem) => {
                    problems.push(problem);
                    continue;
                }
            };
            let found = Problems::new(name);
            suite.read_file(name, &root, &found);
            problems.extend(found.into_vec());
        }
        for (index, clause) in suite.clauses.iter().enumerate() {
            for id in std::iter::once(&clause.id).chain(&clause.aliases) {
                if suite.clause_index.insert(id.clone(), index).is_some() {
                    problems.push(Problem {
                        file: format!("cases/{}/clauses.json", clause.chapter),
                        place: Place::File,
                        message: format!("duplicate clause `{id}`"),
                        expected: "an id or alias must belong to one clause only".to_owned(),
                    });
                }
            }
        }
        let mut seen = BTreeSet::new();
        for note in &suite.notes {
            for id in std::iter::once(&note.id).chain(&note.aliases) {
                if suite.clause_index.contains_key(id) || !seen.insert(id) {
                    problems.push(Problem {
                        file: format!("cases/{}/clauses.json", note.chapter),
                        place: Place::File,
                        message: format!("duplicate id `{id}`"),
                        expected: "an id or alias must belong to one clause or note only".to_owned(),
                    });
                }
            }
        }
        suite.check_citations(&mut problems);
        suite.check_chapters(&mut problems);
        let (read, mut wrong) = suite.read_cases(&files, &cases);
        suite.cases = read;
        problems.append(&mut wrong);
        if suite.cases.is_empty() && problems.is_empty() {
            problems.push(Problem {
                file: "cases".to_owned(),
                place: Place::File,
                message: "no cases found".to_owned(),
                expected: "add cases as `cases/<chapter>/<name>.json`".to_owned(),
            });
        }
        if problems.is_empty() {
            suite.files = files;
            Ok(suite)
        } else {
            problems.sort_by(|a, b| a.file.cmp(&b.file));
            Err(Box::new(Broken { files, problems }))
        }
    }

    /// Reports what clauses and readings cite and the bibliography does not have.
    fn check_citations(&self, problems: &mut Vec<Problem>) {
        let mut check = |file: &str, pointer: &str, citations: &[Citation]| {
            for (place, citation) in citations.iter().enumerate() {
                if let Some((message, expected)) = self.sources.unknown(citation) {
                    problems.push(Problem {
                        file: file.to_owned(),
                        place: Place::Value(format!("{pointer}/sources/{place}")),
                        message,
                        expected,
                    });
                }
            }
        };
        for chapter in &self.chapters {
            let file = format!("cases/{}/clauses.json", chapter.name);
            let own = self.clauses.iter().filter(|clause| clause.chapter == chapter.name);
            for (place, clause) in own.enumerate() {
                check(&file, &format!("/clauses/{place}"), &clause.sources);
            }
            let own = self.notes.iter().filter(|note| note.chapter == chapter.name);
            for (place, note) in own.enumerate() {
                check(&file, &format!("/notes/{place}"), &note.sources);
            }
        }
        for (place, entry) in self.ledger.iter().enumerate() {
            for reading in &entry.readings {
                let pointer = format!("/entries/{place}/readings/{}", json::escape(&reading.key));
                check("cases/ledger.json", &pointer, &reading.sources);
            }
        }
    }

    /// Reports needs of chapters that are no features.
    fn check_chapters(&self, problems: &mut Vec<Problem>) {
        let features: Vec<&str> = self.world.features.keys().map(String::as_str).collect();
        for chapter in &self.chapters {
            for (place, need) in chapter.needs.iter().enumerate() {
                if !features.contains(&need.as_str()) {
                    problems.push(Problem {
                        file: format!("cases/{}/clauses.json", chapter.name),
                        place: Place::Value(format!("/needs/{place}")),
                        message: format!("unknown feature `{need}`"),
                        expected: json::expected_one_of(need, &features),
                    });
                }
            }
        }
    }

    /// Reads the cases, and looks up what they name; half of a start is spent here, so all cores take part.
    fn read_cases(&self, files: &Files, names: &[&str]) -> (Vec<Case>, Vec<Problem>) {
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        let read_part = |part: &[&str]| {
            let mut problems = Vec::new();
            let cases = part
                .iter()
                .filter_map(|name| self.read_case(files, name, &mut problems));
            (cases.collect::<Vec<_>>(), problems)
        };
        let parts = names.chunks(names.len().div_ceil(workers).max(1));
        let read = std::thread::scope(|scope| {
            let started: Vec<_> = parts.map(|part| scope.spawn(|| read_part(part))).collect();
            let read = started.into_iter().map(|worker| match worker.join() {
                Ok(read) => read,
                Err(panic) => std::panic::resume_unwind(panic),
            });
            read.collect::<Vec<_>>()
        });
        let (cases, problems): (Vec<_>, Vec<_>) = read.into_iter().unzip();
        (
            cases.into_iter().flatten().collect(),
            problems.into_iter().flatten().collect(),
        )
    }

    fn read_case(&self, files: &Files, name: &str, problems: &mut Vec<Problem>) -> Option<Case> {
        let (id, text) = (files::case_id(name)?, files.text(name)?);
        let root = json::parse(name, text).map_err(|problem| problems.push(problem)).ok()?;
        let found = Problems::new(name);
        let chapter = self.chapter(case::chapter_of(id));
        let read = case::read(id, text, &root, chapter.map_or(&[], |chapter| &chapter.needs), &found);
        problems.extend(found.into_vec());
        let (case, scripts) = read?;
        links::check(self, &case, &scripts, problems);
        Some(case)
    }

    fn read_file(&mut self, name: &str, root: &Value, problems: &Problems<'_>) {
        let file = Item::root(root, problems);
        let path = name.trim_start_matches("cases/").trim_end_matches(".json");
        match path.rsplit_once('/') {
            None if path == "world" => {
                if let Some(mut world) = world::read_world(file) {
                    world.templates.append(&mut self.world.templates);
                    self.world = world;
                }
            }
            None if path == "ledger" => self.ledger = clause::read_ledger(file).unwrap_or_default(),
            None if path == "sources" => self.sources = source::read_bibliography(file).unwrap_or_default(),
            None if path == "invariants" => {
                self.invariants = Invariants::new(invariant::read_invariants(file).unwrap_or_default());
            }
            Some((chapter, "clauses")) => {
                if let Some((chapter, clauses, notes)) = clause::read_chapter(chapter, file) {
                    self.chapters.push(chapter);
                    self.clauses.extend(clauses);
                    self.notes.extend(notes);
                }
            }
            Some((_, "templates")) => {
                let fields = file.object(&["$schema", "about", "templates"]);
                let templates = fields.and_then(|fields| world::read_templates(fields.require("templates")?));
                self.world.templates.extend(templates.unwrap_or_default());
            }
            _ => file.wrong("unknown file", "move it into the directory of a chapter"),
        }
    }

    /// Its files.
    pub fn files(&self) -> &Files {
        &self.files
    }

    /// The chapters, by name.
    pub fn chapters(&self) -> &[Chapter] {
        &self.chapters
    }

    /// A chapter, by its name.
    pub fn chapter(&self, name: &str) -> Option<&Chapter> {
        self.chapters.iter().find(|chapter| chapter.name == name)
    }

    /// All clauses, in the order of their chapters.
    pub fn clauses(&self) -> &[Clause] {
        &self.clauses
    }

    /// The clause with an id or alias.
    pub fn clause(&self, id: &str) -> Option<&Clause> {
        self.clauses.get(*self.clause_index.get(id)?)
    }

    /// Facts that are never tested, in the order of their chapters.
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// The note with an id or alias.
    pub fn note(&self, id: &str) -> Option<&Note> {
        let is_it = |note: &&Note| note.id == id || note.aliases.iter().any(|alias| alias == id);
        self.notes.iter().find(is_it)
    }

    /// The contradictions between sources.
    pub fn ledger(&self) -> &[LedgerEntry] {
        &self.ledger
    }

    /// The ledger entry with an id or alias.
    pub fn ledger_entry(&self, id: &str) -> Option<&LedgerEntry> {
        self.ledger
            .iter()
            .find(|entry| entry.id == id || entry.aliases.iter().any(|alias| alias == id))
    }

    /// What clauses and readings cite.
    pub fn sources(&self) -> &Bibliography {
        &self.sources
    }

    /// What the cases take for granted.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// What must hold for every answer.
    pub fn invariants(&self) -> &[Invariant] {
        self.invariants.all()
    }

    /// The invariants about such a response, with their places among all of them.
    pub fn invariants_on(
        &self,
        operation: &str,
        method: &str,
        status: u16,
        content: Content,
    ) -> impl Iterator<Item = (usize, &Invariant)> {
        let own = self.invariants.of_operation(operation);
        own.filter(move |(_, invariant)| invariant.covers(method, status, content))
    }

    /// The schemas of the contract's documents.
    pub fn schemas(&self) -> &Schemas {
        &self.schemas
    }

    /// All cases, by id.
    pub fn cases(&self) -> &[Case] {
        &self.cases
    }

    /// The cases that test each clause, by the clause's id.
    pub fn cases_by_clause(&self) -> BTreeMap<&str, Vec<&str>> {
        let mut index: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for case in &self.cases {
            for variant in &case.variants {
                for id in variant.clauses.iter().chain(&variant.judged) {
                    let Some(clause) = self.clause(id) else { continue };
                    let cases = index.entry(&clause.id).or_default();
                    if cases.last() != Some(&case.id.as_str()) {
                        cases.push(&case.id);
                    }
                }
            }
        }
        index
    }
}

/// A suite with faults.
#[derive(Debug)]
pub struct Broken {
    files: Files,
    /// What is wrong, file by file.
    pub problems: Vec<Problem>,
}

impl Broken {
    /// Renders all problems with the text they are about; `styled` adds colour.
    pub fn render(&self, styled: bool) -> String {
        let parts: Vec<_> = self
            .problems
            .iter()
            .map(|problem| problem.render(self.files.get(&problem.file), styled))
            .collect();
        parts.join("\n\n")
    }
}
