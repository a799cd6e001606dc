//! What the filter language accepts, and how it refuses the rest.

use super::*;

fn refusal(filter: &str) -> String {
    Filter::parse(filter).expect_err(filter).to_string()
}

#[test]
fn every_documented_form_is_accepted() {
    for filter in [
        "session/memberXuids/any(d:d eq '281467')",
        "session/ownerXuids/any(d:d eq '281467')",
        "tolower(strings/carclass) eq 'b'",
        "numbers/skill eq 6",
        "numbers/ratio gt 1.5",
        "tags/any(d:tolower(d) eq 'friendly')",
        "tags/any(d:tolower(d) ne 'swearing')",
        "numbers/rank ne 0",
        "tags/any(d:tolower(d) eq 'friendly') eq true and numbers/ratio eq 7.5",
        "numbers/ratio ge 1.5 and numbers/rank lt 60 and numbers/age le 5",
        "achievementIds/any(d:d eq '17')",
        "language eq 'en'",
        "session/scheduledTime le '2026-06-15T13:45:30.0900000Z'",
        "session/postedTime lt '2026-06-15T13:45:30.0900000Z'",
        "session/registrationState eq 'registered'",
        "session/membersCount eq 5",
        "session/targetMembersCount gt 1",
        "session/maxMembersCount lt 3",
        "session/targetMembersCountRemaining le 5",
        "session/maxMembersCountRemaining gt 2",
        "session/needs le 15",
        "session/roles/lfg/confirmed/count eq 5",
        "session/roles/lfg/confirmed/target gt 1",
        "session/roles/lfg/confirmed/needs le 15",
        "session/keywords/any(d:tolower(d) eq 'level2')",
        "session/scid eq '88aa0000-0000-0000-0000-000000000001'",
        "session/templateName eq 'quickmatch'",
        "tags/any(a:tolower(a) eq 'elite') or numbers/guns gt 15 and tolower(strings/clan) eq 'red'",
        "tolower(session / templateName) eq 'quickmatch' and (numbers/a eq 1 and numbers/b eq 2)",
        "( numbers/a eq 1 or ((numbers/b eq -2.25)) )",
    ] {
        Filter::parse(filter).unwrap_or_else(|error| panic!("{filter}: {error}"));
    }
}

#[test]
fn older_spellings_are_accepted() {
    for (old, new) in [
        ("number/guns gt 15", "numbers/guns gt 15"),
        ("string/clan eq 'red'", "tolower(strings/clan) eq 'red'"),
        (
            "Strings/clan EQ 'red' AND Numbers/a GE 1",
            "strings/clan eq 'red' and numbers/a ge 1",
        ),
        ("MemberXuids/any(d:d eq '5')", "session/memberXuids/any(d:d eq '5')"),
        (
            "ownerXuids/Any(d : d eq '5') eq TRUE",
            "session/ownerXuids/any(d:d eq '5')",
        ),
        ("Tags/any(d:ToLower(d) eq 'a')", "tags/any(d:tolower(d) eq 'a')"),
    ] {
        assert_eq!(Filter::parse(old).expect(old), Filter::parse(new).expect(new));
    }
}

#[test]
fn blanks_and_parentheses_change_nothing() {
    assert_eq!(
        Filter::parse("\t( ( numbers / a  eq\n1 ) )and( tags / any ( x : ( tolower ( x )eq'b' ) ) )  "),
        Filter::parse("numbers/a eq 1 and tags/any(d:tolower(d) eq 'b')")
    );
}

#[test]
fn only_one_or_is_allowed() {
    assert_eq!(
        refusal("numbers/a eq 1 or numbers/b eq 2 or numbers/c eq 3"),
        "column 34: found a second `or`, expected at most one in a filter"
    );
    assert!(refusal("(numbers/a eq 1 or numbers/b eq 2) or numbers/c eq 3").starts_with("column 36: found a second"));
    assert!(refusal("numbers/a eq 1 or (numbers/b eq 2 or numbers/c eq 3)").starts_with("column 35: found a second"));
}

#[test]
fn or_is_allowed_only_at_the_root() {
    for filter in [
        "(numbers/a eq 1 or numbers/b eq 2) and numbers/c eq 3",
        "numbers/c eq 3 and (numbers/a eq 1 or numbers/b eq 2)",
        "((numbers/a eq 1 or numbers/b eq 2)) and numbers/c eq 3 or numbers/d eq 4",
    ] {
        assert!(
            refusal(filter).contains("found an `or` below an `and`, expected `or` only at the root"),
            "{filter}"
        );
    }
    assert_eq!(
        refusal("tags/any(d:tolower(d) eq 'a' or tolower(d) eq 'b')"),
        "column 30: found an `or` in `any`, expected `or` only at the root"
    );
}

#[test]
fn a_refusal_says_what_was_found_where_and_what_was_expected() {
    let comparison = "expected a comparison: eq, ne, gt, ge, lt or le";
    for (filter, expected) in [
        ("numbers/a", format!("column 10: found the end, {comparison}")),
        ("numbers/a = 5", format!("column 11: found `=`, {comparison}")),
        ("numbers/a add 5 eq 7", format!("column 11: found `add`, {comparison}")),
        ("numbers/a in (1)", format!("column 11: found `in`, {comparison}")),
        (
            "numbers/a eq '5'",
            "column 14: found the string '5', expected a number".to_owned(),
        ),
        ("numbers/a eq 5f", "column 14: found `5f`, expected a number".to_owned()),
        (
            "numbers/a eq 1e999",
            "column 14: found `1e999`, expected a number".to_owned(),
        ),
        (
            "numbers/a eq NaN",
            "column 14: found `NaN`, expected a number".to_owned(),
        ),
        (
            "numbers/a eq inf",
            "column 14: found `inf`, expected a number".to_owned(),
        ),
        ("numbers/a eq", "column 13: found the end, expected a number".to_owned()),
        (
            "numbers a eq 5",
            "column 9: found `a`, expected `/` and the name of a number".to_owned(),
        ),
        ("numbers/ eq 5", format!("column 13: found `5`, {comparison}")),
        (
            "numbers/'a' eq 5",
            "column 9: found the string 'a', expected the name of a number".to_owned(),
        ),
        (
            "tolower(strings/a) eq 5",
            "column 23: found `5`, expected a string in single quotes".to_owned(),
        ),
        (
            "tolower(strings/a) eq 'b",
            "column 23: found a string that does not end, expected a closing `'`".to_owned(),
        ),
        (
            "tolower(strings/a eq 'b'",
            "column 19: found `eq`, expected `)`".to_owned(),
        ),
        (
            "tolower(numbers/a) eq 'b'",
            "column 9: found an attribute that is not a string, expected a string for `tolower`".to_owned(),
        ),
        (
            "contains(strings/a, 'b')",
            "column 1: found the function `contains`, expected `tolower`, the only function".to_owned(),
        ),
        (
            "tags/any(d:toupper(d) eq 'B')",
            "column 12: found the function `toupper`, expected `tolower`, the only function".to_owned(),
        ),
        (
            "tags/all(d:d eq 'b')",
            "column 6: found `all`, expected `any(`".to_owned(),
        ),
        ("tags eq 'b'", "column 6: found `eq`, expected `/any(`".to_owned()),
        (
            "tags/any()",
            "column 10: found `)`, expected the name of a variable".to_owned(),
        ),
        (
            "tags/any(d:e eq 'b')",
            "column 12: found `e`, expected the variable `d`".to_owned(),
        ),
        (
            "tags/any(d:d eq 'b') eq 1",
            "column 25: found `1`, expected `true` or `false`".to_owned(),
        ),
        (
            "tags/any(d:d eq 'b') gt true",
            "column 22: found `gt`, expected `eq`, `ne`, `and`, `or` or the end".to_owned(),
        ),
        (
            "session/postedTime lt 'soon'",
            "column 23: found the string 'soon', expected a time in single quotes, as in '2009-06-15T13:45:30Z'"
                .to_owned(),
        ),
        (
            "session/roles/lfg/confirmed/max eq 1",
            "column 29: found `max`, expected `count`, `target` or `needs`".to_owned(),
        ),
        (
            "numbers/a eq 1 numbers/b eq 2",
            "column 16: found `numbers`, expected `and`, `or` or the end".to_owned(),
        ),
        (
            "(numbers/a eq 1",
            "column 16: found the end, expected `and`, `or` or `)`".to_owned(),
        ),
        (
            "numbers/a eq 1)",
            "column 15: found `)`, expected `and`, `or` or the end".to_owned(),
        ),
    ] {
        assert_eq!(refusal(filter), expected, "{filter}");
    }
}

#[test]
fn a_filter_without_a_condition_is_refused() {
    for (filter, found) in [
        ("", "the end"),
        ("  ", "the end"),
        ("and", "`and`"),
        ("()", "`)`"),
        ("'a' eq 'a'", "the string 'a'"),
    ] {
        let expected = format!("found {found}, expected an attribute: tags, ");
        assert!(refusal(filter).contains(&expected), "{filter}: {}", refusal(filter));
    }
    assert!(refusal("not tags/any(d:d eq 'a')").starts_with("column 1: found `not`, expected an attribute"));
    assert!(
        refusal("session/colour eq 'a'").starts_with("column 9: found `colour`, expected a property of the session")
    );
}

#[test]
fn positions_count_bytes_and_columns_count_characters() {
    let error = Filter::parse("tolower(strings/größe) eq 'µ' nad").expect_err("no keyword");
    assert_eq!((error.position, error.column), (33, 31));
}

#[test]
fn length_and_nesting_are_bounded() {
    let nested = |depth: usize| format!("{}numbers/a eq 1{}", "(".repeat(depth), ")".repeat(depth));
    Filter::parse(&nested(32)).expect("allowed");
    assert_eq!(
        refusal(&nested(33)),
        "column 33: found one more `(`, expected at most 32 parentheses inside each other"
    );
    assert!(refusal(&"(".repeat(8000)).starts_with("column 33: "));
    assert!(refusal(&format!("tags/any(d:{}", "(".repeat(8000))).starts_with("column 44: "));
    assert_eq!(
        refusal(&"(".repeat(9000)),
        "column 1: found a filter of 9000 bytes, expected at most 8192"
    );
}

#[test]
fn an_order_names_an_attribute_and_a_direction() {
    for order in [
        "numbers/rank asc",
        "strings/map desc",
        "rank DESC",
        "rank",
        "timestamp asc",
        "suggestedLfg desc",
        "session/membersCount desc",
        "session/roles/lfg/confirmed/needs asc",
    ] {
        Order::parse(order).unwrap_or_else(|error| panic!("{order}: {error}"));
    }
    for (order, expected) in [
        ("", "column 1: found the end, expected the attribute to order by"),
        ("rank up", "column 6: found `up`, expected `asc`, `desc` or the end"),
        ("rank desc, age", "column 10: found `,`, expected the end"),
        (
            "colour/rank asc",
            "column 7: found `/`, expected `asc`, `desc` or the end",
        ),
        (
            "tags asc",
            "column 1: found the collection at `tags`, expected an attribute that has one value",
        ),
    ] {
        assert_eq!(Order::parse(order).expect_err(order).to_string(), expected);
    }
}
