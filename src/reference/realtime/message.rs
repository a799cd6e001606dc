//! The frames: JSON arrays whose first element says what they are (RTA-002).

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::super::config::decimal;
use super::super::rules::Rules;
use super::super::session::time_text;
use super::connection::{Connection, Tap};

const SUBSCRIBE: u64 = 1;
const UNSUBSCRIBE: u64 = 2;
const EVENT: u64 = 3;

/// How a request of the protocol ends (RTA-004).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    Success = 0,
    UnknownResource = 1,
    SubscriptionLimit = 2,
}

/// What a client asks.
#[derive(Debug, PartialEq)]
pub(super) enum Request {
    Subscribe {
        seq: u64,
        resource: String,
    },
    Unsubscribe {
        seq: u64,
        subscription: Option<u64>,
    },
    /// A kind of message that the service does not know; it is let pass, like clients do (RTA-032).
    Other,
}

impl Request {
    /// Reads a text frame; tells what is wrong with one that is not the protocol.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let frame: Vec<Value> = serde_json::from_str(text).map_err(|_| "a frame is a JSON array")?;
        let number = |place: usize| frame.get(place).and_then(Value::as_u64);
        let kind = number(0).ok_or("a frame begins with the number of its kind")?;
        if kind != SUBSCRIBE && kind != UNSUBSCRIBE {
            return Ok(Self::Other);
        }
        let seq = number(1).ok_or("the second element of a request is its sequence number")?;
        Ok(if kind == SUBSCRIBE {
            let resource = frame.get(2).and_then(Value::as_str).unwrap_or_default();
            Self::Subscribe {
                seq,
                resource: resource.to_owned(),
            }
        } else {
            Self::Unsubscribe {
                seq,
                subscription: number(2),
            }
        })
    }
}

/// Whether a resource is the session directory's: `https://{host}/connections/`, in any case (RTA-008). A client that
/// comes back may put the id of its former connection behind it; it gets a new one all the same (RTA-045).
pub(super) fn is_connections(resource: &str) -> bool {
    let resource = resource.to_ascii_lowercase();
    let Some((host, path)) = resource.strip_prefix("https://").and_then(|rest| rest.split_once('/')) else {
        return false;
    };
    let former = |id: &str| id.is_empty() || Uuid::try_parse(id).is_ok();
    !host.is_empty() && (path == "connections" || path.strip_prefix("connections/").is_some_and(former))
}

/// A resource of a user, of another service than the session directory: `https://{host}/users/xuid({xuid})/...`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct UserResource {
    pub(super) xuid: u64,
    /// The title whose invites it brings, if it is the user's notifications on this device (RTA-050); `current` is the
    /// caller's.
    pub(super) invites_to: Option<TitleName>,
}

/// How a resource names a title.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TitleName {
    Current,
    Id(u32),
}

impl UserResource {
    /// Reads the name of a resource, in any case and on any host.
    pub(super) fn parse(resource: &str) -> Option<Self> {
        let resource = resource.to_ascii_lowercase();
        let (host, path) = resource.strip_prefix("https://")?.split_once('/')?;
        let (xuid, rest) = path.strip_prefix("users/xuid(")?.split_once(")/")?;
        let xuid = decimal(xuid).filter(|_| !host.is_empty() && !rest.is_empty())?;
        let title = rest.strip_prefix("deviceid/current/titleid/");
        let invites_to = title.and_then(|title| match title.trim_end_matches('/') {
            "current" => Some(TitleName::Current),
            title => decimal(title).and_then(|id| u32::try_from(id).ok()).map(TitleName::Id),
        });
        Some(Self { xuid, invites_to })
    }
}

/// RTA-003; `ConnectionId` with a capital C (RTA-008).
pub(super) fn subscribed(seq: u64, subscription: u64, connection: Uuid, rules: &Rules) -> String {
    let name = if rules.connection_id_is_capital.kept() {
        "ConnectionId"
    } else {
        "connectionId"
    };
    json!([SUBSCRIBE, seq, Code::Success as u64, subscription, { name: connection.to_string() }]).to_string()
}

/// RTA-004
pub(super) fn not_subscribed(seq: u64, code: Code, message: &str) -> String {
    json!([SUBSCRIBE, seq, code as u64, message]).to_string()
}

/// RTA-005
pub(super) fn unsubscribed(seq: u64, code: Code) -> String {
    json!([UNSUBSCRIBE, seq, code as u64]).to_string()
}

/// The taps of one connection in one event (RTA-014).
pub(super) fn tapped<'t>(connection: &Connection, taps: impl Iterator<Item = &'t Tap>, rules: &Rules) -> String {
    let shown = taps.map(|tap| {
        let change = &tap.change;
        let mut resource = change.session.as_str().to_owned();
        if !rules.resources_have_tildes.kept() {
            resource = resource.replace('~', "/");
        }
        let mut shown = json!({
            "timestamp": time_text(change.at),
            "subscription": tap.subscription,
            "resourceType": "mpsd/session",
            "resource": resource,
            "branch": change.branch.to_string(),
        });
        if let Some(number) = change.number {
            shown["changeNumber"] = json!(number);
        }
        shown
    });
    let shown: Value = shown.collect();
    // RTA-048
    let id = if rules.events_have_ids.kept() {
        Uuid::new_v4()
    } else {
        connection.id()
    };
    let mut data = Map::new();
    if rules.events_name_their_channel.kept() {
        data.insert("ncid".to_owned(), json!(id.to_string()));
    }
    data.insert("shoulderTaps".to_owned(), shown);
    json!([EVENT, connection.subscription(), data]).to_string()
}

/// An event with other data than taps.
pub(super) fn event(subscription: u64, data: &Value) -> String {
    json!([EVENT, subscription, data]).to_string()
}

/// The subscription to a resource that has nothing to show (RTA-051).
pub(super) fn subscribed_to_nothing(seq: u64, subscription: u64) -> String {
    json!([SUBSCRIBE, seq, Code::Success as u64, subscription, null]).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directory_is_found_on_any_host_and_in_any_case() {
        for known in [
            "https://sessiondirectory.xboxlive.com/connections/",
            "HTTPS://SessionDirectory.xboxlive.com/Connections/",
            "https://localhost:8730/connections",
            "https://sessiondirectory.xboxlive.com/connections/D8A1B0E2-7348-4A27-BCDE-C083579DD113",
        ] {
            assert!(is_connections(known), "{known}");
        }
        for unknown in [
            "",
            "/connections/",
            "http://a/connections/",
            "https:///connections/",
            "https://a/connections/x",
            "https://a/x/connections/",
            "https://userpresence.xboxlive.com/users/xuid(1)/richpresence",
        ] {
            assert!(!is_connections(unknown), "{unknown}");
        }
    }

    #[test]
    fn frames_that_are_no_requests_are_told_apart() {
        let resource = "r".to_owned();
        assert_eq!(
            Request::parse("[1, 18446744073709551615, \"r\"]"),
            Ok(Request::Subscribe {
                seq: u64::MAX,
                resource
            })
        );
        let unsubscribe = Request::Unsubscribe {
            seq: 2,
            subscription: Some(0),
        };
        assert_eq!(Request::parse("[2,2,0]"), Ok(unsubscribe));
        assert_eq!(Request::parse("[9]"), Ok(Request::Other));
        for wrong in [
            "",
            "{}",
            "[]",
            "[\"1\"]",
            "[1]",
            "[1,\"x\"]",
            "[1,-1,\"r\"]",
            "[1,1,\"r\"] x",
        ] {
            assert!(Request::parse(wrong).is_err(), "{wrong}");
        }
    }
}
