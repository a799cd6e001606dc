//! The target file: a description of an endpoint, with its tokens kept elsewhere.

use std::path::Path;
use std::time::Duration;

use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::Value;

use crate::contract::disk;
use crate::contract::json::problem::{Place, Problem};
use crate::contract::json::{Item, Problems, parse};
use crate::target::endpoint::{Address, Header, Proxy, Tls};
use crate::target::limits::{Limits, Pace};
use crate::target::token::{Source, Token};
use crate::target::{Identity, Secret, SocketKey, Target};

/// Headers that the suite or the connection sets itself.
const OWN_HEADERS: [&str; 7] = [
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "transfer-encoding",
    "upgrade",
    "x-xbl-contract-version",
];

/// Reads a target file; tokens are fetched from where it says they are.
///
/// `name` is what problems call the file, `folder` is what its relative paths start from.
pub fn read(name: &str, text: &str, folder: &Path) -> Result<Target, Vec<Problem>> {
    let root = parse(name, text).map_err(|problem| vec![problem])?;
    let problems = Problems::new(name);
    let target = read_target(Item::root(&root, &problems), folder);
    let mut problems = problems.into_vec();
    match target {
        Some(target) if problems.is_empty() => Ok(target),
        _ => {
            if problems.is_empty() {
                let (message, expected) = (
                    "not a target file".to_owned(),
                    "see `schemas/target.schema.json`".to_owned(),
                );
                problems.push(Problem {
                    file: name.to_owned(),
                    place: Place::File,
                    message,
                    expected,
                });
            }
            Err(problems)
        }
    }
}

fn read_target(file: Item<'_>, folder: &Path) -> Option<Target> {
    let fields = file.object(&[
        "$schema",
        "about",
        "name",
        "baseUrl",
        "tls",
        "proxy",
        "headers",
        "http2",
        "scid",
        "templates",
        "identities",
        "lacks",
        "sockets",
        "clock",
        "limits",
    ])?;
    let base_url = fields.require("baseUrl")?;
    let url = base_url.string()?.trim_end_matches('/').to_owned();
    let address = match Address::parse(&url) {
        Ok(address) => Some(address),
        Err(reason) => {
            base_url.wrong(
                format!("`{url}` is not a valid base URL: {reason}"),
                "example: `https://mpsd.example:8443`",
            );
            None
        }
    };
    let tls = fields.get("tls").map(|item| read_tls(item, folder, address.as_ref()));
    let proxy = fields.get("proxy").map(|item| read_proxy(item, folder));
    let headers = fields.get("headers").map(|item| read_headers(item, folder));
    let http2 = fields.get("http2").and_then(|item| {
        let http2 = item.boolean()?;
        if http2 && proxy.is_some() {
            item.wrong("HTTP/2 through a proxy", "leave out either of the two");
        }
        Some(http2)
    });
    let templates = fields.require("templates")?;
    let templates = match templates.value() {
        Value::Array(_) => templates
            .strings()?
            .into_iter()
            .map(|name| (name.clone(), name))
            .collect(),
        _ => templates.members(|key, item| Some((key.to_owned(), item.string()?.to_owned())))?,
    };
    let identities = fields
        .require("identities")?
        .members(|key, item| Some((key.to_owned(), read_identity(item, folder)?)))?;
    let advance_header = match fields.get("clock") {
        Some(clock) => Some(clock.object(&["advanceHeader"])?.string("advanceHeader")),
        None => None,
    };
    Some(Target {
        name: fields.optional_string("name").unwrap_or_else(|| url.clone()),
        base_url: url,
        tls: tls.flatten().unwrap_or_default(),
        proxy: proxy.flatten(),
        http2: http2.unwrap_or_default(),
        headers: headers.flatten().unwrap_or_default(),
        scid: fields.string("scid"),
        templates: templates.into_iter().collect(),
        identities: identities.into_iter().collect(),
        lacks: fields.strings("lacks").into_iter().collect(),
        advance_header,
        sockets: fields
            .get("sockets")
            .and_then(|item| item.one_of(&[("token", SocketKey::Token), ("nonce", SocketKey::Nonce)]))
            .unwrap_or_default(),
        limits: fields.get("limits").and_then(read_limits).unwrap_or_default(),
        is_disposable: false,
    })
}

fn read_tls(item: Item<'_>, folder: &Path, address: Option<&Address>) -> Option<Tls> {
    let fields = item.object(&["authorities", "certificate", "key", "selfSigned"])?;
    if address.is_some_and(|address| !address.is_tls) {
        item.wrong("`baseUrl` is not `https`", "`tls` applies to `https` only");
    }
    let mut authorities = Vec::new();
    if let Some(item) = fields.get("authorities") {
        item.elements(|item| {
            authorities.extend(read_certificates(item, folder)?);
            Some(())
        });
    }
    let client = match (fields.get("certificate"), fields.get("key")) {
        (Some(certificate), Some(key)) => read_certificates(certificate, folder).zip(read_key(key, folder)),
        (Some(certificate), None) => {
            certificate.wrong(
                "`certificate` without `key`",
                "add `key`, the path of the file with the private key",
            );
            None
        }
        (None, Some(key)) => {
            key.wrong(
                "`key` without `certificate`",
                "add `certificate`, the path of the file with the certificate",
            );
            None
        }
        (None, None) => None,
    };
    let self_signed = fields.get("selfSigned");
    let is_wanted = self_signed.and_then(|item| item.boolean()).unwrap_or_default();
    if let (true, Some(item), Some(address)) = (is_wanted, self_signed, address)
        && !address.is_loopback()
    {
        item.wrong(
            format!(
                "`selfSigned` is only allowed for this machine, not for `{}`",
                address.host
            ),
            "add the certificate of its authority to `authorities` instead",
        );
    }
    Some(Tls {
        authorities,
        client,
        self_signed: is_wanted,
    })
}

fn read_certificates(item: Item<'_>, folder: &Path) -> Option<Vec<CertificateDer<'static>>> {
    let path = folder.join(item.string()?);
    let certificates = pem(&path).and_then(|pem| CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>());
    let message = match certificates {
        Ok(certificates) if !certificates.is_empty() => return Some(certificates),
        Ok(_) => format!("`{}` has no certificate", path.display()),
        Err(error) => unreadable(&path, &error),
    };
    item.wrong(
        message,
        "expected a PEM file with certificates: `-----BEGIN CERTIFICATE-----` ...",
    );
    None
}

fn read_key(item: Item<'_>, folder: &Path) -> Option<PrivateKeyDer<'static>> {
    let path = folder.join(item.string()?);
    let key = pem(&path).and_then(|pem| PrivateKeyDer::from_pem_slice(&pem));
    if let Err(error) = &key {
        item.wrong(
            unreadable(&path, error),
            "expected a PEM file with an unencrypted private key",
        );
    }
    key.ok()
}

/// A file in PEM, whatever an editor added.
fn pem(path: &Path) -> Result<Vec<u8>, PemError> {
    disk::read_text(path).map(String::into_bytes).map_err(PemError::Io)
}

fn unreadable(path: &Path, error: &PemError) -> String {
    match error {
        PemError::Io(error) => format!("cannot read `{}`: {error}", path.display()),
        PemError::NoItemsFound => format!("`{}` has none", path.display()),
        // Any other message may quote the file.
        _ => format!("`{}` is not PEM", path.display()),
    }
}

fn read_proxy(item: Item<'_>, folder: &Path) -> Option<Proxy> {
    let (url, authorization) = match item.value() {
        Value::String(_) => (item, None),
        _ => {
            let fields = item.object(&["url", "authorization"])?;
            (fields.require("url")?, fields.get("authorization"))
        }
    };
    let authorization = match authorization {
        Some(source) => Some(Secret::new(read_value(source, folder)?)),
        None => None,
    };
    match Address::parse(url.string()?.trim_end_matches('/')) {
        Ok(address) if !address.is_tls => Some(Proxy { address, authorization }),
        Ok(_) => {
            url.wrong(
                "`https://` proxies are not supported",
                "use an `http://` proxy; `https` targets are tunnelled through it",
            );
            None
        }
        Err(reason) => {
            url.wrong(
                format!("not a valid proxy URL: {reason}"),
                "example: `http://proxy.example:3128`",
            );
            None
        }
    }
}

fn read_headers(item: Item<'_>, folder: &Path) -> Option<Vec<Header>> {
    item.members(|name, item| {
        if http::HeaderName::from_bytes(name.as_bytes()).is_err() {
            item.wrong_key(
                format!("`{name}` is not a valid header name"),
                "use letters, digits and `-`",
            );
            return None;
        }
        if OWN_HEADERS.iter().any(|own| own.eq_ignore_ascii_case(name)) {
            item.wrong_key(
                format!("`{name}` is set by the suite"),
                "list only additional headers here",
            );
            return None;
        }
        let (value, is_secret) = match item.value() {
            Value::String(text) => (text.clone(), false),
            _ => (read_value(item, folder)?, true),
        };
        if http::HeaderValue::from_bytes(value.as_bytes()).is_err() {
            item.wrong("not a valid header value", "expected one line of text");
        }
        Some(Header {
            name: name.to_owned(),
            value,
            is_secret,
        })
    })
}

fn read_limits(item: Item<'_>) -> Option<Limits> {
    let fields = item.object(&["requestsPerSecond", "inFlight", "perIdentity"])?;
    let per_identity = fields.get("perIdentity").and_then(|item| {
        let fields = item.object(&["requestsPerSecond", "inFlight"])?;
        Some(read_pace(fields.get("requestsPerSecond"), fields.get("inFlight")))
    });
    Some(Limits {
        whole: read_pace(fields.get("requestsPerSecond"), fields.get("inFlight")),
        per_identity: per_identity.unwrap_or_default(),
    })
}

fn read_pace(per_second: Option<Item<'_>>, in_flight: Option<Item<'_>>) -> Pace {
    let per_second = per_second.and_then(|item| {
        let rate = item.value().as_f64().filter(|rate| (0.001..=1e6).contains(rate));
        if rate.is_none() {
            item.wrong(
                "not a valid rate",
                "expected requests per second, from 0.001 to 1000000",
            );
        }
        rate
    });
    let in_flight = in_flight.and_then(|item| {
        let count = item.unsigned()?;
        if count == 0 {
            item.wrong("no request could ever be sent", "expected at least 1");
        }
        usize::try_from(count).ok()
    });
    Pace { per_second, in_flight }
}

fn read_identity(item: Item<'_>, folder: &Path) -> Option<Identity> {
    let fields = item.object(&["about", "xuid", "gamertag", "title", "device", "token"])?;
    Some(Identity {
        xuid: fields.optional_string("xuid"),
        gamertag: fields.optional_string("gamertag"),
        title: fields.string("title"),
        device: fields.optional_string("device"),
        token: read_token(fields.require("token")?, folder)?,
    })
}

/// Fetches a token: the value of an `Authorization` header, never written in the file itself.
fn read_token(item: Item<'_>, folder: &Path) -> Option<Token> {
    let fields = item.object(&["env", "file", "key", "command", "expiresIn"])?;
    let expires_in = match fields.get("expiresIn") {
        Some(seconds) => Some(Duration::from_secs(seconds.unsigned()?)),
        None => None,
    };
    let token = Token::fetch(read_source(item, folder)?, expires_in);
    token
        .map_err(|message| item.wrong(message, "provide the full value of an `Authorization` header here"))
        .ok()
}

/// Fetches a value that is a secret and no token.
fn read_value(item: Item<'_>, folder: &Path) -> Option<String> {
    item.object(&["env", "file", "key", "command"])?;
    let value = read_source(item, folder)?.fetch_value();
    value
        .map_err(|message| item.wrong(message, "provide the value of the header here"))
        .ok()
}

fn read_source(item: Item<'_>, folder: &Path) -> Option<Source> {
    let member = |key: &str| item.value().get(key);
    let text = |key: &str| member(key).and_then(Value::as_str).map(str::to_owned);
    let strings = |value: &Value| -> Option<Vec<String>> {
        value
            .as_array()?
            .iter()
            .map(|word| word.as_str().map(str::to_owned))
            .collect()
    };
    let sources = ["env", "file", "command"]
        .iter()
        .filter(|key| member(key).is_some())
        .count();
    let source = match (text("env"), text("file"), member("command").and_then(strings)) {
        (Some(name), None, None) => Some(Source::Env(name)),
        (None, Some(path), None) => Some(Source::File(folder.join(path), text("key"))),
        (None, None, Some(command)) => Some(Source::Command(command, folder.to_owned())),
        _ => None,
    };
    let source = source.filter(|_| sources == 1);
    if source.is_none() {
        item.wrong(
            "not exactly one of `env`, `file` and `command`",
            "expected `env` (a name), `file` (a path, with an optional `key`) or `command` (a list of words)",
        );
    }
    source
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(url: &str, more: &str) -> String {
        let text = format!(r#"{{ "baseUrl": "{url}", "scid": "s", "templates": [], "identities": {{}}, {more} }}"#);
        match read("t.json", &text, Path::new("/nowhere")) {
            Ok(target) => format!("{target:?}"),
            Err(problems) => problems
                .iter()
                .map(|problem| problem.render(Some(&text), false))
                .collect(),
        }
    }

    #[test]
    fn any_certificate_will_do_on_this_machine_alone() {
        let wish = r#""tls": { "selfSigned": true }"#;
        assert!(told("https://127.0.0.1:1", wish).contains("self_signed: true"));
        assert!(told("https://mpsd.example", wish).contains("only allowed for this machine"));
        assert!(told("http://127.0.0.1:1", wish).contains("not `https`"));
    }

    #[test]
    fn every_mistake_in_a_connection_setting_is_reported() {
        for (more, part) in [
            (
                r#""tls": { "authorities": ["ca.pem"] }"#,
                "cannot read `/nowhere/ca.pem`",
            ),
            (r#""tls": { "certificate": "c.pem" }"#, "`certificate` without `key`"),
            (r#""tls": { "key": "c.key" }"#, "`key` without `certificate`"),
            (r#""proxy": "https://p""#, "proxies are not supported"),
            (r#""proxy": "http://u:p@x""#, "must not contain credentials"),
            (r#""headers": { "Authorization": "x" }"#, "is set by the suite"),
            (r#""headers": { "a b": "x" }"#, "not a valid header name"),
            (
                r#""headers": { "X-A": { "env": "MPSD_NOT_SET" } }"#,
                "`MPSD_NOT_SET` is not set",
            ),
            (
                r#""headers": { "X-A": { "env": "A", "file": "b" } }"#,
                "not exactly one of",
            ),
            (r#""limits": { "requestsPerSecond": 0 }"#, "not a valid rate"),
            (r#""limits": { "inFlight": 0 }"#, "no request could ever be sent"),
            (r#""limits": { "perIdentity": { "burst": 1 } }"#, "unknown key `burst`"),
        ] {
            let told = told("https://mpsd.example", more);
            assert!(told.contains(part), "`{part}` in {told}");
        }
    }

    #[test]
    fn limits_are_of_the_whole_and_of_each_identity() {
        let told = told(
            "http://x",
            r#""limits": { "requestsPerSecond": 10, "perIdentity": { "requestsPerSecond": 0.5, "inFlight": 2 } }"#,
        );
        assert!(
            told.contains("per_second: Some(10.0)") && told.contains("per_second: Some(0.5), in_flight: Some(2)"),
            "{told}"
        );
    }
}
