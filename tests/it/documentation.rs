//! Every command that the README and `docs/` print is run as it is printed, and what is printed below it is compared with
//! what it prints. Ports are free ones, runs of the whole suite are cut to a shard, and `cargo` commands are not run.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use regex::Regex;
use serde_json::Value;

use crate::program::{Serving, command, text};

/// A printed command, with the lines printed below it.
#[derive(Debug)]
struct Printed {
    place: String,
    arguments: Vec<String>,
    output: Vec<String>,
}

fn documents() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let docs = fs::read_dir(root.join("docs"))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut documents: Vec<PathBuf> = docs.collect();
    documents.sort();
    documents.insert(0, root.join("README.md"));
    documents
}

/// The words of a command line: quotes and comments as in a shell.
fn words(line: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let (mut is_inside, mut quote) = (false, None);
    for letter in line.chars() {
        match (quote, letter) {
            (None, '#') if !is_inside => break,
            (None, '\'' | '"') => {
                quote = Some(letter);
                if !is_inside {
                    words.push(String::new());
                }
            }
            (Some(open), letter) if open == letter => quote = None,
            (None, ' ') => {
                is_inside = false;
                continue;
            }
            _ if is_inside => words.last_mut().unwrap().push(letter),
            _ => words.push(letter.to_string()),
        }
        is_inside = true;
    }
    words
}

/// The commands of the program in `console` blocks.
fn commands(path: &Path) -> Vec<Printed> {
    let document = fs::read_to_string(path).unwrap();
    let mut printed: Vec<Printed> = Vec::new();
    let mut is_console = false;
    let mut is_own = false;
    for (index, line) in document.lines().enumerate() {
        if line.starts_with("```") {
            is_console = line == "```console";
            is_own = false;
        } else if let Some(line) = line.strip_prefix("$ ").filter(|_| is_console) {
            let all = words(line);
            is_own = all.first().is_some_and(|word| word == "mpsd-conformance");
            if is_own {
                printed.push(Printed {
                    place: format!("{}:{}", path.file_name().unwrap().display(), index + 1),
                    arguments: all.into_iter().skip(1).collect(),
                    output: Vec::new(),
                });
            }
        } else if is_own {
            printed.last_mut().unwrap().output.push(line.to_owned());
        }
    }
    printed
}

/// Asserts that each printed line is one of those that came; `...` stands for anything, and numbers may differ.
fn assert_printed(printed: &Printed, came: &str) {
    let number = Regex::new(r"\d[\d,.]*").unwrap();
    let general = |line: &str| number.replace_all(line.trim_end(), "N").into_owned();
    let came: Vec<String> = came.lines().map(general).collect();
    for line in printed.output.iter().filter(|line| !matches!(line.trim(), "" | "...")) {
        let parts = general(line);
        let pattern: Vec<String> = parts.split("...").map(regex::escape).collect();
        let pattern = Regex::new(&format!("^{}$", pattern.join(".*"))).unwrap();
        assert!(
            came.iter().any(|line| pattern.is_match(line)),
            "{}: `{line}` is not printed, but:\n{}",
            printed.place,
            came.join("\n")
        );
    }
}

/// A command that runs until it is stopped, such as `serve`.
struct Running {
    child: Child,
    log: PathBuf,
}

impl Running {
    fn start(arguments: &[String], folder: &Path) -> Self {
        let log = folder.join("running.log");
        let mut command = command(arguments);
        let command = command.args(["--listen", "127.0.0.1:0"]).current_dir(folder);
        let file = fs::File::create(&log).unwrap();
        let child = command.stdout(Stdio::null()).stderr(file).spawn().unwrap();
        let running = Self { child, log };
        let start = Instant::now();
        while !running.log().contains("stop with Ctrl-C") {
            assert!(
                start.elapsed() < Duration::from_mins(1),
                "{arguments:?}: {}",
                running.log()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        running
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Ends it as Ctrl-C does, so that it writes its files.
    fn interrupt(mut self) {
        let id = self.child.id().to_string();
        let status = std::process::Command::new("kill").args(["-INT", &id]).status().unwrap();
        assert!(status.success() && self.child.wait().is_ok());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Files that the printed commands take for granted: targets, reports and documents.
fn prepare(folder: &Path, good: &Serving, faulty: &Serving) {
    let copy = |serving: &Serving, name: &str| {
        fs::copy(serving.target(), folder.join(name)).unwrap();
    };
    let tokens = |serving: &Serving, name: &str| {
        let text = fs::read_to_string(serving.target()).unwrap();
        let renamed = text.replace("target.tokens.json", name);
        fs::copy(serving.path("target.tokens.json"), folder.join(name)).unwrap();
        renamed
    };
    copy(good, "target.json");
    fs::copy(good.path("target.tokens.json"), folder.join("target.tokens.json")).unwrap();
    fs::write(folder.join("faulty.json"), tokens(faulty, "faulty.tokens.json")).unwrap();
    fs::write(folder.join("my-document.json"), "{}").unwrap();
    let config = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference-server.md")).unwrap();
    let config = config.split("```json\n").nth(1).unwrap().split("```").next().unwrap();
    fs::write(folder.join("mpsd.json"), config).unwrap();
    let ended = run(
        &["run", "--report", "json=old.json", "conditional"].map(str::to_owned),
        folder,
    );
    assert_eq!(ended.0, 0, "{}", ended.1);
}

/// The exit code, and all that is printed.
fn run(arguments: &[String], folder: &Path) -> (i32, String) {
    let output = command(arguments).current_dir(folder).output().unwrap();
    let printed = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(printed).unwrap())
}

/// Sends some requests through a proxy, so that it has something to write.
fn use_proxy(log: &str, folder: &Path) {
    let address = Regex::new(r"on (http://\S+);").unwrap().captures(log).unwrap()[1].to_owned();
    let mut target: Value = serde_json::from_str(&fs::read_to_string(folder.join("target.json")).unwrap()).unwrap();
    target["baseUrl"] = address.into();
    // A run sends a request for each identity of its target, and `import` has fewer identities to assign: keep those of the case.
    let identities = target["identities"].as_object_mut().unwrap();
    identities.retain(|name, _| ["alice", "bob"].contains(&name.as_str()));
    fs::write(folder.join("proxied.json"), target.to_string()).unwrap();
    let arguments = [
        "run",
        "--target",
        "proxied.json",
        "conditional/a-write-that-wants-a-session-finds-it",
    ];
    let (code, printed) = run(&arguments.map(str::to_owned), folder);
    assert_eq!(code, 0, "{printed}");
}

#[test]
fn every_printed_command_does_what_is_printed() {
    let good = Serving::start();
    let faulty = Serving::start_with(&["--fault", "any-etag-is-refused"]);
    let folders: BTreeMap<PathBuf, tempfile::TempDir> = documents()
        .into_iter()
        .map(|path| (path, tempfile::tempdir().unwrap()))
        .collect();
    let mut count = 0;
    for (path, folder) in &folders {
        let folder = folder.path();
        prepare(folder, &good, &faulty);
        let url = format!("http://{}", good.address());
        let filled_in = fs::read(folder.join("target.json")).unwrap();
        for printed in commands(path) {
            count += 1;
            let known: Vec<&str> = printed.arguments.iter().map(String::as_str).collect();
            let mut arguments = printed.arguments.clone();
            if known.contains(&"http://127.0.0.1:8730") {
                arguments = arguments
                    .iter()
                    .map(|word| word.replace("http://127.0.0.1:8730", &url))
                    .collect();
            }
            match known.as_slice() {
                ["serve" | "watch", ..] => {
                    let running = Running::start(&arguments, folder);
                    assert_printed(&printed, &running.log());
                    if known[0] == "watch" {
                        use_proxy(&running.log(), folder);
                    }
                    running.interrupt();
                    fs::write(folder.join("target.json"), &filled_in).unwrap();
                    fs::copy(good.path("target.tokens.json"), folder.join("target.tokens.json")).unwrap();
                    continue;
                }
                ["run", "--target", _] => arguments.extend(["--shard", "1/200"].map(str::to_owned)),
                ["target", "needs", "--target", file] if !folder.join(file).exists() => {
                    fs::write(folder.join(file), &filled_in).unwrap();
                }
                _ => {}
            }
            let (code, came) = run(&arguments, folder);
            assert!(
                (0..=1).contains(&code),
                "{}: {known:?} returned {code}: {came}",
                printed.place
            );
            assert_printed(&printed, &came);
            if let ["target", "init", file] = known.as_slice() {
                fs::write(folder.join(file), &filled_in).unwrap();
            }
        }
    }
    assert!(count > 30, "{count} commands");
}

#[test]
fn figures_in_the_readme_are_about_right() {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let suite = &crate::wrong_service::SUITE;
    let cases: usize = suite.cases().iter().map(|case| case.variants.len()).sum();
    for (what, count) in [("cases", cases), ("documented rules", suite.clauses().len())] {
        let figure = Regex::new(&format!(r"about ([\d,]+) {what}")).unwrap();
        let text = readme.replace('\n', " ");
        let figure: usize = figure.captures(&text).unwrap()[1].replace(',', "").parse().unwrap();
        assert!(
            figure.abs_diff(count) * 20 < count,
            "about {figure} {what}, in fact {count}"
        );
    }
}

#[test]
fn links_of_the_documentation_lead_to_files_and_headings() {
    let link = Regex::new(r"\]\(([^)]+)\)").unwrap();
    for path in documents() {
        let document = fs::read_to_string(&path).unwrap();
        let headings = document.lines().filter_map(|line| line.strip_prefix("## "));
        let anchors: Vec<String> = headings
            .map(|heading| heading.to_lowercase().replace(' ', "-"))
            .collect();
        for found in link.captures_iter(&document) {
            let goal = &found[1];
            let exists = match goal.strip_prefix('#') {
                Some(anchor) => anchors.iter().any(|known| known == anchor),
                None if goal.starts_with("http") => true,
                None => path.parent().unwrap().join(goal.split('#').next().unwrap()).exists(),
            };
            assert!(exists, "{}: {goal}", text(&path));
        }
    }
}
