//! How long a query takes with a thousand and with fifty thousand search handles.
#![expect(clippy::unwrap_used, reason = "a benchmark")]

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use jiff::Timestamp;
use mpsd_reference::SessionRef;
use mpsd_reference::rules::AnyNotEqual;
use mpsd_reference::search::{
    Filter, Order, Query, RoleFacts, SearchAttributes, SearchHandle, SearchIndex, SessionFacts, Sessions,
};
use serde_json::json;
use uuid::Uuid;

const SCID: &str = "88aa0000-0000-0000-0000-000000000001";
const TEMPLATE: &str = "quickmatch";

struct Crowd;

impl Sessions for Crowd {
    type Facts = Member;

    fn facts(&self, handle: &SearchHandle) -> Option<Member> {
        Some(Member(handle.id().as_u64_pair().1 % 8))
    }
}

struct Member(u64);

impl SessionFacts for Member {
    fn members_count(&self) -> u64 {
        self.0
    }
    fn max_members_count(&self) -> u64 {
        8
    }
    fn target_members_count(&self) -> Option<u64> {
        None
    }
    fn role(&self, _: &str, _: &str) -> Option<RoleFacts> {
        None
    }
    fn member_xuids(&self) -> Vec<u64> {
        vec![self.0]
    }
    fn owner_xuids(&self) -> Vec<u64> {
        Vec::new()
    }
    fn keywords(&self) -> &[String] {
        &[]
    }
    fn scheduled_time(&self) -> Option<Timestamp> {
        None
    }
    fn title_id(&self) -> Option<u64> {
        None
    }

    fn registration_state(&self) -> Option<&str> {
        None
    }
}

fn handle(number: usize) -> SearchHandle {
    let attributes = json!({
        "tags": [format!("mode{}", number % 10), format!("club{}", number / 20)],
        "strings": { "map": format!("Map{}", number % 50) },
        "numbers": { "level": number % 100, "rank": number * 7919 % 100_003 },
    });
    let session = SessionRef {
        scid: SCID.into(),
        template_name: TEMPLATE.into(),
        name: number.to_string(),
    };
    let created = Timestamp::from_second(i64::try_from(number).unwrap()).unwrap();
    let attributes = SearchAttributes::parse(&attributes).unwrap();
    SearchHandle::new(Uuid::from_u128(number as u128), session, created, attributes)
}

fn queries(criterion: &mut Criterion) {
    for count in [1_000, 50_000] {
        let index = SearchIndex::default();
        for number in 0..count {
            index.insert(&Arc::new(handle(number)));
        }
        for (name, filter, order) in [
            ("no filter", None, None),
            (
                "equality and comparison",
                Some("tolower(strings/map) eq 'map7' and numbers/level lt 40"),
                None,
            ),
            (
                "rare equality and comparison",
                Some("tags/any(d:tolower(d) eq 'club11') and numbers/level gt 30"),
                None,
            ),
            (
                "equality and comparison that nothing meets",
                Some("tags/any(d:tolower(d) eq 'mode3') and numbers/rank gt 100003"),
                None,
            ),
            (
                "rare comparison",
                Some("numbers/rank lt 50 and session/needs gt 0"),
                None,
            ),
            (
                "or",
                Some("strings/map eq 'map7' and numbers/level lt 40 or numbers/rank gt 99990"),
                None,
            ),
            (
                "equality of sessions that nothing meets",
                Some("session/membersCount eq 9"),
                None,
            ),
            (
                "equality and comparison, ordered",
                Some("strings/map eq 'map7' and numbers/level lt 40"),
                Some("numbers/rank desc"),
            ),
            ("no filter, ordered", None, Some("numbers/rank desc")),
        ] {
            let filter = filter.map(|text| Filter::parse(text).unwrap());
            let order = order.map(|text| Order::parse(text).unwrap());
            let query = Query {
                places: &[(SCID, TEMPLATE)],
                filter: filter.as_ref(),
                order: order.as_ref(),
                among: None,
                any_not_equal: AnyNotEqual::None,
            };
            criterion.bench_with_input(BenchmarkId::new(name, count), &query, |bencher, query| {
                bencher.iter(|| black_box(index.query(query, &Crowd)));
            });
        }
        criterion.bench_function(&format!("insert and remove/{count}"), |bencher| {
            let extra = Arc::new(handle(count + 1));
            bencher.iter(|| {
                index.insert(&extra);
                index.remove(extra.id())
            });
        });
    }
    criterion.bench_function("parse", |bencher| {
        let text = "tags/any(d:tolower(d) eq 'friendly') eq true and numbers/ratio ge 7.5 or language eq 'en'";
        bencher.iter(|| Filter::parse(black_box(text)));
    });
}

criterion_group!(benches, queries);
criterion_main!(benches);
