//! Made-up filters over made-up handles, against a search without parser, index and plan; and texts that are no filters.
//!
//! `MPSD_FUZZ=10 cargo test --release --lib search::tests::laws` tries ten times as many texts (a million).

use std::fmt::Write;
use std::time::Instant;

use proptest::prelude::*;

use super::*;

/// A filter before it is written down: at most two conjunctions.
type Toy = Vec<Vec<Clause>>;

#[derive(Clone, Debug)]
enum Clause {
    Tag(bool, &'static str, Option<bool>),
    Text(&'static str, &'static str, &'static str),
    Number(&'static str, &'static str, f64),
    Member(bool, u64),
    Count(&'static str, &'static str, i64),
    Achievement(&'static str),
    Language(&'static str, &'static str),
}

fn written(toy: &Toy, blanks: bool) -> String {
    let branch = |clauses: &Vec<Clause>| {
        let clauses: Vec<_> = clauses.iter().map(|clause| told(clause, blanks)).collect();
        clauses.join(if blanks { "  and " } else { " and " })
    };
    toy.iter().map(branch).collect::<Vec<_>>().join(" or ")
}

fn told(clause: &Clause, blanks: bool) -> String {
    let mut text = match clause {
        Clause::Tag(equal, tag, None) => format!("tags/any(d:tolower(d) {} '{tag}')", if *equal { "eq" } else { "ne" }),
        Clause::Tag(equal, tag, Some(truth)) => {
            format!(
                "tags/any(d:tolower(d) {} '{tag}') eq {truth}",
                if *equal { "eq" } else { "ne" }
            )
        }
        Clause::Text(name, operator, value) => format!("tolower(strings/{name}) {operator} '{value}'"),
        Clause::Number(name, operator, value) => format!("numbers/{name} {operator} {value}"),
        Clause::Member(equal, xuid) => {
            format!(
                "session/memberXuids/any(m:m {} '{xuid}')",
                if *equal { "eq" } else { "ne" }
            )
        }
        Clause::Count(name, operator, value) => format!("session/{name} {operator} {value}"),
        Clause::Achievement(id) => format!("achievementIds/any(a:a eq '{id}')"),
        Clause::Language(operator, value) => format!("language {operator} '{value}'"),
    };
    if blanks {
        text = format!(
            "( {} )",
            text.replace('/', " / ").replace('(', " ( ").replace(')', " ) ")
        );
    }
    text
}

fn compares(operator: &str, order: Option<std::cmp::Ordering>) -> bool {
    match operator {
        "eq" => order.is_some_and(std::cmp::Ordering::is_eq),
        "ne" => !order.is_some_and(std::cmp::Ordering::is_eq),
        "gt" => order.is_some_and(std::cmp::Ordering::is_gt),
        "ge" => order.is_some_and(std::cmp::Ordering::is_ge),
        "lt" => order.is_some_and(std::cmp::Ordering::is_lt),
        _ => order.is_some_and(std::cmp::Ordering::is_le),
    }
}

/// The naive judgement, on the documents as they were given.
fn holds(clause: &Clause, attributes: &Value, session: &Value, reading: AnyNotEqual) -> bool {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let any = |elements: &[Value], equal: bool, wanted: &Value| match (equal, reading) {
        (true, _) => elements.contains(wanted),
        (false, AnyNotEqual::None) => !elements.contains(wanted),
        (false, AnyNotEqual::Some) => elements.iter().any(|element| element != wanted),
    };
    let lowered = |text: &str| json!(text.to_lowercase());
    match clause {
        Clause::Tag(equal, tag, truth) => {
            let tags: Vec<_> = list(&attributes["tags"])
                .iter()
                .map(|tag| lowered(tag.as_str().unwrap()))
                .collect();
            any(&tags, *equal, &json!(tag)) == truth.unwrap_or(true)
        }
        Clause::Text(name, operator, value) => {
            let given = attributes["strings"][name].as_str().map(str::to_lowercase);
            compares(operator, given.map(|given| given.as_str().cmp(value)))
        }
        Clause::Number(name, operator, value) => {
            let given = attributes["numbers"][name].as_f64();
            compares(operator, given.and_then(|given| given.partial_cmp(value)))
        }
        Clause::Member(equal, xuid) => any(&list(&session["members"]), *equal, &json!(xuid)),
        Clause::Count(name, operator, value) => {
            let count = i64::try_from(list(&session["members"]).len()).unwrap();
            let max = session["max"].as_i64().unwrap();
            let target = session["target"].as_i64();
            let given = match *name {
                "membersCount" => Some(count),
                "targetMembersCount" => target,
                "maxMembersCountRemaining" => Some(max - count),
                "targetMembersCountRemaining" => target.map(|target| target - count),
                _ => Some(target.unwrap_or(max) - count),
            };
            compares(operator, given.map(|given| given.cmp(value)))
        }
        Clause::Achievement(id) => list(&attributes["achievementIds"]).contains(&json!(id)),
        Clause::Language(operator, value) => {
            compares(operator, attributes["language"].as_str().map(|given| given.cmp(value)))
        }
    }
}

fn any_operator() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["eq", "ne", "gt", "ge", "lt", "le"])
}

fn any_number() -> impl Strategy<Value = f64> {
    prop::sample::select(vec![-1.0, 0.0, 0.5, 1.0, 2.0, 7.5])
}

fn any_clause() -> impl Strategy<Value = Clause> {
    let name = || prop::sample::select(vec!["x", "y"]);
    let truth = prop::sample::select(vec![None, Some(true), Some(false)]);
    prop_oneof![
        (any::<bool>(), prop::sample::select(vec!["a", "b", "C"]), truth).prop_map(|(e, t, b)| Clause::Tag(e, t, b)),
        (name(), any_operator(), prop::sample::select(vec!["p", "q", "Q"])).prop_map(|(n, o, v)| Clause::Text(n, o, v)),
        (name(), any_operator(), any_number()).prop_map(|(n, o, v)| Clause::Number(n, o, v)),
        (any::<bool>(), 1..4u64).prop_map(|(e, x)| Clause::Member(e, x)),
        (
            prop::sample::select(vec![
                "membersCount",
                "targetMembersCount",
                "maxMembersCountRemaining",
                "targetMembersCountRemaining",
                "needs",
            ]),
            any_operator(),
            -1..4i64
        )
            .prop_map(|(n, o, v)| Clause::Count(n, o, v)),
        prop::sample::select(vec!["7", "k", "K"]).prop_map(Clause::Achievement),
        (any_operator(), prop::sample::select(vec!["de", "en"])).prop_map(|(o, v)| Clause::Language(o, v)),
    ]
}

fn any_toy() -> impl Strategy<Value = Toy> {
    prop::collection::vec(prop::collection::vec(any_clause(), 1..4), 1..3)
}

fn any_attributes() -> impl Strategy<Value = Value> {
    let letters = |of: Vec<&'static str>, most| prop::collection::vec(prop::sample::select(of), 0..most);
    (
        letters(vec!["a", "A", "b", "C"], 3),
        prop::collection::hash_map(prop::sample::select(vec!["x", "y"]), prop::sample::select(vec!["p", "P", "q"]), 0..3),
        prop::collection::hash_map(prop::sample::select(vec!["x", "y"]), any_number(), 0..3),
        letters(vec!["7", "k"], 2),
        prop::sample::select(vec![json!("de"), json!("en"), json!(null)]),
    )
        .prop_map(|(tags, strings, numbers, achievements, language)| {
            json!({
                "tags": tags, "strings": strings, "numbers": numbers, "achievementIds": achievements, "language": language,
            })
        })
}

fn any_session() -> impl Strategy<Value = Value> {
    (
        prop::collection::hash_set(1..4u64, 0..4),
        1..5u64,
        prop::option::of(1..5u64),
    )
        .prop_map(|(members, max, target)| json!({ "members": members, "max": max, "target": target }))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_query_finds_what_a_naive_search_finds(
        toy in any_toy(),
        blanks: bool,
        some: bool,
        documents in prop::collection::vec((any_attributes(), any_session(), prop::bool::weighted(0.1)), 0..60),
        removed in prop::collection::vec(0..60usize, 0..6),
        order in prop::sample::select(vec![
            None,
            Some("numbers/x asc"),
            Some("numbers/x desc"),
            Some("strings/y asc"),
            Some("session/membersCount desc"),
        ]),
        copies in 1..5usize,
        knows_members: bool,
    ) {
        let reading = if some { AnyNotEqual::Some } else { AnyNotEqual::None };
        // Copies, so that there can be more than a hundred results.
        let documents: Vec<_> = documents.iter().cycle().take(documents.len() * copies).collect();
        let mut world = World { knows_members, ..World::default() };
        for (attributes, session, _) in &documents {
            world.add(attributes, session.clone());
        }
        for (number, (_, _, gone)) in documents.iter().enumerate() {
            if *gone {
                world.sessions[number] = None;
            }
        }
        for number in &removed {
            world.index.remove(Uuid::from_u128(*number as u128 + 1));
        }
        let mut expected: Vec<usize> = (0..documents.len())
            .filter(|number| !removed.contains(number) && !documents[*number].2)
            .filter(|number| {
                let (attributes, session, _) = documents[*number];
                toy.iter().any(|branch| branch.iter().all(|clause| holds(clause, attributes, session, reading)))
            })
            .collect();
        let number_x = |number: &usize| documents[*number].0["numbers"]["x"].as_f64();
        match order {
            None => {}
            Some("numbers/x asc") => expected.sort_by(|one, other| {
                let (one, other) = (number_x(one), number_x(other));
                one.is_none().cmp(&other.is_none()).then(one.partial_cmp(&other).unwrap())
            }),
            Some("numbers/x desc") => expected.sort_by(|one, other| number_x(other).partial_cmp(&number_x(one)).unwrap()),
            Some("strings/y asc") => expected.sort_by_key(|number| {
                let text = documents[*number].0["strings"]["y"].as_str().map(str::to_lowercase);
                (text.is_none(), text)
            }),
            Some(_) => expected.sort_by_key(|number| {
                std::cmp::Reverse(documents[*number].1["members"].as_array().unwrap().len())
            }),
        }
        expected.truncate(100);
        let filter = written(&toy, blanks);
        prop_assert_eq!(world.ask(Some(&filter), order, reading), expected, "{}", filter);
    }
}

/// A small generator of random numbers.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % sides as u64).unwrap()
    }
}

const SCRAPS: &[&str] = &[
    "(",
    ")",
    "/",
    ":",
    ",",
    "'",
    "''",
    " ",
    "\t",
    "and",
    "or",
    "not",
    "eq",
    "ne",
    "gt",
    "ge",
    "lt",
    "le",
    "true",
    "any",
    "all",
    "tolower",
    "tags",
    "strings",
    "numbers",
    "session",
    "roles",
    "count",
    "needs",
    "membersCount",
    "memberXuids",
    "keywords",
    "language",
    "achievementIds",
    "postedTime",
    "d",
    "x",
    "5",
    "-1.5",
    "1e400",
    "'a'",
    "'2026-01-01T00:00:00Z'",
    "'9999-12-31T23:59:59.9999999Z'",
    "tags/any(d:tolower(d) eq 'a')",
    "numbers/x ge 5",
    "\0",
    "ß",
    "İ",
    "🂡",
    "\u{301}",
    "\\",
    "\"",
];

#[test]
fn no_text_is_too_odd_to_be_read_or_refused() {
    let times: usize = std::env::var("MPSD_FUZZ")
        .ok()
        .and_then(|times| times.parse().ok())
        .unwrap_or(1);
    let world = world(&[json!({ "tags": ["a"], "numbers": { "x": 5 } }), json!({})]);
    let mut dice = Dice(0);
    let mut text = String::new();
    let mut accepted = 0;
    let started = Instant::now();
    for _ in 0..100_000 * times {
        text.clear();
        match dice.roll(4) {
            // Scraps of the language in any order, with and without blanks.
            0 | 1 => {
                for _ in 0..dice.roll(24) {
                    text.push_str(SCRAPS[dice.roll(SCRAPS.len())]);
                    text.push_str(["", " "][dice.roll(2)]);
                }
            }
            // Any characters.
            2 => {
                for _ in 0..dice.roll(48) {
                    let wide = if dice.roll(4) == 0 { 0x0011_0000 } else { 0x80 };
                    text.extend(u32::try_from(dice.roll(wide)).ok().and_then(char::from_u32));
                }
            }
            // A filter with one character changed or left out.
            _ => {
                let whole =
                    "numbers/x ge 5 and tags/any(d:tolower(d) eq 'a') or session/needs lt 3 and language ne 'en'";
                let at = dice.roll(whole.len());
                write!(
                    text,
                    "{}{}{}",
                    &whole[..at],
                    ["", "(", ")", "'", "/", "§", "  "][dice.roll(7)],
                    &whole[at + 1..]
                )
                .unwrap();
            }
        }
        match Filter::parse(&text) {
            Ok(filter) => {
                accepted += 1;
                let query = Query {
                    places: &[(SCID, TEMPLATE)],
                    filter: Some(&filter),
                    order: None,
                    among: None,
                    any_not_equal: AnyNotEqual::None,
                };
                assert!(world.index.query(&query, &world).len() <= 2);
            }
            Err(error) => {
                assert!(
                    error.position <= text.len() && text.is_char_boundary(error.position),
                    "{text:?}"
                );
                assert_eq!(error.column, text[..error.position].chars().count() + 1, "{text:?}");
                assert!(!error.to_string().contains("expected $"));
            }
        }
        let _ = Order::parse(&text);
    }
    assert!(accepted > 0);
    println!(
        "{} texts, {accepted} of them filters, in {:?}",
        100_000 * times,
        started.elapsed()
    );
}

#[test]
fn reading_takes_time_in_proportion_to_length() {
    // Whatever is longest within the bound is read, not only refused at its first character.
    for unit in [
        "numbers/x ge 5 and ",
        "(numbers/x ge 5) and ",
        "tags/any(d:(d eq 'a')) and ",
        "''",
    ] {
        let text = if unit == "''" {
            format!("strings/x eq '{}'", "''".repeat(4000))
        } else {
            format!("{}numbers/x ge 5", unit.repeat(8000 / unit.len()))
        };
        Filter::parse(&text).expect("a long filter");
    }
}
