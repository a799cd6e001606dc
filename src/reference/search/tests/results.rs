//! What filters find, clause by clause.

use super::*;

#[test]
fn tags_and_strings_are_found_in_lower_case_only() {
    let world = world(&[
        json!({ "tags": ["ProRank"], "strings": { "Map": "UrbanCity" } }),
        json!({}),
    ]);
    assert_eq!(world.find("tags/any(d:tolower(d) eq 'prorank')"), [0]);
    //
    for filter in [
        "tolower(strings/Map) eq 'urbancity'",
        "tolower(strings/map) eq 'urbancity'",
        "Tags/tagType eq 'ProRank'",
        "tags/x eq 'prorank'",
    ] {
        assert_eq!(world.find(filter), [0], "{filter}");
    }
    for filter in [
        "tags/any(d:tolower(d) eq 'ProRank')",
        "tags/any(d:d eq 'ProRank')",
        "tolower(strings/Map) eq 'UrbanCity'",
        "strings/Map eq 'UrbanCity'",
        "tags/prorank eq 'other'",
    ] {
        assert!(world.find(filter).is_empty(), "{filter}");
    }
}

#[test]
fn a_quote_in_a_text_is_doubled() {
    let world = world(&[json!({ "strings": { "host": "o'neill" } })]);
    assert_eq!(world.find("tolower(strings/host) eq 'o''neill'"), [0]);
}

#[test]
fn not_equal_finds_what_lacks_the_attribute() {
    let world = world(&[
        json!({ "tags": ["a", "b"], "numbers": { "rank": 0 }, "strings": { "map": "x" } }),
        json!({ "tags": ["b"], "numbers": { "rank": 3 }, "strings": { "map": "y" } }),
        json!({}),
    ]);
    assert_eq!(world.find("numbers/rank ne 0"), [1, 2]);
    assert_eq!(world.find("tolower(strings/map) ne 'x'"), [1, 2]);
    assert_eq!(world.find("tags/any(d:tolower(d) ne 'a')"), [1, 2]);
    assert_eq!(world.find("tags/any(d:tolower(d) ne 'a') eq false"), [0]);
    assert_eq!(world.find("tags/any(d:tolower(d) eq 'b' and tolower(d) ne 'a')"), [1]);
    assert_eq!(world.find("numbers/rank lt 100"), [0, 1]);
    assert_eq!(world.find("language ne 'en'"), [0, 1, 2]);
}

#[test]
fn not_equal_of_some_element_is_the_other_reading() {
    let world = world(&[
        json!({ "tags": ["a", "b"] }),
        json!({ "tags": ["a"] }),
        json!({ "tags": ["b"] }),
        json!({}),
    ]);
    assert_eq!(
        world.ask(Some("tags/any(d:tolower(d) ne 'a')"), None, AnyNotEqual::Some),
        [0, 2]
    );
    assert_eq!(
        world.ask(Some("tags/any(d:tolower(d) ne 'a')"), None, AnyNotEqual::None),
        [2, 3]
    );
}

#[test]
fn numbers_are_compared_as_floating_point() {
    let world = world(&[
        json!({ "numbers": { "n": 7 } }),
        json!({ "numbers": { "n": 7.5 } }),
        json!({ "numbers": { "n": -0.0 } }),
    ]);
    assert_eq!(world.find("numbers/n eq 7.0"), [0]);
    assert_eq!(world.find("numbers/n eq 7.5"), [1]);
    assert_eq!(world.find("numbers/n eq 0"), [2]);
    assert_eq!(world.find("numbers/n ge 0"), [0, 1, 2]);
    assert_eq!(world.find("numbers/n gt 0 and numbers/n lt 7.5"), [0]);
    assert!(world.find("numbers/n gt 7.5 and numbers/n lt 7.5").is_empty());
    assert!(world.find("numbers/n gt 8 and numbers/n lt 2").is_empty());
}

#[test]
fn and_binds_tighter_than_or() {
    let world = world(&[
        json!({ "tags": ["elite"] }),
        json!({ "numbers": { "guns": 16 }, "strings": { "clan": "Purple" } }),
        json!({ "numbers": { "guns": 16 } }),
        json!({ "tags": ["elite"], "numbers": { "guns": 16 }, "strings": { "clan": "purple" } }),
    ]);
    let filter = "tags/any(a:tolower(a) eq 'elite') or number/guns gt 15 and string/clan eq 'purple'";
    assert_eq!(world.find(filter), [0, 1, 3]);
}

#[test]
fn sessions_are_found_by_what_they_are_now() {
    let mut world = World::default();
    world.add(
        &json!({}),
        json!({
            "members": [11, 12], "owners": [11], "keywords": ["Level2"], "max": 4, "target": 3,
            "scheduled": "2026-03-01T10:00:00Z", "registration": "registered",
            "roles": { "lfg/confirmed": [2, 5, 4], "lfg/maybe": [1, 6, null] },
        }),
    );
    world.add(&json!({}), json!({ "members": [11], "max": 6 }));
    for (filter, expected) in [
        ("session/memberXuids/any(d:d eq '11')", &[0, 1][..]),
        ("session/memberXuids/any(d:d ne '12')", &[1]),
        ("session/memberXuids/any(d:d eq 'nobody')", &[]),
        ("session/ownerXuids/any(d:d eq '11')", &[0]),
        ("session/keywords/any(d:tolower(d) eq 'level2')", &[0]),
        ("session/keywords/any(d:tolower(d) eq 'Level2')", &[]),
        ("session/keywords/any(d:d eq 'Level2')", &[0]),
        ("session/membersCount eq 2", &[0]),
        ("session/maxMembersCount ge 4", &[0, 1]),
        ("session/targetMembersCount eq 3", &[0]),
        ("session/targetMembersCount ne 3", &[1]),
        ("session/maxMembersCountRemaining gt 2", &[1]),
        ("session/targetMembersCountRemaining le 1", &[0]),
        ("session/needs eq 1", &[0]),
        ("session/needs eq 5", &[1]),
        ("session/roles/lfg/confirmed/count eq 2", &[0]),
        ("session/roles/lfg/confirmed/target eq 4", &[0]),
        ("session/roles/lfg/maybe/target eq 6", &[0]),
        ("session/roles/lfg/confirmed/needs eq 2", &[0]),
        ("session/roles/lfg/maybe/needs eq 5", &[0]),
        ("session/roles/lfg/no/needs ge 0", &[]),
        ("session/scheduledTime le '2026-03-01T11:00:00+01:00'", &[0]),
        ("session/scheduledTime lt '9999-12-31T23:59:59.9999999Z'", &[0]),
        ("session/registrationState eq 'registered'", &[0]),
        ("session/registrationState ne 'registered'", &[1]),
        ("session/postedTime gt '2000-01-01T00:00:00Z'", &[0, 1]),
        ("session/scid eq '88aa0000-0000-0000-0000-000000000001'", &[0, 1]),
        ("session/templateName eq 'QuickMatch'", &[0, 1]),
        ("tolower(session/templateName) eq 'quickmatch'", &[0, 1]),
        ("tolower(session/templateName) eq 'Quickmatch'", &[]),
    ] {
        assert_eq!(world.find(filter), expected, "{filter}");
    }
    world.sessions[0] = Some(Told::new(json!({ "members": [12] })));
    assert_eq!(world.find("session/memberXuids/any(d:d eq '11')"), [1]);
}

#[test]
fn achievements_and_language_are_found_in_their_own_spelling() {
    let world = world(&[
        json!({ "achievementIds": ["A7"], "locale": "en-US" }),
        json!({ "language": "de" }),
    ]);
    assert_eq!(world.find("achievementIds/any(d:d eq 'A7')"), [0]);
    assert!(world.find("achievementIds/any(d:d eq 'a7')").is_empty());
    assert_eq!(world.find("achievementIds/any(d:tolower(d) eq 'a7')"), [0]);
    assert_eq!(world.find("language eq 'en'"), [0]);
    assert_eq!(world.find("language eq 'en' or language eq 'de'"), [0, 1]);
}

#[test]
fn the_first_hundred_results_are_given_oldest_first() {
    let attributes: Vec<_> = (0..250)
        .map(|number| json!({ "numbers": { "n": 250 - number } }))
        .collect();
    let world = world(&attributes);
    let first = |start: usize| (start..start + 100).collect::<Vec<_>>();
    assert_eq!(world.ask(None, None, AnyNotEqual::None), first(0));
    assert_eq!(world.find("numbers/n le 200"), first(50));
    assert_eq!(world.find("numbers/n le 200 or numbers/n le 150"), first(50));
    assert_eq!(world.find("session/membersCount eq 1 and numbers/n lt 250"), first(1));
    assert_eq!(world.ordered("numbers/n asc"), (150..250).rev().collect::<Vec<_>>());
}

#[test]
fn results_come_in_the_wanted_order_and_those_without_the_attribute_last() {
    let mut world = world(&[
        json!({ "numbers": { "rank": 5 }, "strings": { "map": "b" } }),
        json!({}),
        json!({ "numbers": { "rank": 10 }, "strings": { "map": "A" } }),
        json!({ "numbers": { "rank": 5 }, "strings": { "rank": "x" } }),
        json!({ "strings": { "rank": "c" } }),
    ]);
    assert_eq!(world.ordered("numbers/rank asc"), [0, 3, 2, 1, 4]);
    assert_eq!(world.ordered("numbers/rank desc"), [2, 0, 3, 1, 4]);
    assert_eq!(world.ordered("strings/map asc"), [2, 0, 1, 3, 4]);
    assert_eq!(world.ordered("rank asc"), [0, 3, 2, 4, 1]);
    assert_eq!(world.ordered("timestamp desc"), [4, 3, 2, 1, 0]);
    assert_eq!(world.ordered("suggestedLfg desc"), [0, 1, 2, 3, 4]);
    world.sessions[3] = Some(Told::new(json!({ "members": [1, 2, 3] })));
    assert_eq!(world.ordered("session/membersCount desc"), [3, 0, 1, 2, 4]);
    let order = Some("numbers/rank desc");
    assert_eq!(
        world.ask(
            Some("numbers/rank eq 10 or numbers/rank gt 1"),
            order,
            AnyNotEqual::None
        ),
        [2, 0, 3]
    );
}

#[test]
fn a_session_that_is_gone_is_not_found() {
    let mut world = world(&[json!({}), json!({}), json!({})]);
    world.sessions[1] = None;
    assert_eq!(world.ask(None, None, AnyNotEqual::None), [0, 2]);
    assert_eq!(world.ordered("timestamp desc"), [2, 0]);
    assert_eq!(world.ordered("session/needs desc"), [0, 2]);
}

#[test]
fn other_templates_and_service_configs_are_not_found() {
    let world = world(&[json!({})]);
    let asked = |scid: &str, template_name: &str| {
        let query = Query {
            places: &[(scid, template_name)],
            filter: None,
            order: None,
            among: None,
            any_not_equal: AnyNotEqual::None,
        };
        world.index.query(&query, &world).len()
    };
    assert_eq!(asked(&SCID.to_lowercase(), "QUICKMATCH"), 1);
    assert_eq!(asked(SCID, "other"), 0);
    assert_eq!(asked("88aa0000-0000-0000-0000-000000000002", TEMPLATE), 0);
}

#[test]
fn a_session_has_one_handle_and_the_newer_one_replaces_the_older() {
    let mut world = world(&[json!({ "tags": ["old"] })]);
    let old = Uuid::from_u128(1);
    let attributes = SearchAttributes::parse(&json!({ "tags": ["new"] })).unwrap();
    let newer = SearchHandle::new(Uuid::from_u128(99), session(0), Timestamp::UNIX_EPOCH, attributes);
    let replaced = world.index.insert(&Arc::new(newer)).expect("the older handle");
    assert_eq!(replaced.id(), old);
    assert!(world.index.get(old).is_none());
    assert_eq!(
        world.index.of_session(replaced.key()).expect("a handle").id(),
        Uuid::from_u128(99)
    );
    assert!(world.find("tags/any(d:tolower(d) eq 'old')").is_empty());
    assert_eq!(world.find("tags/any(d:tolower(d) eq 'new')"), [0]);
    world.sessions[0] = None;
}

#[test]
fn a_removed_handle_is_not_found_by_any_way() {
    let mut world = World::default();
    let attributes = json!({
        "tags": ["a", "A"], "strings": { "s": "x" }, "numbers": { "n": 1 }, "achievementIds": ["7"], "language": "en",
    });
    let id = world.add(&attributes, json!({}));
    let ways = [
        "tags/any(d:tolower(d) eq 'a')",
        "strings/s eq 'x'",
        "numbers/n eq 1",
        "numbers/n gt 0",
        "achievementIds/any(d:d eq '7')",
        "language eq 'en'",
    ];
    for filter in ways {
        assert_eq!(world.find(filter), [0], "{filter}");
    }
    assert_eq!(world.index.remove(id).expect("the handle").id(), id);
    assert!(world.index.remove(id).is_none());
    for filter in ways {
        assert!(world.find(filter).is_empty(), "{filter}");
    }
    assert!(world.ask(None, None, AnyNotEqual::None).is_empty());
}

#[test]
fn only_the_listed_sessions_are_found_and_no_other_is_looked_at() {
    let attributes: Vec<_> = (0..500).map(|number| json!({ "numbers": { "n": number } })).collect();
    let mut world = world(&attributes);
    world.knows_members = true;
    world.sessions[300] = Some(Told::new(json!({ "members": [7] })));
    world.sessions[400] = Some(Told::new(json!({ "members": [7, 8] })));
    assert_eq!(world.find("session/memberXuids/any(d:d eq '7')"), [300, 400]);
    assert_eq!(
        world.find("session/memberXuids/any(d:d eq '7') and numbers/n gt 300"),
        [400]
    );
    assert_eq!(
        world.ask(
            Some("memberXuids/any(d:d eq '7')"),
            Some("numbers/n desc"),
            AnyNotEqual::None
        ),
        [400, 300]
    );
    assert_eq!(world.asked.get(), 5);

    let among = [
        session(9).key(),
        session(2).key(),
        session(9).key(),
        session(1000).key(),
    ];
    let query = Query {
        places: &[(SCID, TEMPLATE)],
        filter: None,
        order: None,
        among: Some(&among),
        any_not_equal: AnyNotEqual::None,
    };
    let found: Vec<_> = world
        .index
        .query(&query, &world)
        .iter()
        .map(|handle| number(handle))
        .collect();
    assert_eq!(found, [2, 9]);
    assert!(
        world
            .index
            .query(
                &Query {
                    places: &[(SCID, "other")],
                    ..query
                },
                &world
            )
            .is_empty()
    );
}

#[test]
fn few_sessions_are_looked_at_when_the_first_results_are_found_early() {
    let world = world(&vec![json!({ "tags": ["a"] }); 2000]);
    assert_eq!(world.find("tags/any(d:tolower(d) eq 'a')").len(), 100);
    assert_eq!(world.asked.get(), 100);
}
