//! Whose token a request carries.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::config::{Config, ConfigError, Kind, PrincipalConfig};
use super::principal::{Principal, PrincipalKind, User};

/// The principals, by token. The set does not change while the service runs.
pub(crate) struct Authority {
    by_token: HashMap<String, Entry>,
}

struct Entry {
    principal: Arc<Principal>,
    /// When the token expires.
    expires: Option<Timestamp>,
}

/// Why a request has no principal (AUTH-003).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unauthenticated {
    /// There is no `Authorization` header.
    Missing,
    /// The header is not of the form `XBL3.0 x=<hash>;<token>`.
    Malformed,
    /// Nobody has that token.
    Unknown,
    /// The token was good once.
    Expired,
    /// The nonce was not issued, is spent, or is too old (RTA-046).
    UnknownNonce,
}

impl fmt::Display for Unauthenticated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "The request has no Authorization header; expected `XBL3.0 x=<hash>;<token>`.",
            Self::Malformed => "The Authorization header is malformed; expected `XBL3.0 x=<hash>;<token>`.",
            Self::Unknown => "The token in the Authorization header is not valid here.",
            Self::Expired => "The token in the Authorization header has expired.",
            Self::UnknownNonce => "The nonce is not valid here; GET /nonce issues one, for one use within a minute.",
        })
    }
}

impl Authority {
    /// The principals of `config`, which must all have tokens; what is good for some time is so from `now` on.
    pub(crate) fn new(config: &Config, now: Timestamp) -> Result<Self, ConfigError> {
        let mut by_token = HashMap::new();
        for (name, configured) in &config.principals {
            let at = format!("principals.{name}");
            let token = configured
                .token
                .as_ref()
                .ok_or_else(|| ConfigError::new(&at, "the principal has no token"))?;
            let entry = Entry {
                principal: Arc::new(principal(name, configured, &at)?),
                expires: expires(configured, now),
            };
            if by_token.insert(token.reveal().to_owned(), entry).is_some() {
                return Err(ConfigError::new(at + ".token", "another principal has the same token"));
            }
        }
        Ok(Self { by_token })
    }

    /// Who sent `authorization`, the value of the header, at `now`. The hash before the token only has to be there.
    pub(crate) fn authenticate(
        &self,
        authorization: Option<&[u8]>,
        now: Timestamp,
    ) -> Result<&Arc<Principal>, Unauthenticated> {
        let entry = self.entry(authorization)?;
        if entry.expires.is_some_and(|expires| expires <= now) {
            return Err(Unauthenticated::Expired);
        }
        Ok(&entry.principal)
    }

    /// When the token in `authorization` expires, if ever.
    pub(crate) fn expiry(&self, authorization: Option<&[u8]>) -> Option<Timestamp> {
        self.entry(authorization).ok()?.expires
    }

    fn entry(&self, authorization: Option<&[u8]>) -> Result<&Entry, Unauthenticated> {
        let value = authorization.ok_or(Unauthenticated::Missing)?;
        let value = std::str::from_utf8(value).map_err(|_| Unauthenticated::Malformed)?;
        let (_, token) = value
            .strip_prefix("XBL3.0 x=")
            .and_then(|rest| rest.split_once(';'))
            .filter(|(hash, token)| !hash.is_empty() && !token.is_empty())
            .ok_or(Unauthenticated::Malformed)?;
        self.by_token.get(token).ok_or(Unauthenticated::Unknown)
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.by_token.values().map(|entry| &entry.principal.name);
        f.debug_set().entries(names).finish()
    }
}

fn expires(configured: &PrincipalConfig, now: Timestamp) -> Option<Timestamp> {
    if configured.expired {
        return Some(Timestamp::MIN);
    }
    let millis = i64::try_from(configured.token_millis?).ok()?;
    now.checked_add(SignedDuration::from_millis(millis)).ok()
}

fn principal(name: &str, configured: &PrincipalConfig, at: &str) -> Result<Principal, ConfigError> {
    let kind = match (configured.kind, configured.xuid) {
        (Kind::User, Some(xuid)) => PrincipalKind::User(User {
            xuid: xuid.0,
            gamertag: configured.gamertag.clone(),
            device_id: configured.device.clone(),
            may_play_multiplayer: configured.multiplayer_privilege,
            has_title_identity: configured.title_identity,
        }),
        (Kind::Server, None) => PrincipalKind::Server {
            has_runtime_access: configured.runtime_access,
        },
        (Kind::User, None) => return Err(ConfigError::new(at, "a user needs an `xuid`")),
        (Kind::Server, Some(_)) => return Err(ConfigError::new(format!("{at}.xuid"), "a server has no `xuid`")),
    };
    Ok(Principal {
        name: name.to_owned(),
        title_id: configured.title.0,
        kind,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn authority(text: &str) -> Authority {
        Authority::new(&Config::parse(text).unwrap(), NOW).unwrap()
    }

    #[test]
    fn only_the_whole_form_of_the_header_is_accepted() {
        let text = r#"{"principals": {"alice": {"xuid": "7", "title": 1, "token": "t0"}}}"#;
        let authority = authority(text);
        assert_eq!(
            authority.authenticate(Some(b"XBL3.0 x=1;t0"), NOW).unwrap().name,
            "alice"
        );
        assert_eq!(authority.authenticate(None, NOW), Err(Unauthenticated::Missing));
        for bad in [
            "",
            "t0",
            "Bearer t0",
            "XBL3.0 x=;t0",
            "XBL3.0 x=1;",
            "XBL3.0 x=1",
            "XBL2.0 x=1;t0",
        ] {
            let answer = authority.authenticate(Some(bad.as_bytes()), NOW);
            assert_eq!(answer, Err(Unauthenticated::Malformed), "{bad}");
        }
        assert_eq!(
            authority.authenticate(Some(b"XBL3.0 x=1;t1"), NOW),
            Err(Unauthenticated::Unknown)
        );
    }

    #[test]
    fn an_expired_token_is_told_apart() {
        let text = r#"{"principals": {"alice": {"xuid": "7", "title": 1, "token": "t0", "expired": true}}}"#;
        let answer = authority(text).authenticate(Some(b"XBL3.0 x=1;t0"), NOW).cloned();
        assert_eq!(answer, Err(Unauthenticated::Expired));
    }

    #[test]
    fn a_token_may_be_good_for_some_time_only() {
        let text = r#"{"principals": {"alice": {"xuid": "7", "title": 1, "token": "t0", "tokenMillis": 1000}}}"#;
        let authority = authority(text);
        let after = |millis| authority.authenticate(Some(b"XBL3.0 x=1;t0"), NOW + SignedDuration::from_millis(millis));
        assert!(after(999).is_ok());
        assert_eq!(after(1000).cloned(), Err(Unauthenticated::Expired));
    }

    #[test]
    fn a_user_needs_an_xuid_and_a_server_has_none() {
        for text in [
            r#"{"principals": {"a": {"title": 1}}}"#,
            r#"{"principals": {"a": {"kind": "server", "xuid": "1", "title": 1}}}"#,
        ] {
            assert!(Authority::new(&Config::parse(text).unwrap(), NOW).is_err());
        }
    }
}
