//! The table of harmless variations, by what they alter.

use super::json::{Alter, Strange};
use super::text::{Escape, Form, Numbers};
use super::{Act, Closing, Coding, Framing, Letters, Order, Row};
use crate::wire::Edit;

pub(super) fn rows() -> impl Iterator<Item = &'static Row> {
    [HTTP, CONTENT, JSON, CONTRACT, TIME, SOCKETS].into_iter().flatten()
}

const fn row(
    id: &'static str,
    text: &'static str,
    source: &'static str,
    kind: &'static str,
    does: &'static [Act],
) -> Row {
    Row {
        id,
        text,
        source,
        kind,
        does,
    }
}

fn without_blank(value: &str) -> String {
    value.replace("; ", ";")
}

fn utf_8(value: &str) -> String {
    format!("{}; charset=utf-8", value.split(';').next().unwrap_or_default())
}

fn utf_8_capital(value: &str) -> String {
    format!("{};charset=UTF-8", value.split(';').next().unwrap_or_default())
}

fn utf_8_quoted(value: &str) -> String {
    format!("{} ; Charset=\"utf-8\"", value.split(';').next().unwrap_or_default())
}

fn no_charset(value: &str) -> String {
    value.split(';').next().unwrap_or_default().to_owned()
}

fn title(value: &str) -> String {
    let mut letters = value.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

fn upper(value: &str) -> String {
    value.to_ascii_uppercase()
}

fn more_parameters(value: &str) -> String {
    format!("{value}; odata=minimalmetadata; q=1")
}

fn more_caution(value: &str) -> String {
    format!("private, {value}, no-transform")
}

fn turned(value: &str) -> String {
    let mut parts: Vec<&str> = value.split(',').map(str::trim).collect();
    parts.reverse();
    parts.join(", ")
}

fn tight(value: &str) -> String {
    value.replace(", ", ",")
}

fn more_verbs(value: &str) -> String {
    format!("{value}, OPTIONS, HEAD")
}

fn a_list(value: &str) -> String {
    format!("keep-alive, {value}")
}

fn digits(text: &str, count: usize) -> String {
    let Some((second, fraction)) = text.trim_end_matches('Z').split_once('.') else {
        return text.to_owned();
    };
    match fraction.get(..count) {
        Some("") | None => format!("{second}Z"),
        Some(fraction) => format!("{second}.{fraction}Z"),
    }
}

fn no_fraction(text: &str) -> String {
    digits(text, 0)
}

fn one_digit(text: &str) -> String {
    digits(text, 1)
}

fn milliseconds(text: &str) -> String {
    digits(text, 3)
}

fn microseconds(text: &str) -> String {
    digits(text, 6)
}

fn no_trailing_zeros(text: &str) -> String {
    let text = milliseconds(text);
    match text.trim_end_matches('Z').split_once('.') {
        Some((second, fraction)) => match fraction.trim_end_matches('0') {
            "" => format!("{second}Z"),
            fraction => format!("{second}.{fraction}Z"),
        },
        None => text,
    }
}

fn zero_offset(text: &str) -> String {
    text.replace('Z', "+00:00")
}

#[rustfmt::skip]
const HTTP: &[Row] = &[
    row("chunked", "Bodies come in one chunk.", "RFC 9112 7.1", "framing", &[Act::Framing(Framing::Chunks(1 << 20, "", "", "chunked"))]),
    row("chunked-tiny", "Bodies come in chunks of three bytes.", "RFC 9112 7.1", "framing", &[Act::Framing(Framing::Chunks(3, "", "", "chunked"))]),
    row("chunked-bytes", "Bodies come in chunks of one byte.", "RFC 9112 7.1", "framing", &[Act::Framing(Framing::Chunks(1, "", "", "chunked"))]),
    row("chunked-extensions", "Chunks have extensions.", "RFC 9112 7.1.1", "framing", &[Act::Framing(Framing::Chunks(200, ";name=value;quoted=\"a;b\"", "", "chunked"))]),
    row("chunked-trailer", "A trailer follows the last chunk.", "RFC 9112 7.1.2", "framing", &[Act::Framing(Framing::Chunks(100, "", "X-Checksum: 1\r\nServer-Timing: total\r\n", "chunked"))]),
    row("chunked-capital", "The transfer coding is spelt with a capital letter.", "RFC 9110 10.1.4, RFC 9112 7", "framing", &[Act::Framing(Framing::Chunks(500, "", "", "Chunked"))]),
    row("until-close", "Bodies have no length and end with the connection.", "RFC 9112 6.3", "framing", &[Act::Framing(Framing::UntilClose)]),
    row("http-1.0", "Responses are of HTTP/1.0 and end with the connection.", "RFC 9112 2.3, 6.3", "framing", &[Act::Http10, Act::Framing(Framing::UntilClose)]),
    row("http-1.0-length", "Responses are of HTTP/1.0 and have a length.", "RFC 9112 2.3, 9.3", "framing", &[Act::Http10, Act::Connection(Closing::Announced)]),
    row("names-lower", "Header names are in small letters.", "RFC 9110 5.1", "names", &[Act::Names(Letters::Lower)]),
    row("names-upper", "Header names are in capital letters.", "RFC 9110 5.1", "names", &[Act::Names(Letters::Upper)]),
    row("names-title", "Header names begin with capital letters.", "RFC 9110 5.1", "names", &[Act::Names(Letters::Title)]),
    row("names-mixed", "Header names are in mixed letters.", "RFC 9110 5.1", "names", &[Act::Names(Letters::Mixed)]),
    row("headers-reversed", "Headers are in the opposite order.", "RFC 9110 5.3", "headers-order", &[Act::Headers(Order::Reverse)]),
    row("headers-sorted", "Headers are sorted by name.", "RFC 9110 5.3", "headers-order", &[Act::Headers(Order::Sorted)]),
    row("headers-rotated", "The first header comes last.", "RFC 9110 5.3", "headers-order", &[Act::Headers(Order::Rotated)]),
    row("values-tight", "There is no blank before the value of a header.", "RFC 9110 5.5, RFC 9112 5", "padding", &[Act::Padding("", "")]),
    row("values-padded", "The values of headers are surrounded by blanks and tabs.", "RFC 9112 5", "padding", &[Act::Padding(" \t  ", " \t")]),
    row("header-server", "Responses name the software of the server.", "RFC 9110 10.2.4", "more-headers", &[Act::Add("Server", "Microsoft-HTTPAPI/2.0 (unknown)")]),
    row("header-set-cookie", "Responses set two cookies, with new values each time.", "RFC 6265 3, RFC 9110 5.3", "more-headers", &[Act::Add("Set-Cookie", "ARRAffinity={id};Path=/;HttpOnly"), Act::Add("Set-Cookie", "n={n}; Path=/")]),
    row("header-via", "Responses came through two proxies.", "RFC 9110 7.6.3", "more-headers", &[Act::Add("Via", "1.1 edge"), Act::Add("Via", "1.1 front ({id})")]),
    row("header-age-vary", "Responses have Age and Vary.", "RFC 9110 12.5.5, RFC 9111 5.1", "more-headers", &[Act::Add("Age", "0"), Act::Add("Vary", "Authorization, X-Xbl-Contract-Version")]),
    row("header-security", "Responses have headers for browsers.", "RFC 9110 5.1", "more-headers", &[Act::Add("Strict-Transport-Security", "max-age=31536000"), Act::Add("X-Content-Type-Options", "nosniff"), Act::Add("Access-Control-Allow-Origin", "*"), Act::Add("X-Frame-Options", "DENY")]),
    row("header-trace", "Responses have ids for tracing, new each time.", "RFC 9110 5.1", "more-headers", &[Act::Add("X-Request-Id", "{id}"), Act::Add("MS-CV", "{id}.{n}"), Act::Add("X-Xbl-Correlation-Id", "{id}")]),
    row("header-many", "Responses have fifty headers more.", "RFC 9110 5.4", "more-headers", &[Act::AddMany(50)]),
    row("header-large", "Responses have a header of 4 kB.", "RFC 9110 5.4", "more-headers", &[Act::Add("X-Debug", LONG)]),
    row("header-empty", "Responses have a header without a value.", "RFC 9110 5.5", "more-headers", &[Act::Add("X-Nothing", "")]),
    row("header-alt-svc", "Responses advertise HTTP/3.", "RFC 7838 3", "more-headers", &[Act::Add("Alt-Svc", "h3=\":443\"; ma=86400")]),
    row("header-content-language", "Responses have Content-Language and Accept-Ranges: none.", "RFC 9110 8.5, 14.3", "more-headers", &[Act::Add("Content-Language", "en-US"), Act::Add("Accept-Ranges", "none")]),
    row("header-last-modified", "Responses have Last-Modified.", "RFC 9110 8.8.2", "more-headers", &[Act::Add("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")]),
    row("header-keep-alive", "Responses have Connection: keep-alive.", "RFC 9112 9.3", "more-headers", &[Act::Add("Keep-Alive", "timeout=5, max=100")]),
    row("reason-none", "The status line has no reason.", "RFC 9112 4", "reason", &[Act::Reason(" ")]),
    row("reason-other", "The status line has other words.", "RFC 9112 4", "reason", &[Act::Reason(" Alright then (as it were)")]),
    row("reason-foreign", "The status line has words in another alphabet.", "RFC 9112 4", "reason", &[Act::Reason(" D\u{fc}rfen")]),
    row("closed-announced", "The connection ends after each response, with Connection: close.", "RFC 9112 9.6", "connection", &[Act::Connection(Closing::Announced)]),
    row("closed-silently", "The connection ends after each response, without a word.", "RFC 9112 9.3, 9.5", "connection", &[Act::Connection(Closing::Silent)]),
    row("closed-sometimes", "The connection ends after five responses, without a word.", "RFC 9112 9.5", "connection", &[Act::Connection(Closing::After(5))]),
    row("closed-idle", "The connection ends when it was idle for 20 ms.", "RFC 9112 9.5", "connection", &[Act::Connection(Closing::Idle(20))]),
    row("interim-100", "A 100 comes before each response.", "RFC 9110 15.2.1", "interim", &[Act::Interim("HTTP/1.1 100 Continue\r\n\r\n")]),
    row("interim-103", "A 103 comes before each response.", "RFC 8297 2", "interim", &[Act::Interim("HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n")]),
    row("interim-102", "Two interim responses come before each response.", "RFC 9110 15.2", "interim", &[Act::Interim("HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nETag: \"no\"\r\n\r\n")]),
    row("segments-small", "Responses come in segments of 11 bytes.", "RFC 9293 3.8", "segments", &[Act::Pieces(11, 0)]),
    row("segments-of-one", "Responses begin in segments of one byte.", "RFC 9293 3.8", "segments", &[Act::Pieces(1, 0)]),
    row("segments-slow", "Responses arrive in pieces of 500 bytes, 3 ms apart.", "RFC 9293 3.8", "segments", &[Act::Pieces(500, 3)]),
    row("body-after-head", "The body comes 5 ms after the head.", "RFC 9293 3.8", "segments", &[Act::DelayBody(5)]),
];

/// A text of 4 kB.
const LONG: &str = const {
    const BYTES: [u8; 4096] = [b'x'; 4096];
    match std::str::from_utf8(&BYTES) {
        Ok(text) => text,
        Err(_) => "",
    }
};

#[rustfmt::skip]
const CONTENT: &[Row] = &[
    row("gzip", "Bodies are compressed with gzip without Accept-Encoding.", "RFC 9110 8.4.1.3, 12.5.3", "coding", &[Act::Coding(Coding::Gzip), Act::Add("Vary", "Accept-Encoding")]),
    row("x-gzip", "Bodies are compressed with gzip under its old name.", "RFC 9110 8.4.1.3, 12.5.3", "coding", &[Act::Coding(Coding::XGzip)]),
    row("deflate", "Bodies are compressed with deflate without Accept-Encoding.", "RFC 9110 8.4.1.2, 12.5.3", "coding", &[Act::Coding(Coding::Deflate)]),
    row("identity", "Content-Encoding is identity.", "RFC 9110 12.5.3", "coding", &[Act::Coding(Coding::Identity)]),
    row("gzip-chunked", "Bodies are compressed and come in chunks.", "RFC 9110 8.4.1.3, RFC 9112 7.1", "framing", &[Act::Coding(Coding::Gzip), Act::Framing(Framing::Chunks(50, "", "", "chunked"))]),
    row("media-type-utf-8", "Media types name their charset.", "RFC 9110 8.3.2, SES-ADDR-013", "media-type", &[Act::Value("content-type", utf_8)]),
    row("media-type-tight", "Media types name their charset in capital letters, without a blank.", "RFC 9110 8.3.1, 8.3.2", "media-type", &[Act::Value("content-type", utf_8_capital)]),
    row("media-type-quoted", "Media types name their charset between quotes, and blanks.", "RFC 9110 5.6.6, 8.3.1", "media-type", &[Act::Value("content-type", utf_8_quoted)]),
    row("media-type-bare", "Media types name no charset.", "RFC 9110 8.3.2", "media-type", &[Act::Value("content-type", no_charset)]),
    row("media-type-close", "There is no blank between media types and their parameters.", "RFC 9110 5.6.6", "media-type", &[Act::Value("content-type", without_blank)]),
    row("media-type-title", "Media types begin with a capital letter.", "RFC 9110 8.3.1", "media-type", &[Act::Value("content-type", title)]),
    row("media-type-upper", "Media types are in capital letters.", "RFC 9110 8.3.1", "media-type", &[Act::Value("content-type", upper)]),
    row("media-type-parameters", "Media types have other parameters.", "RFC 9110 8.3.1", "media-type", &[Act::Value("content-type", more_parameters)]),
    row("cache-more", "Cache-Control has more directives.", "RFC 9111 5.2", "cache", &[Act::Value("cache-control", more_caution)]),
    row("cache-turned", "Cache-Control has its directives in the opposite order.", "RFC 9111 5.2", "cache", &[Act::Value("cache-control", turned)]),
    row("cache-upper", "Cache-Control has its directives in capital letters.", "RFC 9111 5.2", "cache", &[Act::Value("cache-control", upper)]),
    row("cache-tight", "Cache-Control has no blanks.", "RFC 9110 5.6.1", "cache", &[Act::Value("cache-control", tight)]),
    row("cache-split", "Cache-Control comes once for each directive.", "RFC 9110 5.3", "cache", &[Act::Split("cache-control")]),
    row("cache-pragma", "Responses that must not be cached have Pragma and Expires as well.", "RFC 9111 5.4", "cache", &[Act::Add("Pragma", "no-cache")]),
    row("cache-absent", "There is no Cache-Control.", "LIVE-005 (SHOULD), HDR-023 (SHOULD)", "cache", &[Act::Without("cache-control")]),
    row("etag-number", "Entity tags begin with a number and a dot.", "COND-019, RFC 9110 8.8.3", "etag", &[Act::Tags("\"17.", "\"")]),
    row("etag-letters", "Entity tags have every kind of letter that they may have.", "COND-019, RFC 9110 8.8.3", "etag", &[Act::Tags("\"a/b,c;{d}=~!", ":x y\"")]),
    row("etag-long", "Entity tags are long.", "COND-019, RFC 9110 8.8.3", "etag", &[Act::Tags(LONG_TAG, "\"")]),
    row("etag-base64", "Entity tags look like Base64.", "COND-019, RFC 9110 8.8.3", "etag", &[Act::Tags("\"AAAA+/", "==\"")]),
    row("etag-weak", "Entity tags are weak.", "COND-019, RFC 9110 8.8.1", "etag", &[Act::Tags("W/\"", "\"")]),
    row("location-absolute", "Location names the host.", "RFC 9110 10.2.2", "location", &[Act::Absolute("location")]),
    row("location-other-host", "Location names another host of the same service.", "RFC 9110 10.2.2", "location", &[Act::Value("location", at_another_host)]),
    row("allow-turned", "Allow has its verbs in the opposite order.", "RFC 9110 10.2.1", "allow", &[Act::Value("allow", turned)]),
    row("allow-tight", "Allow has no blanks.", "RFC 9110 5.6.1, 10.2.1", "allow", &[Act::Value("allow", tight)]),
    row("allow-split", "Allow comes once for each verb.", "RFC 9110 5.3, 10.2.1", "allow", &[Act::Split("allow")]),
    row("allow-more", "Allow names verbs that no page lists.", "RFC 9110 10.2.1", "allow", &[Act::Value("allow", more_verbs)]),
    row("allow-absent", "405 does not name the verbs that are known.", "STAT-016", "allow", &[Act::Without("allow")]),
    row("challenge-absent", "401 names no scheme.", "SES-PRIN-003", "challenge", &[Act::Without("www-authenticate")]),
    row("challenge-several", "401 names several schemes.", "RFC 9110 11.6.1", "challenge", &[Act::Add("WWW-Authenticate", "Bearer realm=\"xbox, live\", XBL3.0 realm=\"a\"")]),
    row("retry-date", "The time to come back is a date.", "RFC 9110 10.2.3", "retry", &[Act::RetryDate]),
    row("words-other", "Messages have other words.", "SES-BODY-020", "words", &[Act::Body(&[400, 403, 404, 405, 409], Some(("text/plain; charset=utf-8", "No. ({n})")))]),
    row("words-long", "Messages are long, and have letters of every kind.", "SES-BODY-020", "words", &[Act::Body(&[400, 403, 404, 405, 409], Some(("text/plain; charset=utf-8", "D\u{fc}rfen Sie nicht \u{1f6ab}: {} [1, 2] \"x\"\r\n\tline {n}\r\n")))]),
    row("words-like-json", "Messages look like JSON texts, but are not declared as such.", "SES-BODY-020", "words", &[Act::Body(&[400, 404, 405, 409], Some(("text/plain", "\"The request is refused ({n}).\"")))]),
    row("unauthorized-json", "401 has a JSON body.", "SES-PRIN-003", "unauthorized", &[Act::Body(&[401], Some(("application/json", "{\"code\":{n},\"message\":\"no\"}")))]),
    row("unauthorized-text", "401 has other words.", "SES-PRIN-003", "unauthorized", &[Act::Body(&[401], Some(("text/plain", "no {n}")))]),
    row("unauthorized-html", "401 has an HTML page.", "SES-PRIN-003", "unauthorized", &[Act::Body(&[401], Some(("text/html", "<html><body>{n}</body></html>")))]),
    row("unauthorized-empty", "401 has no body.", "SES-PRIN-003", "unauthorized", &[Act::Body(&[401], None)]),
    row("too-large-empty", "What is too large is refused without words.", "RFC 9110 15.5.14", "too-large", &[Act::Body(&[406, 408, 413, 414, 415, 426, 431], None)]),
];

const LONG_TAG: &str =
    "\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef-";

fn at_another_host(value: &str) -> String {
    format!("https://node7.sessiondirectory.example{value}")
}

#[rustfmt::skip]
const JSON: &[Row] = &[
    row("fields-reversed", "Fields of objects are in the opposite order.", "PROTO-005, RFC 8259 4", "fields", &[Act::Form(Form::Fields(Order::Reverse))]),
    row("fields-sorted", "Fields of objects are sorted by name.", "PROTO-005, RFC 8259 4", "fields", &[Act::Form(Form::Fields(Order::Sorted))]),
    row("fields-rotated", "The first field of each object comes last.", "PROTO-005, RFC 8259 4", "fields", &[Act::Form(Form::Fields(Order::Rotated))]),
    row("space-wide", "Every token is surrounded by blanks.", "PROTO-005, RFC 8259 2", "space", &[Act::Form(Form::Space(" "))]),
    row("space-lines", "Every token is on its own line.", "PROTO-005, RFC 8259 2", "space", &[Act::Form(Form::Space("\r\n\t"))]),
    row("escapes-all", "Every letter is escaped.", "RFC 8259 7", "escapes", &[Act::Form(Form::Escape(Escape::All))]),
    row("escapes-foreign", "Every letter that is not ASCII is escaped.", "RFC 8259 7", "escapes", &[Act::Form(Form::Escape(Escape::Foreign))]),
    row("escapes-slash", "Slashes are escaped.", "RFC 8259 7", "escapes", &[Act::Form(Form::Escape(Escape::Slash))]),
    row("escapes-first", "The first letter of each text and name is escaped.", "RFC 8259 7", "escapes", &[Act::Form(Form::Escape(Escape::First))]),
    row("numbers-fraction", "Whole numbers are written like 1.0.", "RFC 8259 6", "numbers", &[Act::Form(Form::Number(Numbers::Fraction))]),
    row("numbers-exponent", "Whole numbers are written like 1e0.", "RFC 8259 6", "numbers", &[Act::Form(Form::Number(Numbers::Exponent))]),
    row("numbers-negative", "Whole numbers are written like 10e-1.", "RFC 8259 6", "numbers", &[Act::Form(Form::Number(Numbers::Negative))]),
    row("numbers-long", "Whole numbers are written like 1.000E+0.", "RFC 8259 6", "numbers", &[Act::Form(Form::Number(Numbers::Long))]),
    row("unknown-guid", "Each object has a field that nobody knows, with a new GUID each time.", "X-39, SES-CREATE-010", "unknown", &[Act::Json(Alter::Unknown(Strange::Guid))]),
    row("unknown-count", "Each object has a field that nobody knows, with a number that grows.", "X-39, SES-CREATE-010", "unknown", &[Act::Json(Alter::Unknown(Strange::Count))]),
    row("unknown-object", "Each object has a field that nobody knows, with an object that changes.", "X-39, SES-CREATE-010", "unknown", &[Act::Json(Alter::Unknown(Strange::Object))]),
    row("unknown-list", "Each object has a field that nobody knows, with a list that changes.", "X-39, SES-CREATE-010", "unknown", &[Act::Json(Alter::Unknown(Strange::List))]),
    row("unknown-null", "Each object has a field that nobody knows, which is null.", "X-39, SES-CREATE-010", "unknown", &[Act::Json(Alter::Unknown(Strange::Null))]),
    row("unknown-sometimes", "Each object has, from time to time, a field that nobody knows.", "X-39, SES-CREATE-010", "unknown", &[Act::Json(Alter::Unknown(Strange::Sometimes))]),
    row("unknown-long", "Each object has an unknown field with a long string.", "X-39, SES-CREATE-010", "unknown", &[Act::Json(Alter::Unknown(Strange::Long))]),
    row("unknown-flag", "Each object has a field that nobody knows, with a flag that changes.", "X-39, SES-CREATE-010", "unknown", &[Act::Json(Alter::Unknown(Strange::Flag))]),
];

#[rustfmt::skip]
const CONTRACT: &[Row] = &[
    row("flags-shown", "Flags that are false are shown.", "X-04", "flags", &[Act::Json(Alter::FalseShown)]),
    row("active-count-absent", "The active members are not counted.", "X-39", "info", &[Act::Json(Alter::At("/membersInfo/active", Edit::Remove))]),
    row("turn-absent", "A turn that is empty is not shown.", "LIVE-009 (SHOULD)", "turn", &[Act::Json(Alter::WithoutEmptyTurn)]),
    row("times-no-fraction", "Times have no fraction of a second.", "LIVE-010 (SHOULD), QRY-046 (SHOULD), HDL-GEN-018 (SHOULD)", "times", &[Act::Json(Alter::Times(no_fraction))]),
    row("times-one-digit", "Times have one digit of the second's fraction.", "LIVE-010 (SHOULD), QRY-046 (SHOULD), HDL-GEN-018 (SHOULD)", "times", &[Act::Json(Alter::Times(one_digit))]),
    row("times-milliseconds", "Times have milliseconds.", "LIVE-010 (SHOULD), QRY-046 (SHOULD), HDL-GEN-018 (SHOULD)", "times", &[Act::Json(Alter::Times(milliseconds))]),
    row("times-microseconds", "Times have microseconds.", "LIVE-010 (SHOULD), QRY-046 (SHOULD), HDL-GEN-018 (SHOULD)", "times", &[Act::Json(Alter::Times(microseconds))]),
    row("times-short", "Times have milliseconds, without zeros at the end.", "LIVE-010 (SHOULD), QRY-046 (SHOULD), HDL-GEN-018 (SHOULD)", "times", &[Act::Json(Alter::Times(no_trailing_zeros))]),
    row("times-offset", "Times have the offset +00:00.", "LIVE-010 (SHOULD), QRY-046 (SHOULD), HDL-GEN-018 (SHOULD), SES-RESP-004", "times", &[Act::Json(Alter::Times(zero_offset))]),
    row("clock-start-late", "Another node stamps startTime, 4 ms later.", "SES-CREATE-013, SES-RESP-012", "clock", &[Act::Json(Alter::Later("startTime", 4))]),
    row("clock-join-late", "Another node stamps joinTime, 7 ms later.", "SES-RESP-012", "clock", &[Act::Json(Alter::Later("joinTime", 7))]),
    row("clock-join-early", "Another node stamps joinTime, 5 ms earlier.", "SES-RESP-012", "clock", &[Act::Json(Alter::Later("joinTime", -5))]),
    row("clock-timer-late", "Another node works out nextTimer, 6 ms later.", "SES-RESP-005, SES-RESP-012", "clock", &[Act::Json(Alter::Later("nextTimer", 6))]),
    row("clock-handles-early", "Another node stamps handles, 9 ms earlier.", "HDL-GEN-018", "clock", &[Act::Json(Alter::Later("createTime", -9)), Act::Json(Alter::Later("expiration", -9))]),
    row("clock-stage-late", "Another node stamps the stages of initialization, 8 ms later.", "SES-RESP-012", "clock", &[Act::Json(Alter::Later("stageStartTime", 8))]),
    row("guids-upper", "The GUIDs that the service makes are in capital letters.", "X-43, RFC 9562 4", "guids", &[Act::Json(Alter::Capitals(&["correlationId", "branch"]))]),
    row("first-index-1", "The first member of a session has the index 1.", "SES-CREATE-012 (SHOULD)", "index", &[Act::Freedom(|freedom| freedom.first_index = 1)]),
    row("first-index-7", "The first member of a session has the index 7.", "SES-CREATE-012 (SHOULD)", "index", &[Act::Freedom(|freedom| freedom.first_index = 7)]),
    row("first-index-1000", "The first member of a session has the index 1000.", "SES-CREATE-012 (SHOULD)", "index", &[Act::Freedom(|freedom| freedom.first_index = 1000)]),
    row("changes-by-3", "Change numbers go up by three.", "SES-MERGE-019", "changes", &[Act::Freedom(|freedom| freedom.change_step = 3)]),
    row("changes-by-1000", "Change numbers go up by a thousand.", "SES-MERGE-019", "changes", &[Act::Freedom(|freedom| freedom.change_step = 1000)]),
    row("changes-uneven", "Change numbers go up by steps that differ.", "SES-MERGE-019", "changes", &[Act::Freedom(|freedom| freedom.is_uneven = true)]),
    row("changes-from-0", "The change number of a new session is 0.", "SES-CREATE-011 (SHOULD), SES-RESP-002", "changes", &[Act::Freedom(|freedom| freedom.first_change = 0)]),
    row("changes-from-42", "The change number of a new session is 42.", "SES-CREATE-011 (SHOULD)", "changes", &[Act::Freedom(|freedom| freedom.first_change = 42)]),
    row("changes-from-large", "The change number of a new session is beyond 32 bits.", "SES-CREATE-011 (SHOULD)", "changes", &[Act::Freedom(|freedom| freedom.first_change = 5_000_000_000)]),
    row("handles-200", "A handle that is made returns 200.", "HDL-GEN-009", "handle-status", &[Act::Status("POST", is_handles, 201, 200)]),
    row("handle-deleted-200", "A handle that is deleted returns 200.", "HDL-GEN-011", "handle-deleted", &[Act::Status("DELETE", is_handle, 204, 200)]),
    row("activity-without-body", "The response to POST of an activity has no body.", "CONTRA-19", "activity", &[Act::NoHandle]),
    row("results-turned", "Results of queries by keyword or for activities are in the opposite order.", "HDL-QRY-023, QRY-025", "results", &[Act::Turned]),
    row("owner-lists-turned", "The lists of owners and of role members are in the opposite order.", "HDL-QRY-012, SRCH-QRY-009", "lists", &[Act::Json(Alter::Turned("memberXuids")), Act::Json(Alter::Turned("sessionOwners"))]),
];

#[rustfmt::skip]
const TIME: &[Row] = &[
    row("slow", "Each response takes 30 ms more.", "RFC 9110 3.3", "slow", &[Act::Delay(30)]),
    row("slow-queries", "Queries show what was for a while.", "QRY-040", "lag", &[Act::Lag]),
    row("taps-late", "Taps come 400 ms late.", "LIVE-019", "taps", &[Act::FramesLate(400)]),
    row("taps-very-late", "Taps come 1.5 s late.", "LIVE-019", "taps", &[Act::FramesLate(1500)]),
    row("taps-merged", "Taps are gathered for 500 ms, those of several sessions in one frame.", "LIVE-019", "taps", &[Act::FramesMerged(500)]),
    row("taps-merged-long", "Taps are gathered for 3 s, those of several sessions in one frame.", "LIVE-019", "taps", &[Act::FramesMerged(3000)]),
];

#[rustfmt::skip]
const SOCKETS: &[Row] = &[
    row("socket-fragments", "Frames come in fragments of 16 bytes.", "RFC 6455 5.4", "fragments", &[Act::Fragments(16)]),
    row("socket-fragments-of-one", "Frames come in fragments of one byte.", "RFC 6455 5.4", "fragments", &[Act::Fragments(1)]),
    row("socket-pings", "A ping comes before each frame.", "RFC 6455 5.5.2", "pings", &[Act::Pings]),
    row("upgrade-title", "The handshake names WebSocket with capital letters.", "RFC 6455 4.1", "upgrade", &[Act::Value("upgrade", websocket)]),
    row("upgrade-upper", "The handshake names WEBSOCKET in capital letters.", "RFC 6455 4.1", "upgrade", &[Act::Value("upgrade", upper)]),
    row("upgrade-list", "Connection of the handshake is a list.", "RFC 6455 4.1, RFC 9110 7.6.1", "upgrade", &[Act::Value("connection", a_list)]),
    row("upgrade-connection-upper", "Connection of the handshake is in capital letters.", "RFC 6455 4.1", "upgrade", &[Act::Value("connection", upper)]),
];

fn websocket(_: &str) -> String {
    "WebSocket".to_owned()
}

fn is_handles(path: &str) -> bool {
    path.trim_end_matches('/').eq_ignore_ascii_case("/handles")
}

fn is_handle(path: &str) -> bool {
    path.to_ascii_lowercase().starts_with("/handles/")
}
