//! Captured traffic: what was seen passing between some client and some service, in HAR files or through the proxy.
//!
//! It is read and written here, freed of secrets, judged by the contract, and made into drafts of cases.

pub mod draft;
pub mod har;
pub mod proxy;
pub mod redaction;
pub mod watcher;

use jiff::Timestamp;

use crate::contract::schemas::Schemas;
use crate::contract::version::ContractVersion;
use crate::wire::message::{WireRequest, WireResponse};

/// One request that was seen, with its answer.
#[derive(Clone, Debug, Default)]
pub struct Passed {
    /// Its place among the entries of the file, from 0.
    pub place: usize,
    /// When the request was sent, if that is known.
    pub started: Option<Timestamp>,
    /// How long the exchange took, in ms.
    pub milliseconds: f64,
    /// Scheme and authority, such as `https://sessiondirectory.xboxlive.com`.
    pub origin: String,
    /// The request; its path is as the contract knows it, without what stands before it in the URL.
    pub request: WireRequest,
    /// The answer.
    pub response: WireResponse,
    /// What went over the socket, if this opened one.
    pub messages: Vec<Message>,
}

/// One message of a WebSocket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Whether the client sent it.
    pub is_sent: bool,
    /// When, if that is known.
    pub at: Option<Timestamp>,
    /// Its text; `None` for bytes.
    pub text: Option<String>,
}

impl Passed {
    /// The first value of a request header.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.request.headers, name)
    }

    /// The contract version that the request names, if there is such a one.
    pub fn version(&self) -> Option<ContractVersion> {
        self.header("x-xbl-contract-version")?.trim().parse().ok()
    }

    /// Whether it opened a real-time socket.
    pub fn is_socket(&self) -> bool {
        self.response.status == 101
    }
}

/// The first value of a header.
pub fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let found = headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?;
    Some(&found.1)
}

/// A path without its query.
fn without_query(path: &str) -> &str {
    path.split_once('?').map_or(path, |(path, _)| path)
}

/// The part of a URL's path and query that the contract knows; `None` if the request is not about MPSD.
///
/// An emulator may live below a path of its own, which is left out.
pub fn contract_path<'a>(
    schemas: &Schemas,
    method: &str,
    path: &'a str,
    headers: &[(String, String)],
) -> Option<&'a str> {
    let lower = without_query(path).to_ascii_lowercase();
    let says_so = header(headers, "x-xbl-contract-version").is_some();
    if let Some(start) = lower.find("/serviceconfigs/") {
        let inner = path.get(start..)?;
        let is_known = schemas.operation(method, inner).is_some();
        // Other services have service configs too; only this one has session templates.
        return (is_known || lower[start..].contains("/sessiontemplates")).then_some(inner);
    }
    let socket = header(headers, "sec-websocket-protocol").unwrap_or_default();
    if socket.to_ascii_lowercase().contains("rta.xboxlive.com") {
        return path.get(lower.rfind("/connect").unwrap_or_default()..);
    }
    // Clients open it without a sub-protocol, too.
    let is_upgraded = header(headers, "upgrade").is_some_and(|name| name.eq_ignore_ascii_case("websocket"));
    if is_upgraded && socket.is_empty() && lower == "/connect" {
        return Some(path);
    }
    let start = lower.find("/handles")?;
    let inner = path.get(start..)?;
    (says_so && schemas.operation(method, inner).is_some()).then_some(inner)
}
