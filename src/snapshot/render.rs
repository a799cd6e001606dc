//! A conversation as canonical text.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde_json::Value;

use crate::contract::json::document::Document;
use crate::contract::schemas::{Schemas, VolatileKind};
use crate::contract::version::ContractVersion;
use crate::snapshot::json::{Writer, hash, parse, shortened};
use crate::snapshot::names::Names;
use crate::snapshot::{Conversation, RecordedExchange, VariantTranscript};

/// What a client library or the network adds to a request; it says nothing about the case.
const INCIDENTAL: [&str; 10] = [
    "accept",
    "accept-encoding",
    "connection",
    "content-length",
    "date",
    "host",
    "te",
    "transfer-encoding",
    "user-agent",
    // How often a step was tried until it held shows in it.
    "x-mpsd-advance-ms",
];

/// Parts of the names of headers that may carry a secret.
const SECRET: [&str; 4] = ["authorization", "cookie", "signature", "token"];

/// The canonical text: the same for every run of the same conversation.
///
/// A title, then for each variant a heading `## ID` and its exchanges: `>` leads the request, `<` the response, `|` each
/// line of a body that is not JSON.
pub fn render(conversation: &Conversation, schemas: &Schemas) -> String {
    let sections = conversation.variants.iter().map(|variant| section(variant, schemas));
    document(&conversation.title, sections)
}

/// The canonical text of one variant.
pub fn section(variant: &VariantTranscript, schemas: &Schemas) -> String {
    let mut text = format!("## {}\n", line(&variant.id));
    let rendering = Rendering::new(variant, schemas);
    for exchange in &rendering.exchanges {
        text.push('\n');
        rendering.exchange(exchange, &mut text);
    }
    text
}

/// The canonical text of a case: its title, and the texts of its variants in order.
pub fn document(title: &str, sections: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let mut text = format!("# {}\n", line(title));
    for section in sections {
        text.push('\n');
        text.push_str(section.as_ref());
    }
    text
}

/// The names that a variant's values are shown by.
pub(super) fn names(variant: &VariantTranscript, schemas: &Schemas) -> Names {
    Rendering::new(variant, schemas).names
}

/// One variant, with its bodies read and its values named.
struct Rendering<'a> {
    schemas: &'a Schemas,
    names: Names,
    exchanges: Vec<Exchange<'a>>,
}

struct Exchange<'a> {
    recorded: &'a RecordedExchange,
    request: Body<'a>,
    response: Body<'a>,
}

enum Body<'a> {
    Absent,
    Bytes(&'a [u8]),
    Json(Value),
}

impl<'a> Body<'a> {
    fn read(bytes: Option<&'a [u8]>, note: impl FnOnce(&Document)) -> Self {
        match bytes {
            None | Some([]) => Self::Absent,
            Some(bytes) => parse(bytes, note).map_or(Self::Bytes(bytes), Self::Json),
        }
    }
}

impl<'a> Rendering<'a> {
    fn new(variant: &'a VariantTranscript, schemas: &'a Schemas) -> Self {
        let exchanges = variant.exchanges.iter().map(|recorded| Exchange {
            recorded,
            request: Body::read(recorded.request_body.as_deref(), |_| ()),
            response: Body::read(Some(&recorded.response_body), |document| {
                if let Some(schema) = &recorded.response_schema {
                    schemas.note_names(schema, recorded.version, document);
                }
            }),
        });
        let mut rendering = Self {
            schemas,
            names: Names::new(&variant.known),
            exchanges: exchanges.collect(),
        };
        // All values are named before any is shown: a body may repeat what only a later one explains.
        for exchange in &rendering.exchanges {
            let recorded = exchange.recorded;
            meet(
                schemas,
                &mut rendering.names,
                recorded.request_schema.as_deref(),
                recorded.version,
                &exchange.request,
            );
            for (name, value) in shown_headers(schemas, recorded) {
                if let Some(kind) = schemas.volatile_header(name) {
                    rendering.names.meet(kind, value);
                }
            }
            meet(
                schemas,
                &mut rendering.names,
                recorded.response_schema.as_deref(),
                recorded.version,
                &exchange.response,
            );
        }
        rendering
    }

    fn exchange(&self, exchange: &Exchange<'_>, text: &mut String) {
        let recorded = exchange.recorded;
        let _ = writeln!(text, "### {}: {}", recorded.step, line(&recorded.speaker));
        let _ = writeln!(
            text,
            "> {} {}",
            line(&recorded.method),
            line(&self.names.text(&recorded.path))
        );
        for (name, value) in sent_headers(recorded) {
            let value = match name.as_str() {
                "If-Match" | "If-None-Match" => self.names.etag(value),
                _ => self.names.text(value),
            };
            let _ = writeln!(text, "> {}: {}", line(&name), line(&value));
        }
        self.body(
            &exchange.request,
            recorded.request_schema.as_deref(),
            recorded.version,
            text,
        );
        if recorded.status != 0 {
            let _ = writeln!(text, "< {}", recorded.status);
        }
        for (name, value) in shown_headers(self.schemas, recorded) {
            let value = match self.schemas.volatile_header(name) {
                // A header has the time of HTTP, in whatever form.
                Some(VolatileKind::Time) => "<time>".to_owned(),
                Some(kind) => self.names.of(kind, value),
                None => self.names.text(value),
            };
            let _ = writeln!(text, "< {name}: {}", line(&value));
        }
        self.body(
            &exchange.response,
            recorded.response_schema.as_deref(),
            recorded.version,
            text,
        );
    }

    fn body(&self, body: &Body<'_>, schema: Option<&str>, version: ContractVersion, text: &mut String) {
        match body {
            Body::Absent => {}
            Body::Json(value) => {
                let volatile = schema
                    .map(|schema| self.schemas.volatile(schema, version, value))
                    .unwrap_or_default();
                let writer = Writer {
                    names: &self.names,
                    volatile: volatile
                        .into_iter()
                        .map(|volatile| (volatile.pointer, volatile.kind))
                        .collect(),
                };
                let _ = writeln!(text, "{}", writer.write(value));
            }
            Body::Bytes(bytes) => match std::str::from_utf8(bytes) {
                Ok(body) => {
                    for part in shortened(&self.names.text(body)).split('\n') {
                        let _ = writeln!(text, "| {}", line(part));
                    }
                }
                Err(_) => {
                    let _ = writeln!(
                        text,
                        "| <{} bytes that are no text, hash {:016x}>",
                        bytes.len(),
                        hash(bytes)
                    );
                }
            },
        }
    }
}

fn meet(schemas: &Schemas, names: &mut Names, schema: Option<&str>, version: ContractVersion, body: &Body<'_>) {
    if let (Some(schema), Body::Json(value)) = (schema, body) {
        for volatile in schemas.volatile(schema, version, value) {
            if let Some(text) = value.pointer(&volatile.pointer).and_then(Value::as_str) {
                names.meet(volatile.kind, text);
            }
        }
    }
}

/// The request headers that the case is about, in order of their names.
fn sent_headers(recorded: &RecordedExchange) -> Vec<(String, &str)> {
    let sent = recorded.request_headers.iter().filter(|(name, _)| {
        let name = name.to_ascii_lowercase();
        !INCIDENTAL.contains(&name.as_str()) && !SECRET.iter().any(|secret| name.contains(secret))
    });
    let mut sent: Vec<(String, &str)> = sent.map(|(name, value)| (capitals(name), value.as_str())).collect();
    sent.sort();
    sent
}

/// The response headers that the contract speaks of, in the order and the spelling of `headers.schema.json`.
fn shown_headers<'a>(
    schemas: &'a Schemas,
    recorded: &'a RecordedExchange,
) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
    schemas.response_headers().iter().flat_map(|known| {
        let same = recorded
            .response_headers
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case(known));
        same.map(|(_, value)| (known.as_str(), value.as_str()))
    })
}

/// `x-xbl-contract-version` as `X-Xbl-Contract-Version`.
fn capitals(name: &str) -> String {
    let words: Vec<String> = name
        .split('-')
        .map(|word| {
            let mut letters = word.chars();
            let first = letters.next().map(|first| first.to_ascii_uppercase());
            first
                .into_iter()
                .chain(letters.map(|letter| letter.to_ascii_lowercase()))
                .collect()
        })
        .collect();
    words.join("-")
}

/// One line of text, with control characters as escapes.
fn line(text: &str) -> Cow<'_, str> {
    if text.chars().any(char::is_control) {
        let escape = |letter: char| {
            if letter.is_control() {
                letter.escape_default().to_string()
            } else {
                letter.into()
            }
        };
        Cow::Owned(text.chars().map(escape).collect())
    } else {
        Cow::Borrowed(text)
    }
}
