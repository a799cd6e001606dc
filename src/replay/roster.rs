//! The list of members: walked from `membersInfo.first` by each member's `next`, as clients do (SES-RESP-007, SES-RESP-008).

use serde_json::Number;

use crate::contract::json::tree::Tree;
use crate::replay::matching::{Mismatch, show};

/// Finds where the members of a session document and its `membersInfo` disagree.
pub(super) fn find_mismatches<'a>(document: impl Tree<'a>) -> Vec<Mismatch> {
    let mut found = Vec::new();
    // A large session shows its caller alone, as `me` (LRG-001, LRG-008).
    if document
        .at("/constants/system/capabilities/large")
        .and_then(Tree::boolean)
        == Some(true)
    {
        return found;
    }
    let mut wrong = |pointer: String, expected: String, actual: String| {
        found.push(Mismatch {
            pointer,
            expected,
            actual,
        });
    };
    let found_at = |pointer: &str| show(document.at(pointer).map(Tree::to_value).as_ref());
    let Some(members) = document.member("members").filter(|members| members.members().is_some()) else {
        wrong(
            "/members".to_owned(),
            "an object of members".to_owned(),
            found_at("/members"),
        );
        return found;
    };
    let info = document.member("membersInfo");
    let number = |of: Option<_>, key: &str| {
        let number = Tree::number(Tree::member(of?, key)?)?;
        Number::as_u64(number)
    };
    let count = members.count().unwrap_or_default() as u64;
    let is_reserved = |member: &_| Tree::member(*member, "reserved").and_then(Tree::boolean) == Some(true);
    let each = members.members().into_iter().flatten().map(|(_, member)| member);
    let reserved = each.filter(is_reserved).count() as u64;
    for (key, expected) in [("count", count), ("accepted", count - reserved)] {
        if number(info, key) != Some(expected) {
            let pointer = format!("/membersInfo/{key}");
            let expected = format!("{expected}, as in `members`");
            let actual = found_at(&pointer);
            wrong(pointer, expected, actual);
        }
    }
    let (Some(first), Some(end)) = (number(info, "first"), number(info, "next")) else {
        let expected = "`first` and `next`, both numbers";
        wrong("/membersInfo".to_owned(), expected.to_owned(), found_at("/membersInfo"));
        return found;
    };
    let mut visited = 0;
    let mut index = first;
    while index != end {
        let Some(member) = members.member(&index.to_string()) else {
            let expected = format!("a member {index}, reached from `membersInfo.first`");
            wrong(format!("/members/{index}"), expected, "nothing".to_owned());
            return found;
        };
        visited += 1;
        // No list that ends is longer.
        if visited > count {
            let (expected, actual) = ("a list that ends", "a cycle");
            wrong(format!("/members/{index}/next"), expected.to_owned(), actual.to_owned());
            return found;
        }
        let Some(next) = number(Some(member), "next") else {
            let pointer = format!("/members/{index}/next");
            let actual = found_at(&pointer);
            wrong(pointer, "the next member's index".to_owned(), actual);
            return found;
        };
        index = next;
    }
    if visited != count {
        let expected = format!("a list through all {count} members");
        wrong(
            "/membersInfo/first".to_owned(),
            expected,
            format!("a list of {visited}"),
        );
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

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
