//! Nothing that users see has a word or phrase of `tests/words.json`: messages, help, documentation, clauses, titles,
//! descriptions and the pages of the site.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use mpsd_conformance::book;
use regex::{Regex, RegexBuilder};
use serde_json::Value;

use crate::program::program;
use crate::wrong_service::SUITE;

/// A phrase to avoid.
struct Phrase {
    pattern: Regex,
    except: Vec<Regex>,
    instead: String,
}

fn phrases() -> Vec<Phrase> {
    let list: Value = serde_json::from_str(include_str!("../words.json")).unwrap();
    let regex = |text: &Value| {
        RegexBuilder::new(text.as_str().unwrap())
            .case_insensitive(true)
            .build()
            .unwrap()
    };
    let list = list["phrases"].as_array().unwrap().iter();
    list.map(|entry| Phrase {
        pattern: regex(&entry["pattern"]),
        except: entry["except"].as_array().into_iter().flatten().map(regex).collect(),
        instead: entry["instead"].as_str().unwrap().to_owned(),
    })
    .collect()
}

/// The phrases in a text, as `found (instead)`; what stands between backticks is code.
fn found(phrases: &[Phrase], text: &str) -> Vec<String> {
    let prose: String = text.split('`').step_by(2).collect::<Vec<_>>().join("`");
    let of = |phrase: &Phrase| {
        let text = phrase
            .except
            .iter()
            .fold(prose.clone(), |text, except| except.replace_all(&text, "").into_owned());
        let found = phrase.pattern.find(&text)?;
        Some(format!("`{}` (write: {})", found.as_str(), phrase.instead))
    };
    phrases.iter().filter_map(of).collect()
}

/// Asserts that no text has a phrase; each comes with its place.
fn assert_none(texts: impl IntoIterator<Item = (String, String)>) {
    let phrases = phrases();
    let wrong: Vec<String> = texts
        .into_iter()
        .flat_map(|(place, text)| {
            let found = found(&phrases, &text);
            let report = |phrase: String| format!("{place}: {phrase}: {text}");
            found.into_iter().map(report).collect::<Vec<_>>()
        })
        .collect();
    assert!(wrong.is_empty(), "{} places:\n{}", wrong.len(), wrong.join("\n"));
}

fn files_below(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files_below(&path, files);
        } else {
            files.push(path);
        }
    }
}

/// The string literals of a source file, with their lines; comments and modules of tests are left out.
fn literals(source: &str) -> Vec<(usize, String)> {
    let tests = Regex::new(r"#\[cfg\(test\)\]\s*(#\[expect[^\]]*\]\s*)?mod \w+ \{").unwrap();
    let end = tests.find(source).map_or(source.len(), |found| found.start());
    let token = Regex::new(
        r##"(?s)//[^\n]*|b?r#"(.*?)"#|b?r"([^"]*)"|b?"((?:[^"\\]|\\.)*)"|'(?:\\u\{[0-9a-f]*\}|\\x..|\\.|[^\\'])'"##,
    )
    .unwrap();
    let (continued, placeholder) = (Regex::new(r"\\\n\s*").unwrap(), Regex::new(r"\{[^{}]*\}").unwrap());
    let literal = |found: regex::Captures<'_>| {
        let text = found.get(1).or(found.get(2)).or(found.get(3))?;
        let line = source[..text.start()].matches('\n').count() + 1;
        let text = continued.replace_all(text.as_str(), "");
        Some((line, placeholder.replace_all(&text, "{}").into_owned()))
    };
    token.captures_iter(&source[..end]).filter_map(literal).collect()
}

/// Whether a literal is prose: several words, or one that begins with a capital letter.
fn is_prose(text: &str) -> bool {
    let is_word = text.len() > 3 && text.chars().skip(1).all(|letter| letter.is_ascii_lowercase());
    let text = text.trim();
    text.contains(' ') || text.starts_with(|letter: char| letter.is_ascii_uppercase()) && is_word
}

#[test]
fn the_list_finds_what_it_is_for() {
    let phrases = phrases();
    for text in [
        "2 cases alike: expected 200",
        "1 problems",
        "found nothing at Header(\"ETag\")",
        "the target was given up",
        "a write is answered 412",
        "104 → 107",
        "0 is not in 1..18446744073709551615",
    ] {
        assert!(!found(&phrases, text).is_empty(), "{text}");
    }
    assert_eq!(
        found(&phrases, "An object has at most 4 fields; `lacks` is one."),
        [""; 0]
    );
}

#[test]
fn messages_of_the_source_have_no_phrase_of_the_list() {
    let mut files = Vec::new();
    files_below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
    let is_source = |path: &PathBuf| {
        let is_rust = path.extension().is_some_and(|extension| extension == "rs");
        is_rust && !path.to_string_lossy().contains("test")
    };
    let texts = files.into_iter().filter(is_source).flat_map(|path| {
        let source = fs::read_to_string(&path).unwrap();
        let place = path
            .strip_prefix(env!("CARGO_MANIFEST_DIR"))
            .unwrap()
            .display()
            .to_string();
        let texts = literals(&source).into_iter().filter(|(_, text)| is_prose(text));
        let texts = texts.map(|(line, text)| (format!("{place}:{line}"), text));
        texts.collect::<Vec<_>>()
    });
    assert_none(texts);
}

#[test]
fn the_help_has_no_phrase_of_the_list() {
    let help = |command: &[&str]| program([command, &["--help"]].concat()).stdout;
    let names = Regex::new(r"(?m)^  ([a-z]+) ").unwrap();
    let top = help(&[]);
    let commands = top.split("Options:").next().unwrap();
    let mut texts = vec![("--help".to_owned(), top.clone())];
    for found in names.captures_iter(commands).filter(|found| &found[1] != "help") {
        texts.push((format!("{} --help", &found[1]), help(&[&found[1]])));
    }
    for command in ["init", "needs", "check"] {
        texts.push((format!("target {command} --help"), help(&["target", command])));
    }
    assert!(texts.len() > 15);
    let lines = texts.iter().flat_map(|(place, text)| {
        let paragraphs = text.split("\n\n");
        paragraphs.map(move |paragraph| (place.clone(), paragraph.replace('\n', " ")))
    });
    assert_none(lines);
}

#[test]
fn documentation_has_no_phrase_of_the_list() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files: Vec<PathBuf> = ["README.md", "CONTRIBUTING.md", "ARCHITECTURE.md", "cases/README.md"]
        .map(|name| root.join(name))
        .to_vec();
    files_below(&root.join("docs"), &mut files);
    let texts = files.iter().flat_map(|path| {
        let text = fs::read_to_string(path).unwrap();
        let mut is_code = false;
        let prose = text.lines().enumerate().filter(|(_, line)| {
            let is_fence = line.trim_start().starts_with("```");
            is_code ^= is_fence;
            !is_code && !is_fence
        });
        let prose = prose.map(|(place, line)| (format!("{}:{}", path.display(), place + 1), line.to_owned()));
        prose.collect::<Vec<_>>()
    });
    assert_none(texts);
}

/// The values of some keys, at any depth.
fn values(place: &str, value: &Value, keys: &[&str], texts: &mut Vec<(String, String)>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                match value.as_str() {
                    Some(text) if keys.contains(&key.as_str()) => {
                        texts.push((format!("{place}/{key}"), text.to_owned()));
                    }
                    _ => values(&format!("{place}/{key}"), value, keys, texts),
                }
            }
        }
        Value::Array(elements) => {
            for (index, element) in elements.iter().enumerate() {
                values(&format!("{place}/{index}"), element, keys, texts);
            }
        }
        _ => {}
    }
}

#[test]
fn clauses_titles_and_descriptions_have_no_phrase_of_the_list() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    files_below(&root.join("cases"), &mut files);
    files_below(&root.join("schemas"), &mut files);
    let mut texts = Vec::new();
    for path in files
        .iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
    {
        let place = path.strip_prefix(root).unwrap().display().to_string();
        let value: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        let is_case = place.starts_with("cases/") && place.matches('/').count() == 2;
        let keys: &[&str] = match path.file_name().and_then(|name| name.to_str()) {
            Some("sources.json") => &["about"],
            Some("clauses.json") => &["title", "about", "statement", "untestable"],
            Some("templates.json" | "world.json" | "ledger.json" | "invariants.json") => {
                &["about", "statement", "topic", "recommended", "description"]
            }
            _ if is_case => {
                texts.push((place, value["title"].as_str().unwrap().to_owned()));
                continue;
            }
            _ => &["title", "description", "$comment"],
        };
        values(&place, &value, keys, &mut texts);
    }
    assert!(texts.len() > 3000);
    assert_none(texts);
}

#[test]
fn pages_of_the_site_have_no_phrase_of_the_list() {
    let code = ["pre", "code", "script", "style"].map(|tag| Regex::new(&format!("(?s)<{tag}[ >].*?</{tag}>")).unwrap());
    let block = Regex::new(r"</?(p|li|td|th|dd|dt|h\d|tr|summary|title|article|section|div|nav|a)[ >]").unwrap();
    let tag = Regex::new("<[^>]*>").unwrap();
    let sources = SUITE.sources();
    let own = SUITE.clauses().iter().map(|clause| &clause.sources);
    let own = own.chain(SUITE.notes().iter().map(|note| &note.sources));
    let cited = SUITE
        .ledger()
        .iter()
        .flat_map(|entry| entry.readings.iter().map(|reading| &reading.sources));
    let cited: BTreeSet<String> = own
        .chain(cited)
        .flat_map(|all| all.iter().map(|one| sources.cite(one)).chain([sources.cite_all(all)]))
        .collect();
    let mut lines: BTreeSet<String> = BTreeSet::new();
    for (_, page) in book::render(&SUITE, None)
        .into_iter()
        .filter(|(name, _)| Path::new(name).extension().is_some_and(|extension| extension == "html"))
    {
        let page = code
            .iter()
            .fold(page, |page, code| code.replace_all(&page, "`code`").into_owned());
        let page = block.replace_all(&page, "\n$0");
        let page = tag.replace_all(&page, "");
        let page = page
            .replace("&amp;", "&")
            .replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&quot;", "\"");
        lines.extend(
            page.lines()
                .map(str::trim)
                .filter(|line| line.contains(' '))
                .map(str::to_owned),
        );
    }
    assert!(lines.len() > 3000);
    let is_citation = |line: &String| cited.iter().any(|cited| line.contains(cited.as_str()));
    assert_none(
        lines
            .into_iter()
            .filter(|line| !is_citation(line))
            .map(|line| ("site".to_owned(), line)),
    );
}
