//! The list of members: walked from `membersInfo.first` by each member's `next`, as clients do (SES-RESP-007, SES-RESP-008).

use std::collections::HashSet;

use serde_json::Value;

use super::matching::{Mismatch, show};

/// Finds where the members of a session document and its `membersInfo` disagree.
pub(super) fn find_mismatches(document: &Value) -> Vec<Mismatch> {
    let mut found = Vec::new();
    // A large session shows its caller alone, as `me` (LRG-001, LRG-008).
    if document.pointer("/constants/system/capabilities/large") == Some(&Value::Bool(true)) {
        return found;
    }
    let mut wrong = |pointer: String, expected: String, actual: String| {
        found.push(Mismatch {
            pointer,
            expected,
            actual,
        });
    };
    let number = |pointer: &str| document.pointer(pointer).and_then(Value::as_u64);
    let Some(members) = document.get("members").and_then(Value::as_object) else {
        wrong(
            "/members".to_owned(),
            "an object of members".to_owned(),
            show(document.get("members")),
        );
        return found;
    };
    let count = members.len() as u64;
    let mut expect = |key: &str, expected: u64| {
        let pointer = format!("/membersInfo/{key}");
        if number(&pointer) != Some(expected) {
            wrong(
                pointer.clone(),
                format!("{expected}, as `members` says"),
                show(document.pointer(&pointer)),
            );
        }
    };
    expect("count", count);
    let is = |member: &Value, flag: &str| member.get(flag) == Some(&Value::Bool(true));
    expect(
        "accepted",
        members.values().filter(|member| !is(member, "reserved")).count() as u64,
    );
    let (Some(first), Some(end)) = (number("/membersInfo/first"), number("/membersInfo/next")) else {
        let info = show(document.get("membersInfo"));
        wrong(
            "/membersInfo".to_owned(),
            "`first` and `next`, both numbers".to_owned(),
            info,
        );
        return found;
    };
    let mut visited = HashSet::new();
    let mut index = first;
    while index != end {
        let pointer = format!("/members/{index}");
        let Some(member) = members.get(&index.to_string()) else {
            let expected = format!("a member {index}, which the list from `membersInfo.first` leads to");
            wrong(pointer, expected, "nothing".to_owned());
            return found;
        };
        if !visited.insert(index) {
            wrong(
                format!("{pointer}/next"),
                "a list that ends".to_owned(),
                "a circle".to_owned(),
            );
            return found;
        }
        match member.get("next").and_then(Value::as_u64) {
            Some(next) => index = next,
            None => {
                wrong(
                    format!("{pointer}/next"),
                    "the next member's index".to_owned(),
                    show(member.get("next")),
                );
                return found;
            }
        }
    }
    if visited.len() as u64 != count {
        let expected = format!("a list through all {count} members");
        wrong(
            "/membersInfo/first".to_owned(),
            expected,
            format!("a list of {}", visited.len()),
        );
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn session(first: u64, next: [u64; 2]) -> Value {
        json!({
            "members": { "1": { "next": next[0] }, "4": { "next": next[1], "reserved": true } },
            "membersInfo": { "first": first, "next": 6, "count": 2, "accepted": 1 }
        })
    }

    #[test]
    fn a_list_through_all_members_is_sound() {
        assert_eq!(find_mismatches(&session(1, [4, 6])), []);
    }

    #[test]
    fn a_list_that_skips_circles_or_leads_nowhere_is_not() {
        for (first, next) in [(4, [4, 6]), (1, [1, 6]), (1, [3, 6])] {
            assert_ne!(
                find_mismatches(&session(first, next)),
                [],
                "first {first}, next {next:?}"
            );
        }
    }
}
