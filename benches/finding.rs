//! How long a query for sessions takes with a thousand and with a hundred thousand of them.
#![expect(clippy::unwrap_used, reason = "a benchmark")]

use std::hint::black_box;

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use http::{Request, StatusCode};
use http_body_util::Full;
use mpsd_reference::{Clock, Config, Service};
use serde_json::{Value, json};

const SCID: &str = "88aa0000-0000-0000-0000-000000000001";

/// A service, and the tokens of `crowd`, who is in every session, and of `alice`, who is in a few.
struct Stage {
    service: Service,
    crowd: String,
    alice: String,
}

impl Stage {
    async fn new(count: usize) -> Self {
        let config = json!({
            "serviceConfigs": { (SCID): { "templates": { "match": {
                "constants": { "system": { "inactiveRemovalTimeout": null } }
            } } } },
            "principals": { "crowd": { "xuid": "1", "title": 5 }, "alice": { "xuid": "2", "title": 5 } },
        });
        let config = Config::from_value(config).unwrap();
        let mut tokens = config.tokens();
        let stage = Self {
            service: Service::new(&config, Clock::system()).unwrap(),
            crowd: tokens.remove("crowd").unwrap(),
            alice: tokens.remove("alice").unwrap(),
        };
        for number in 0..count {
            // The few are spread evenly, however many there are in all.
            let is_rare = number % (count / 20) == 0;
            let keywords = if is_rare {
                json!(["common", "rare"])
            } else {
                json!(["common"])
            };
            let active = json!({ "me": { "properties": { "system": { "active": true } } } });
            let body = json!({ "properties": { "system": { "keywords": keywords } }, "members": active });
            let path = format!("/serviceconfigs/{SCID}/sessiontemplates/match/sessions/session-{number}");
            let created = stage.send(&stage.crowd, "PUT", &path, &body).await;
            assert_eq!(created, StatusCode::CREATED);
            if is_rare {
                assert_eq!(
                    stage
                        .send(&stage.alice, "PUT", &path, &json!({ "members": active }))
                        .await,
                    StatusCode::OK
                );
            }
        }
        stage
    }

    async fn send(&self, token: &str, method: &str, path: &str, body: &Value) -> StatusCode {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", token)
            .header("x-xbl-contract-version", "107");
        let body = if body.is_null() {
            Full::default()
        } else {
            Full::<Bytes>::from(body.to_string())
        };
        let answer = self.service.answer(request.body(body).unwrap()).await;
        black_box(answer).status()
    }
}

fn queries(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    for count in [1_000, 100_000] {
        let stage = runtime.block_on(Stage::new(count));
        for (name, query) in [
            ("a user of a few sessions", "xuid=2"),
            ("a user of all sessions", "xuid=1"),
            ("a keyword of a few sessions", "keyword=rare"),
            ("a keyword of all sessions", "keyword=common"),
            ("a user and a keyword", "xuid=2&keyword=common"),
        ] {
            let path = format!("/serviceconfigs/{SCID}/sessions?{query}");
            criterion.bench_with_input(BenchmarkId::new(name, count), &path, |bencher, path| {
                bencher.iter(|| {
                    let status = runtime.block_on(stage.send(&stage.alice, "GET", path, &Value::Null));
                    assert_eq!(status, StatusCode::OK);
                });
            });
        }
    }
}

criterion_group!(benches, queries);
criterion_main!(benches);
