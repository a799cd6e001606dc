//! What an operator configures: service configs and their templates, principals, social relations, rules and limits.
//!
//! The JSON form is what `serve --config FILE` takes. Unknown fields are refused, so that a misspelt one is told and not
//! ignored.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde_json::Value;
use thiserror::Error;
use uuid::Uuid;

/// The whole configuration of a reference service.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Config {
    /// `listen`: the address to serve on, such as `127.0.0.1:8080`; the caller of the service may decide otherwise.
    pub listen: Option<SocketAddr>,
    /// `serviceConfigs`: the service configs by scid.
    pub service_configs: BTreeMap<String, ServiceConfig>,
    /// `principals`: who may call, by a name that only this configuration uses.
    pub principals: BTreeMap<String, PrincipalConfig>,
    /// `social`: who follows, favours and blocks whom.
    pub social: SocialConfig,
    /// `rules`: readings that replace the default ones, by the rule's id.
    pub rules: BTreeMap<String, String>,
    /// `faults`: what is wrong on purpose, by the ids that `mpsd-conformance prove --list` tells; none, unless for proof.
    pub faults: Vec<String>,
    /// `variations`: what is different without being wrong, by the ids that `mpsd-conformance prove --list` shows.
    pub variations: Vec<String>,
    /// `limits`: how big and how slow a request may be.
    pub limits: Limits,
    /// `rateLimits`: whether callers are throttled as the documentation says.
    pub rate_limits: RateLimits,
    /// `clockControl`: whether the request header `X-Mpsd-Advance-Ms` moves the time of a request forward.
    pub clock_control: bool,
    /// `data`: the folder in which sessions and handles are kept; without it they end with the service.
    pub data: Option<PathBuf>,
    /// `explorer`: whether `/debug` shows people what is stored (default true).
    pub explorer: Explorer,
    /// `events`: how long real-time events are held back, and gathered.
    pub events: Events,
    /// Where the service reports what an operator may want to know.
    #[serde(skip)]
    pub log: Log,
}

/// How long real-time events are held back. A socket whose handshake carries `X-Mpsd-Advance-Ms`, where that is allowed, gets
/// them at once: its client passes the time itself.
#[derive(Clone, Copy, Debug, serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Events {
    /// `delayMillis`: how long after the change an event is sent, at the earliest, in milliseconds (default 100, at most
    /// 60000). Clients that write expect the response before the event.
    pub delay_millis: u64,
    /// `windowMillis`: how long events are gathered, in milliseconds (default 0: each is sent by itself; at most 60000). Of one
    /// session the newest change is sent; sessions of one connection share a frame. The live service gathers for up to
    /// 3000.
    pub window_millis: u64,
}

impl Default for Events {
    fn default() -> Self {
        Self {
            delay_millis: 100,
            window_millis: 0,
        }
    }
}

/// A place for lines to the operator; none by default.
#[derive(Clone, Default)]
pub struct Log(Option<Arc<Write>>);

type Write = dyn Fn(&str) + Send + Sync;

impl Log {
    /// A log whose lines go to `write`.
    pub fn to(write: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(write)))
    }

    /// Whether anybody reads it.
    pub(super) fn is_read(&self) -> bool {
        self.0.is_some()
    }

    pub(super) fn line(&self, line: &str) {
        if let Some(write) = &self.0 {
            write(line);
        }
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Log")
    }
}

/// Whether the session explorer is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(transparent)]
pub struct Explorer(pub bool);

impl Default for Explorer {
    fn default() -> Self {
        Self(true)
    }
}

/// One service config: its templates, and which titles may use it.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ServiceConfig {
    /// `titles`: the ids of the titles that have access (decimal strings or numbers); absent: every title has.
    pub titles: Option<Vec<Title>>,
    /// `title`: the id of the title that the service config belongs to, which filters of searches ask for; absent: the first
    /// of `titles`.
    pub title: Option<Title>,
    /// `gameTypes`: what handles show as their `gameTypes`, an object: the title on each platform.
    pub game_types: Option<serde_json::Map<String, Value>>,
    /// `templates`: the session templates by name.
    pub templates: BTreeMap<String, TemplateConfig>,
}

/// A session template as configured.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct TemplateConfig {
    /// `contractVersion`: the version that the constants are written in (default 107).
    pub contract_version: u16,
    /// `constants`: `{system, custom}`, both optional.
    pub constants: Value,
    /// `roleTypes`, if the template has any.
    pub role_types: Value,
}

impl Default for TemplateConfig {
    fn default() -> Self {
        Self {
            contract_version: 107,
            constants: Value::Object(serde_json::Map::new()),
            role_types: Value::Null,
        }
    }
}

/// Somebody who may call.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a field of the operator's file, independent of the others"
)]
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PrincipalConfig {
    /// `kind`: `user` (default) or `server`.
    #[serde(default)]
    pub kind: Kind,
    /// `xuid`: the user's id, a decimal string or number; required for users, refused for servers.
    #[serde(default)]
    pub xuid: Option<Xuid>,
    /// `gamertag`: the gamertag claim of the token, if it has one.
    #[serde(default)]
    pub gamertag: Option<String>,
    /// `device`: any text; users with the same text are on one device.
    #[serde(default)]
    pub device: Option<String>,
    /// `title`: the id of the title that runs, a decimal string or number.
    pub title: Title,
    /// `multiplayerPrivilege`: whether the user may play multiplayer (default true).
    #[serde(default = "yes")]
    pub multiplayer_privilege: bool,
    /// `titleIdentity`: whether the platform has a strong title identity (default true).
    #[serde(default = "yes")]
    pub title_identity: bool,
    /// `runtimeAccess`: whether a server has access of the kind `Multiplayer.Runtime` to fall back on (default true).
    #[serde(default = "yes")]
    pub runtime_access: bool,
    /// `token`: the token to accept, printable ASCII without blanks or `;`; absent: a random one is made.
    #[serde(default)]
    pub token: Option<Token>,
    /// `expired`: whether the token is refused as expired (default false).
    #[serde(default)]
    pub expired: bool,
    /// `tokenMillis`: how long the token is good, in milliseconds from the start of the service; absent: for ever.
    #[serde(default)]
    pub token_millis: Option<u64>,
}

fn yes() -> bool {
    true
}

/// Whether a principal is a user or a service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// A signed-in user.
    #[default]
    User,
    /// A title's service.
    Server,
}

/// Social relations: each maps a user to those it follows, favours or blocks. Users are named by their name in
/// `principals` or by their xuid.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SocialConfig {
    /// `follows`: whom a user follows.
    pub follows: BTreeMap<String, Vec<String>>,
    /// `favorites`: whom a user counts among its favourites.
    pub favorites: BTreeMap<String, Vec<String>>,
    /// `blocks`: whom a user has blocked.
    pub blocks: BTreeMap<String, Vec<String>>,
}

/// How big and how slow a request may be.
#[derive(Clone, Copy, Debug, serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Limits {
    /// `bodyBytes`: the longest body (default 1 MiB); beyond: 413.
    pub body_bytes: usize,
    /// `headerBytes`: the longest header section (default 32 KiB); beyond: 431.
    pub header_bytes: usize,
    /// `nestingDepth`: the deepest nesting of a JSON body, 1 to 127 (default 64); beyond: 400.
    pub nesting_depth: usize,
    /// `requestMillis`: how long the body of a request may take to arrive, in milliseconds (default 30000); beyond: 408.
    pub request_millis: u64,
    /// `socketMillis`: how long a real-time socket lives, in milliseconds (default 7200000, two hours: RTA-029).
    pub socket_millis: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 1 << 20,
            header_bytes: 32 << 10,
            nesting_depth: 64,
            request_millis: 30_000,
            socket_millis: 7_200_000,
        }
    }
}

/// Whether callers are throttled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RateLimits {
    /// Nobody is.
    #[default]
    Off,
    /// As documented: 30 requests in 15 s, 300 in 300 s, for each user in each title (RATE-003).
    Documented,
}

/// A token, the secret part of an `Authorization` header. It never shows in debug output.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Token(String);

impl Token {
    /// A random token: printable and URL-safe.
    pub fn random() -> Self {
        let (one, two) = (Uuid::new_v4().simple(), Uuid::new_v4().simple());
        Self(format!("{one}{two}"))
    }

    /// The secret itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(redacted)")
    }
}

impl<'de> Deserialize<'de> for Token {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b';') {
            return Ok(Self(text));
        }
        Err(de::Error::custom("expected printable ASCII without blanks or `;`"))
    }
}

/// A user id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Xuid(pub u64);

/// A title id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Title(pub u32);

impl<'de> Deserialize<'de> for Xuid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Decimal).map(Self)
    }
}

impl<'de> Deserialize<'de> for Title {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = deserializer.deserialize_any(Decimal)?;
        let id =
            u32::try_from(number).map_err(|_| de::Error::custom(format!("title id {number} is beyond 32 bits")))?;
        Ok(Self(id))
    }
}

/// Reads a decimal number, written as a string or as a number.
struct Decimal;

impl Visitor<'_> for Decimal {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a decimal number, as a string or a number")
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<u64, E> {
        Ok(number)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<u64, E> {
        decimal(text).ok_or_else(|| de::Error::invalid_value(de::Unexpected::Str(text), &self))
    }
}

/// The number that a string of decimal digits, and nothing else, writes.
pub(super) fn decimal(text: &str) -> Option<u64> {
    (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| text.parse().ok())
        .flatten()
}

/// A configuration that cannot be used.
#[derive(Debug, Error)]
#[error("`{path}`: {reason}")]
pub struct ConfigError {
    path: String,
    /// The same place as a JSON Pointer, where the path does not say it.
    pointer: Option<String>,
    reason: String,
}

impl ConfigError {
    pub(super) fn new(path: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            pointer: None,
            reason: reason.into(),
        }
    }

    /// An error at a place that is a JSON Pointer.
    pub(super) fn at(pointer: &str, reason: impl Into<String>) -> Self {
        let parts = pointer.split('/').skip(1);
        let path: Vec<_> = parts.map(|part| part.replace("~1", "/").replace("~0", "~")).collect();
        Self {
            path: path.join("."),
            pointer: Some(pointer.to_owned()),
            reason: reason.into(),
        }
    }

    /// Where in the configuration, as a JSON Pointer.
    pub fn pointer(&self) -> String {
        let of_path = || {
            let parts = self.path.split('.').filter(|part| !part.is_empty());
            let path = parts.fold(String::new(), |path, part| path + "/" + part);
            path.replace('[', "/").replace(']', "")
        };
        self.pointer.clone().unwrap_or_else(of_path)
    }

    /// What is wrong there.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Where in the configuration, as a dotted path; `.` is the whole.
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl Config {
    /// Reads the JSON form, and makes a random token for every principal that has none.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let mut source = serde_json::Deserializer::from_str(text);
        let config = Self::read(&mut source)?;
        source.end().map_err(|error| ConfigError::new(".", error.to_string()))?;
        Ok(config)
    }

    /// Reads the JSON form out of a value, like [`Config::parse`].
    pub fn from_value(value: Value) -> Result<Self, ConfigError> {
        Self::read(value)
    }

    fn read<'de, D: Deserializer<'de>>(source: D) -> Result<Self, ConfigError>
    where
        D::Error: fmt::Display,
    {
        let config: Self = serde_path_to_error::deserialize(source)
            .map_err(|error| ConfigError::new(error.path().to_string(), error.inner().to_string()))?;
        Ok(config.with_tokens())
    }

    /// The configuration with a random token for every principal that has none.
    #[must_use]
    pub fn with_tokens(mut self) -> Self {
        for principal in self.principals.values_mut() {
            principal.token.get_or_insert_with(Token::random);
        }
        self
    }

    /// The whole `Authorization` header value of each principal, by name. These are secrets.
    pub fn tokens(&self) -> BTreeMap<String, String> {
        let header = |principal: &PrincipalConfig| {
            let hash = principal.xuid.map_or(0, |xuid| xuid.0);
            let token = principal.token.as_ref()?;
            Some(format!("XBL3.0 x={hash};{}", token.reveal()))
        };
        let entry = |(name, principal): (&String, _)| Some((name.clone(), header(principal)?));
        self.principals.iter().filter_map(entry).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_field_is_told_with_its_path_and_line() {
        let error = Config::parse("{\n  \"principals\": { \"alice\": { \"titel\": 1 } }\n}").unwrap_err();
        assert_eq!(error.path(), "principals.alice.titel");
        assert!(error.to_string().contains("line 2"), "{error}");
    }

    #[test]
    fn a_missing_token_is_made_and_never_shown() {
        let config = Config::parse(r#"{"principals": {"alice": {"xuid": "7", "title": 1}}}"#).unwrap();
        let header = config.tokens().remove("alice").unwrap();
        let secret = header.strip_prefix("XBL3.0 x=7;").unwrap();
        assert!(secret.len() >= 32);
        assert!(!format!("{config:?}").contains(secret));
    }

    #[test]
    fn a_token_with_blanks_is_refused() {
        let text = r#"{"principals": {"alice": {"xuid": "7", "title": 1, "token": "a b"}}}"#;
        assert_eq!(Config::parse(text).unwrap_err().path(), "principals.alice.token");
    }

    #[test]
    fn an_xuid_is_a_decimal_string_or_a_number() {
        let text = |xuid: &str| format!(r#"{{"principals": {{"a": {{"xuid": {xuid}, "title": "5"}}}}}}"#);
        for good in ["\"2533274790395904\"", "2533274790395904"] {
            let config = Config::parse(&text(good)).unwrap();
            assert_eq!(config.principals["a"].xuid, Some(Xuid(2_533_274_790_395_904)));
        }
        for bad in ["\"+7\"", "\"\"", "-1", "\"x\"", "1.5"] {
            assert!(Config::parse(&text(bad)).is_err(), "{bad}");
        }
    }
}
