//! The words of the language of cases: the keys of a case, of its steps and expectations, the rules of matchers and the
//! generators.
//!
//! Each word is declared here, once, with its meaning. The readers take their keys from here and match on the words, so
//! that a new word does not compile until it is read. The tests compare the schemas and the tables of `cases/README.md`
//! with them, and write both: `BLESS=1 cargo test --lib words`.

use crate::contract::json::Word;

/// Declares words, row by row of their table: the words that share a meaning, and the meaning.
macro_rules! words {
    ($(#[$about:meta])* $set:ident { $($($word:ident $name:literal)|+ => $meaning:literal,)+ }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $set {
            $($(#[doc = $meaning] $word,)+)+
        }

        impl $set {
            /// The words that share a meaning, with that meaning, in the order of their table.
            pub const ROWS: &[(&[Self], &str)] = &[$((&[$(Self::$word),+], $meaning)),+];

            /// As cases spell it.
            pub const fn name(self) -> &'static str {
                match self {
                    $($(Self::$word => $name,)+)+
                }
            }
        }

        impl Word for $set {
            const NAMES: &[&str] = &[$($($name,)+)+];

            fn named(name: &str) -> Option<Self> {
                match name {
                    $($($name => Some(Self::$word),)+)+
                    _ => None,
                }
            }
        }

        impl<'a> From<$set> for &'a str {
            fn from(word: $set) -> &'a str {
                word.name()
            }
        }
    };
}

words! {
    /// The keys of a case.
    CaseKey {
        Schema "$schema" => "The schema of case files, for editors.",
        Title "title" => "One sentence with a period: what is true of a service that passes.",
        Clauses "clauses" => "Ids of the clauses that the case tests. A failed assertion counts against each of them, unless its expectation has its own.",
        Versions "versions" => "Contract versions that the case is run at, one variant each: `\"all\"` or a list. Default: the current version.",
        Template "template" => "The suite's template that `{session}` is made from, see `world.json` and the chapters' `templates.json`. A table's variable may choose it. Default: `open`.",
        TemplateIsThePoint "templateIsThePoint" => "`true` if the case is about the template itself: if a target does not have the template, the creator does not send its constants instead. See *What a case needs*.",
        Sessions "sessions" => "More fresh sessions, by the name that variables use: `{ \"other\": { \"template\": \"small\", \"name\": \"{uuid:n}.x\" } }`, both optional.",
        Needs "needs" => "Features of `world.json` that the requests do not show, such as `rate-limits`, in addition to those of the chapter's `clauses.json`. All others are derived, see *What a case needs*.",
        Exclusive "exclusive" => "Identities that no other case with the same claim may use while this one runs. Those that set activities are claimed without being listed.",
        Observer "observer" => "Identity that re-reads the session for `unchanged`. Default: the caller of the first step.",
        Let "let" => "Named values that are used in more than one place. They may contain variables and generators.",
        Table "table" => "One variant a row: `{ \"columns\": [\"row\", \"sent\", \"status\"], \"rows\": [[\"zero\", 0, 400], ...] }`. `row` names it (kebab-case, unique, stable). The optional columns `clauses` and `version` replace the case's own; `null` in them means the case's own.",
        Steps "steps" => "The exchanges, in order.",
    }
}

words! {
    /// The keys of a step; those of its request among them.
    StepKey {
        Name "name" => "The name that later steps use for this one.",
        As "as" => "Identity that sends the request: one of `world.json`, `nobody` (no token), `unknown` (a token that was never issued) or `expired`. With a list, all of them send it at once.",
        Get "get" | Put "put" | Post "post" | Delete "delete" =>
            "The path and query to send this method to, byte for byte.",
        Method "method" => "Any other method, such as `HEAD`, or a variable; used with `path`.",
        Path "path" => "The path and query for `method` or `open`, byte for byte.",
        Headers "headers" => "Request headers: set or replaced by a string, repeated by a list, left out by `null`. The contract version, the content type (`application/json` where there is a body), the authorization and, of a service principal, its title (`X-Xbl-OnBehalfOf-Title`) are sent unless named here.",
        Body "body" => "The JSON to send. Without `body`, `text` and `base64` no body is sent.",
        Text "text" => "Body to send as a string, for bodies that are not JSON.",
        Base64 "base64" => "Bytes to send, in base64.",
        Setup "setup" => "`true` for a step that only prepares the case: a failure ends the case, is reported as a failed setup, and does not count against its clauses.",
        Again "again" => "Instead of a request: the name of the step whose request is sent once more.",
        Together "together" => "How many copies of the request are sent at once, or a list of requests (`as`, path, `headers`, `body`) to send at once. `{copy}` is the copy's number, from 1.",
        Tally "tally" => "Number of responses of a step with `together` by status or status class: `{ \"200\": 1, \"412\": 7 }`.",
        Each "each" => "Expectations by status or status class: `{ \"412\": { \"body\": ... } }`.",
        Open "open" => "Opens a real-time socket as the caller and gives it this name. `path` is `/connect` unless named, and the sub-protocol is offered unless `headers` names or nulls it. Status 101 means open.",
        Socket "socket" => "The open socket that the step is about. The step waits for the frame that `body` expects, `within` ms of real time (default: 5000). Frames that do not match stay for later steps; the end of the socket is the frame `{ \"closed\": code }`.",
        Send "send" => "The frame to send on the socket first: JSON, or a string as it is.",
        Close "close" => "`true` closes the socket.",
        After "after" => "Milliseconds of the service's time to let pass before the request is sent.",
        Within "within" => "Milliseconds of the service's time in which the expectation must come true; the request is repeated until then.",
        Expect "expect" => "Expectations on the response, see below. Every step has them.",
        Also "also" => "Further expectations on the response, each with its own clauses, for a SHOULD or MAY in addition to the MUST of `expect`: `[{ \"clauses\": [\"SES-PRIN-008\"], \"at\": { \"/members/0/gamertag\": \"{alice.gamertag}\" } }]`.",
    }
}

words! {
    /// The keys of an expectation.
    ExpectKey {
        Status "status" => "Expected status: a code, a class such as `\"4xx\"`, or a list of them.",
        Headers "headers" => "Header name (in any case) to matcher.",
        Content "content" => "Expected kind of body: `\"json\"`, `\"text\"` or `\"none\"` (an empty body).",
        Body "body" => "Matcher for the JSON body. A body that is not JSON is matched as a string.",
        At "at" => "JSON Pointer into the body to matcher.",
        None "none" => "A matcher that no frame fits, of those that the socket received so far and no step expected.",
        Unchanged "unchanged" => "The observer reads `{session}` (`true`) or this path before and after, and finds the same status, `ETag` and document. Every refusal has this.",
        SameAs "sameAs" => "The name of a step: the same document and `ETag` as its response had.",
        Roster "roster" => "`true` checks that the list of members, from first to last, agrees with `membersInfo`. An invariant checks it on every session.",
        Capture "capture" => "Name to the value that later steps use under it: `status`, `header NAME`, `body` or `body /pointer`.",
        Clauses "clauses" => "The clauses that a failed assertion of this expectation counts against, instead of the case's.",
        Reading "reading" => "For a contested clause: the target must follow one of the interpretations of a contradiction. `{ \"entry\": \"X-02\", \"oneOf\": { \"no-content\": {...}, \"not-found\": {...} } }`.",
    }
}

words! {
    /// The rules of matchers.
    MatcherRule {
        Absent "$absent" => "`true`: nothing is there.",
        Present "$present" => "`true`: any value is present.",
        Equals "$equals" => "Exactly this value: an object has no other fields, but for those that the contract does not have.",
        Not "$not" => "Does not match.",
        AnyOf "$anyOf" => "Matches at least one of these.",
        AllOf "$allOf" => "Matches all of these.",
        Type "$type" => "A value of this JSON type: `\"string\"`, `\"integer\"`, ...",
        Matches "$matches" => "A string in which this regular expression finds something.",
        IgnoreCase "$ignoreCase" => "A string that equals this one, except for the case of letters.",
        Contains "$contains" => "An array of which at least one element matches.",
        Lacks "$lacks" => "An array of which no element matches.",
        Every "$every" => "An array or object of which every element or field matches.",
        Unordered "$unordered" => "An array whose elements match these, one each, in any order.",
        Count "$count" => "An array or object whose number of elements or fields matches.",
        Keys "$keys" => "An object with exactly these fields.",
        Above "$above" => "A number greater than this.",
        Below "$below" => "A number less than this.",
        AtLeast "$atLeast" => "A number not less than this.",
        AtMost "$atMost" => "A number not greater than this.",
        Instant "$instant" => "A time, ISO or HTTP date: `true`; or `{ \"from\": \"{time}\", \"plus\": 30000, \"tolerance\": 2000 }` or `{ \"notBefore\": \"{time}\", \"notAfter\": \"{time}\" }` (ms; the clocks of a service may be 1 s apart, or `tolerance` ms); or `{ \"digits\": 7 }`: ISO, in UTC, with this many digits in the fraction of the second.",
    }
}

words! {
    /// The generators of values too long to write out.
    Generator {
        Repeat "$repeat" => "A long string: `{ \"text\": \"a\", \"times\": 101 }`.",
        List "$list" => "An array: `{ \"of\": X, \"times\": 101 }`.",
    }
}

impl StepKey {
    /// The verb, where the word is one.
    pub const fn verb(self) -> Option<&'static str> {
        match self {
            Self::Get => Some("GET"),
            Self::Put => Some("PUT"),
            Self::Post => Some("POST"),
            Self::Delete => Some("DELETE"),
            Self::Name
            | Self::As
            | Self::Method
            | Self::Path
            | Self::Headers
            | Self::Body
            | Self::Text
            | Self::Base64
            | Self::Setup
            | Self::Again
            | Self::Together
            | Self::Tally
            | Self::Each
            | Self::Open
            | Self::Socket
            | Self::Send
            | Self::Close
            | Self::After
            | Self::Within
            | Self::Expect
            | Self::Also => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::{env, fs};

    use serde_json::{Map, Value, json};

    use super::*;
    use crate::contract::Suite;
    use crate::contract::files::Files;

    /// A table of words between its markers in `cases/README.md`.
    fn with_table<W: Copy + Into<&'static str>>(text: &str, table: &str, head: &str, rows: &[(&[W], &str)]) -> String {
        let (start, end) = (format!("<!-- {table} -->\n"), format!("<!-- end of {table} -->"));
        let (before, rest) = text.split_once(&start).expect("the table begins");
        let (_, after) = rest.split_once(&end).expect("the table ends");
        let mut rows_text = format!("| {head} | means |\n| --- | --- |\n");
        for (words, meaning) in rows {
            let names: Vec<String> = words.iter().map(|word| format!("`{}`", (*word).into())).collect();
            writeln!(rows_text, "| {} | {meaning} |", names.join(" ")).unwrap();
        }
        format!("{before}{start}{rows_text}{end}{after}")
    }

    /// The properties of a schema, described as the words mean; a word without a property gets one that admits anything.
    fn described<W: Copy + Into<&'static str>>(schema: &mut Value, pointer: &str, rows: &[(&[W], &str)]) {
        let known = schema.pointer_mut(pointer).expect("the properties are there").take();
        let mut properties = Map::new();
        for (words, meaning) in rows {
            for word in *words {
                let name: &str = (*word).into();
                let mut property = known.get(name).cloned().unwrap_or(json!({}));
                property["description"] = (*meaning).into();
                properties.insert(name.to_owned(), property);
            }
        }
        *schema.pointer_mut(pointer).expect("the properties are there") = properties.into();
    }

    /// The schema of what a rule takes.
    fn argument(rule: MatcherRule) -> Value {
        let matcher = || json!({ "$ref": "#/$defs/matcher" });
        let matchers = || json!({ "type": "array", "minItems": 1, "items": matcher() });
        let or_variable = |schema: Value| json!({ "anyOf": [schema, { "$ref": "#/$defs/variable" }] });
        match rule {
            MatcherRule::Absent | MatcherRule::Present => json!({ "const": true }),
            MatcherRule::Equals => json!({}),
            MatcherRule::Not | MatcherRule::Contains | MatcherRule::Lacks | MatcherRule::Every | MatcherRule::Count => {
                matcher()
            }
            MatcherRule::AnyOf | MatcherRule::AllOf => matchers(),
            MatcherRule::Type => {
                let types = ["object", "array", "string", "number", "integer", "boolean", "null"];
                or_variable(json!({ "enum": types }))
            }
            MatcherRule::Matches => json!({ "type": "string", "minLength": 1 }),
            MatcherRule::IgnoreCase => json!({ "type": "string" }),
            MatcherRule::Unordered => or_variable(json!({ "type": "array", "items": matcher() })),
            MatcherRule::Keys => or_variable(json!({ "type": "array", "items": { "type": "string" } })),
            MatcherRule::Above | MatcherRule::Below | MatcherRule::AtLeast | MatcherRule::AtMost => {
                json!({ "$ref": "#/$defs/bound" })
            }
            MatcherRule::Instant => json!({ "$ref": "#/$defs/instant" }),
        }
    }

    /// A file of the project, and what the words make of it.
    fn assert_written(name: &str, write: impl FnOnce(&str) -> String) {
        let path = format!("{}/{name}", env!("CARGO_MANIFEST_DIR"));
        let found = fs::read_to_string(&path).unwrap();
        let expected = write(&found);
        if env::var_os("BLESS").is_some() {
            fs::write(&path, &expected).unwrap();
        } else {
            assert!(
                found == expected,
                "{name} is not what the words say; `BLESS=1 cargo test --lib words` writes it"
            );
        }
    }

    fn as_file(schema: &Value) -> String {
        serde_json::to_string_pretty(schema).unwrap() + "\n"
    }

    #[test]
    fn the_tables_for_writers_of_cases_have_all_words() {
        assert_written("cases/README.md", |text| {
            let text = with_table(text, "words of a case", "key", CaseKey::ROWS);
            let text = with_table(&text, "words of a step", "key", StepKey::ROWS);
            let text = with_table(&text, "words of an expectation", "key", ExpectKey::ROWS);
            let text = with_table(&text, "rules of a matcher", "rule", MatcherRule::ROWS);
            with_table(&text, "generators", "generator", Generator::ROWS)
        });
    }

    #[test]
    fn the_schema_of_a_case_has_all_words() {
        assert_written("schemas/case.schema.json", |text| {
            let mut schema = serde_json::from_str(text).unwrap();
            described(&mut schema, "/properties", CaseKey::ROWS);
            described(&mut schema, "/$defs/step/properties", StepKey::ROWS);
            described(&mut schema, "/$defs/expectation/properties", ExpectKey::ROWS);
            described(&mut schema, "/$defs/generator/properties", Generator::ROWS);
            as_file(&schema)
        });
    }

    #[test]
    fn the_schema_of_a_matcher_has_all_rules() {
        assert_written("schemas/matcher.schema.json", |text| {
            let mut schema: Value = serde_json::from_str(text).unwrap();
            let rules = MatcherRule::ROWS.iter().flat_map(|(rules, _)| *rules);
            let properties: Map<String, Value> = rules.map(|rule| (rule.name().to_owned(), argument(*rule))).collect();
            schema["$defs"]["rule"]["properties"] = properties.into();
            described(&mut schema, "/$defs/rule/properties", MatcherRule::ROWS);
            as_file(&schema)
        });
    }

    #[test]
    fn every_word_is_used_by_some_case() {
        let suite = Suite::load(Files::embedded()).unwrap();
        let texts: Vec<&str> = suite.files().under("cases/").map(|(_, text)| text).collect();
        let words = [
            CaseKey::NAMES,
            StepKey::NAMES,
            ExpectKey::NAMES,
            MatcherRule::NAMES,
            Generator::NAMES,
        ]
        .concat();
        let is_used = |word: &str| texts.iter().any(|text| text.contains(&format!("\"{word}\":")));
        let unused = words.iter().filter(|word| !is_used(word));
        assert_eq!(unused.collect::<Vec<_>>(), Vec::<&&str>::new());
    }
}
