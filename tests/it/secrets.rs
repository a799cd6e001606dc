//! Whatever a target makes of a token that it was sent, nothing that is written or printed has it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use mpsd_conformance::report::FORMATS;
use serde_json::{Value, json};

use crate::network::{Request, answer, listen};
use crate::program::{program, text};

const TOKENS: [(&str, &str); 2] = [
    (
        "alice",
        r#"XBL3.0 x=1001;eyJh+bG/ci="O'iJ<SUz>&I1NiJ9.planted-secret-of-alice"#,
    ),
    ("bob", "XBL3.0 x=1002;eyJhbGciOiJSUzI1NiJ9.planted-secret-of-bob"),
];
const KEY: &str = "planted-key-of-the-gateway";

/// A value in the spellings of a careless server.
fn spellings(value: &str) -> Vec<String> {
    let percent = |all: bool| -> String {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || !all && b"-._~;=/+".contains(&byte);
        value
            .bytes()
            .map(|byte| {
                if is_plain(byte) {
                    char::from(byte).to_string()
                } else {
                    format!("%{byte:02x}")
                }
            })
            .collect()
    };
    let unicode = value.chars().map(|c| {
        if c.is_alphanumeric() {
            c.to_string()
        } else {
            format!("\\u{:04x}", u32::from(c))
        }
    });
    vec![
        value.to_owned(),
        value.to_uppercase(),
        percent(true),
        percent(false),
        STANDARD.encode(value),
        URL_SAFE_NO_PAD.encode(format!("user:{value}")),
        STANDARD.encode(format!("{value}:password")),
        json!(value).to_string(),
        json!(json!({ "token": value }).to_string()).to_string(),
        unicode.collect(),
        value
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;")
            .replace('"', "&quot;")
            .replace('\'', "&#39;"),
    ]
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] })
        .collect()
}

#[test]
fn a_target_that_echoes_tokens_everywhere_gets_none_of_them_written() {
    let address = listen(|mut stream| {
        let Some(request) = Request::read(&stream) else { return };
        let token = request
            .header("authorization")
            .unwrap_or("XBL3.0 x=0;nobody-at-all")
            .to_owned();
        let bare = token.rsplit(';').next().unwrap_or_default().to_owned();
        let all: Vec<String> = [token, bare, KEY.to_owned()]
            .iter()
            .flat_map(|value| spellings(value))
            .collect();
        let mut headers = String::from("Content-Type: application/json\r\nETag: \"1\"\r\n");
        for (index, spelling) in all.iter().enumerate() {
            let line = match index % 3 {
                0 => format!("X-Echo-{index}: {spelling}\r\n"),
                1 => format!("Set-Cookie: a{index}={spelling}; Path=/\r\n"),
                _ => format!("Location: https://elsewhere.example/?token={spelling}\r\n"),
            };
            headers.push_str(&line);
        }
        let number = all.len();
        let members: serde_json::Map<String, Value> = all
            .iter()
            .enumerate()
            .map(|(index, text)| (format!("echo{index}"), json!(text)))
            .collect();
        let body = json!({ "contractVersion": 107, "constants": { "custom": members }, "count": number, "properties": { "custom": all } });
        let _ = answer(
            &mut stream,
            if request.method == "PUT" { 201 } else { 200 },
            &headers,
            &body.to_string(),
        );
        std::thread::sleep(Duration::from_millis(1));
    });
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let tokens: serde_json::Map<String, Value> = TOKENS
        .iter()
        .map(|(name, token)| ((*name).to_owned(), json!(token)))
        .collect();
    let given = tempfile::tempdir().unwrap();
    fs::write(given.path().join("tokens.json"), Value::Object(tokens).to_string()).unwrap();
    fs::write(given.path().join("key.txt"), KEY).unwrap();
    let identity = |name: &str, xuid: &str| json!({ "xuid": xuid, "title": "1234", "token": { "file": "tokens.json", "key": name } });
    let target = json!({
        "baseUrl": format!("http://{address}"),
        "scid": "11111111-2222-3333-4444-555555555555",
        "templates": ["open"],
        "identities": { "alice": identity("alice", "1001"), "bob": identity("bob", "1002") },
        "headers": { "X-Key": { "file": "key.txt" } },
        "clock": { "advanceHeader": "X-Advance" },
    });
    fs::write(given.path().join("target.json"), target.to_string()).unwrap();
    let description = given.path().join("target.json");
    let reports = FORMATS
        .each_ref()
        .map(|format| format!("{}={}", format.name, text(&at(&format!("report.{}", format.name)))));
    let (snapshots, deviations) = (at("snapshots"), at("deviations.json"));
    let mut arguments = vec![
        "run",
        "--target",
        text(&description),
        "conditional",
        "members",
        "principals",
    ];
    arguments.extend([
        "--snapshots",
        "record",
        "--snapshot-dir",
        text(&snapshots),
        "--write-deviations",
        text(&deviations),
    ]);
    arguments.extend(reports.iter().flat_map(|report| ["--report", report.as_str()]));
    let ended = program(arguments);
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    let check = program(["target", "check", text(&description)]);
    let written: Vec<(String, String)> = files(folder.path())
        .into_iter()
        .map(|path| (path.display().to_string(), fs::read_to_string(&path).unwrap()))
        .chain([ended.stdout, ended.stderr, check.stdout, check.stderr].map(|told| ("the terminal".to_owned(), told)))
        .collect();
    assert!(written.len() > 20, "{} files", written.len());
    assert!(
        written.iter().any(|(_, text)| text.contains("<secret>")),
        "nothing was echoed at all"
    );
    // Parts that no spelling changes, in plain text, in capitals, and in base64 wherever it begins.
    let planted = ["planted-secret-of-", "planted-key-of-", "PLANTED-SECRET", "PLANTED-KEY"]
        .map(str::to_owned)
        .to_vec();
    let encoded = (0..3).flat_map(|shift| {
        let whole = STANDARD.encode(format!("{}planted-secret-of-", &"xxx"[..shift]));
        [whole[4..20].to_owned()]
    });
    for needle in planted.into_iter().chain(encoded) {
        for (name, text) in &written {
            let at = text.find(&needle);
            let around = at.map(|at| {
                text.get(at.saturating_sub(60)..)
                    .unwrap_or_default()
                    .chars()
                    .take(160)
                    .collect::<String>()
            });
            assert_eq!(around, None, "`{needle}` in {name}");
        }
    }
}
