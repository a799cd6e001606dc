//! Who is asked: an endpoint, the identities it knows, and what it is provisioned with.

pub mod deviations;
pub mod endpoint;
pub mod file;
pub mod limits;
pub mod provisions;
pub mod token;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::{Map, Value};

use endpoint::{Header, Proxy, Tls};
use limits::Limits;
use token::Token;

/// An endpoint under test.
#[derive(Clone, Debug, Default)]
pub struct Target {
    /// What reports call it.
    pub name: String,
    /// Scheme, host and port, without a slash at the end.
    pub base_url: String,
    /// How an `https` target and the suite know each other.
    pub tls: Tls,
    /// What all requests go through, if anything.
    pub proxy: Option<Proxy>,
    /// Whether requests are of HTTP/2: as TLS agrees, or, without TLS, from the first byte. Sockets are of HTTP/1.1.
    pub http2: bool,
    /// Headers of every request, unless a case sets or leaves out one of the name.
    pub headers: Vec<Header>,
    /// The service config that the cases use.
    pub scid: String,
    /// The suite's template names, with the names they have on the target.
    pub templates: BTreeMap<String, String>,
    /// Who can speak.
    pub identities: BTreeMap<String, Identity>,
    /// Features of the suite's world that it declares to lack.
    pub lacks: BTreeSet<String>,
    /// The request header that moves a conversation's clock ahead, in ms; without one the run waits.
    pub advance_header: Option<String>,
    /// What a socket is opened with.
    pub sockets: SocketKey,
    /// How fast it may be asked.
    pub limits: Limits,
    /// Whether the service is thrown away after the run, so that nothing needs to be cleaned up.
    pub is_disposable: bool,
}

/// What the handshake of a real-time socket carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SocketKey {
    /// The user's token.
    #[default]
    Token,
    /// A nonce in place of the token (RTA-046).
    Nonce,
}

impl Target {
    /// A service of which nothing is known but where it is.
    pub fn at(base_url: &str) -> Self {
        Self {
            name: base_url.to_owned(),
            base_url: base_url.to_owned(),
            ..Self::default()
        }
    }
}

/// Someone the target knows.
#[derive(Clone, Debug)]
pub struct Identity {
    /// A user's xuid, decimal; absent for a service principal.
    pub xuid: Option<String>,
    /// The gamertag claim.
    pub gamertag: Option<String>,
    /// The id of the title it runs, decimal.
    pub title: String,
    /// The device it is signed in on.
    pub device: Option<String>,
    /// The value of its `Authorization` header.
    pub token: Token,
}

/// The header in which a service principal names the title that it acts for, in decimal (GDK, service-to-service calls).
const TITLE_HEADER: &str = "X-Xbl-OnBehalfOf-Title";

impl Identity {
    /// The headers of each of its requests: its token and, of a service principal, the title that it acts for.
    pub fn headers(&self) -> impl Iterator<Item = (String, String)> {
        let token = ("Authorization".to_owned(), self.token.reveal().to_string());
        let title = self
            .xuid
            .is_none()
            .then(|| (TITLE_HEADER.to_owned(), self.title.clone()));
        std::iter::once(token).chain(title)
    }

    /// What a target file says of it, but for where its token comes from.
    pub fn facts(&self) -> Map<String, Value> {
        let known = [
            ("xuid", &self.xuid),
            ("gamertag", &self.gamertag),
            ("device", &self.device),
        ];
        let known = known
            .into_iter()
            .filter_map(|(key, value)| Some((key, value.as_deref()?)));
        let all = known.chain([("title", self.title.as_str())]);
        all.map(|(key, value)| (key.to_owned(), value.into())).collect()
    }
}

/// A value that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides a value.
    pub fn new(value: String) -> Self {
        Self(value)
    }

    /// The value, for the wire only.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}
