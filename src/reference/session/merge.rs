//! How custom bags are merged and values compared: the one place for both.

use serde_json::{Map, Value};

use crate::rules::{CustomMerge, NestedNull, Rules};

/// Merges `sent` into `stored` and says whether that changed anything.
///
/// Top-level keys one by one, null deletes, arrays and scalars are replaced (SES-MERGE-001, 008, 011). How deep
/// objects are merged is X-12. A bag that is no object is replaced whole; null empties it.
pub(super) fn merge_custom(stored: &mut Value, sent: &Value, rules: &Rules) -> bool {
    match (&mut *stored, sent) {
        (Value::Object(stored), Value::Object(sent)) if rules.fields_are_kept.kept() => merge_keys(stored, sent, rules),
        (stored, sent) => {
            let sent = match sent {
                Value::Null => Value::Object(Map::new()),
                // What is new is merged as well, so that it obeys the rule for null.
                Value::Object(keys) => {
                    let mut fresh = Map::new();
                    merge_keys(&mut fresh, keys, rules);
                    Value::Object(fresh)
                }
                other => other.clone(),
            };
            let changed = !same(stored, &sent);
            *stored = sent;
            changed
        }
    }
}

/// Whether [`merge_custom`] would change anything; costs no copy.
pub(super) fn changes_custom(stored: &Value, sent: &Value, rules: &Rules) -> bool {
    match (stored, sent) {
        (Value::Object(stored), Value::Object(sent)) if rules.fields_are_kept.kept() => {
            sent.iter().any(|(key, sent)| match stored.get(key) {
                None => !(sent.is_null() && rules.null_deletes.kept()),
                Some(stored) if sent.is_null() => rules.null_deletes.kept() || !stored.is_null(),
                Some(stored) => changes_nested(stored, sent, rules),
            })
        }
        (Value::Object(stored), Value::Null) => !stored.is_empty(),
        (stored, sent) => !same(stored, sent),
    }
}

fn merge_keys(stored: &mut Map<String, Value>, sent: &Map<String, Value>, rules: &Rules) -> bool {
    merge_into(stored, sent, rules.null_deletes.kept(), rules)
}

fn merge_into(stored: &mut Map<String, Value>, sent: &Map<String, Value>, null_deletes: bool, rules: &Rules) -> bool {
    let deletes = |sent: &Value| null_deletes && sent.is_null();
    let before = stored.len();
    // In one pass: to take keys out one by one, and keep the order of the others, costs the square of their number.
    if sent.values().any(deletes) {
        stored.retain(|key, _| !sent.get(key).is_some_and(deletes));
    }
    let mut changed = stored.len() < before;
    for (key, sent) in sent.iter().filter(|(_, sent)| !deletes(sent)) {
        changed |= if let Some(stored) = stored.get_mut(key) {
            merge_nested(stored, sent, rules)
        } else {
            stored.insert(key.clone(), sent.clone());
            true
        };
    }
    changed
}

fn merge_nested(stored: &mut Value, sent: &Value, rules: &Rules) -> bool {
    if let (Value::Object(stored), Value::Object(sent), CustomMerge::Deep) = (&mut *stored, sent, rules.custom_merge) {
        return merge_into(stored, sent, rules.nested_null == NestedNull::Deletes, rules);
    }
    if same(stored, sent) {
        return false;
    }
    *stored = sent.clone();
    true
}

fn changes_nested(stored: &Value, sent: &Value, rules: &Rules) -> bool {
    if let (Value::Object(stored), Value::Object(sent), CustomMerge::Deep) = (stored, sent, rules.custom_merge) {
        return sent.iter().any(|(key, sent)| {
            let deletes = sent.is_null() && rules.nested_null == NestedNull::Deletes;
            match stored.get(key) {
                Some(stored) => deletes || changes_nested(stored, sent, rules),
                None => !deletes,
            }
        });
    }
    !same(stored, sent)
}

/// Whether two values mean the same: numbers by value (`1` and `1.0`), objects in any order.
pub(super) fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => {
            left == right
                || match (left.as_f64(), right.as_f64()) {
                    // Two integers that differ are never the same, however close as floats.
                    (Some(l), Some(r)) if left.is_f64() || right.is_f64() => (l - r).abs() == 0.0,
                    _ => false,
                }
        }
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left
                    .iter()
                    .all(|(key, left)| right.get(key).is_some_and(|right| same(left, right)))
        }
        _ => left == right,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn merged(stored: Value, sent: &Value, rules: &Rules) -> (Value, bool) {
        let expected = changes_custom(&stored, sent, rules);
        let mut stored = stored;
        let changed = merge_custom(&mut stored, sent, rules);
        assert_eq!(changed, expected, "the forecast and the merge agree on {sent}");
        (stored, changed)
    }

    #[test]
    fn keys_that_were_not_sent_are_kept_and_null_deletes() {
        let (bag, changed) = merged(json!({"a": 1, "b": 2}), &json!({"b": null, "c": 3}), &Rules::default());
        assert_eq!(bag, json!({"a": 1, "c": 3}));
        assert!(changed);
    }

    #[test]
    fn sending_what_is_stored_or_deleting_what_is_absent_changes_nothing() {
        let stored = json!({"a": 1, "deep": {"x": [1, 2]}});
        for sent in [
            json!({}),
            json!({"gone": null}),
            json!({"a": 1.0}),
            json!({"deep": {"x": [1, 2]}}),
            json!({"deep": {}}),
        ] {
            let (bag, changed) = merged(stored.clone(), &sent, &Rules::default());
            assert!(!changed, "{sent}");
            assert_eq!(bag, stored);
        }
    }

    #[test]
    fn nested_values_that_were_not_sent_are_kept_unless_the_rule_says_otherwise() {
        let stored = json!({"map": {"x": 1, "y": 2}});
        let sent = json!({"map": {"x": 5}});
        assert_eq!(
            merged(stored.clone(), &sent, &Rules::default()).0,
            json!({"map": {"x": 5, "y": 2}})
        );
        let mut rules = Rules::default();
        rules.set("X-12", "top-level").unwrap();
        assert_eq!(merged(stored, &sent, &rules).0, json!({"map": {"x": 5}}));
    }

    #[test]
    fn a_nested_null_is_a_value() {
        let sent = json!({"a": {"x": null}});
        assert_eq!(merged(json!({}), &sent, &Rules::default()).0, sent);
        assert_eq!(merged(json!({"a": {"x": 1}}), &sent, &Rules::default()).0, sent);
        let mut rules = Rules::default();
        rules.set("SES-MERGE-007", "deletes").unwrap();
        assert_eq!(merged(json!({"a": {"x": 1}}), &sent, &rules).0, json!({"a": {}}));
    }

    #[test]
    fn arrays_are_replaced_and_a_bag_of_another_type_is_replaced_whole() {
        assert_eq!(
            merged(json!({"a": [1, 2]}), &json!({"a": [3]}), &Rules::default()).0,
            json!({"a": [3]})
        );
        assert_eq!(
            merged(json!({"a": 1}), &json!("text"), &Rules::default()).0,
            json!("text")
        );
        assert_eq!(
            merged(json!("text"), &json!({"a": 1, "b": null}), &Rules::default()).0,
            json!({"a": 1})
        );
        assert_eq!(merged(json!({"a": 1}), &json!(null), &Rules::default()).0, json!({}));
    }

    #[test]
    fn large_integers_stay_exact() {
        let (bag, changed) = merged(json!({"n": u64::MAX - 1}), &json!({"n": u64::MAX}), &Rules::default());
        assert!(changed);
        assert_eq!(bag["n"].as_u64(), Some(u64::MAX));
    }
}
