//! Handles: documents that name a session and say why.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::config::decimal;
use super::failure::Failure;
use super::principal::Principal;
use super::rules::{Rules, XuidNumber};
use super::search::{SearchAttributes, SearchHandle};
use super::session::{Access, time_text};
use super::session_ref::SessionRef;

/// How long an invite can be accepted (HDL-INV-003 asks for some time in the future).
const INVITE_LIFE: SignedDuration = SignedDuration::from_hours(24);
/// The longest `context` of an invite, in characters once it is URI-encoded (HDL-INV-005).
const CONTEXT_LENGTH: usize = 256;
/// The longest name of a session, in characters (SES-ADDR-006).
const NAME_LENGTH: usize = 100;

/// A stored handle. Nothing of it ever changes (HDL-GEN-002).
#[derive(Debug)]
pub(super) struct Handle {
    pub(super) id: Uuid,
    pub(super) at: SessionRef,
    pub(super) created: Timestamp,
    /// Who made it, or for whom a service did; `None` for a service that acts for nobody.
    pub(super) creator: Option<u64>,
    /// The title it was made in.
    pub(super) title: u32,
    pub(super) kind: HandleKind,
}

/// What a handle is for, with what only that kind has.
#[derive(Debug)]
pub(super) enum HandleKind {
    /// What the owner is doing now.
    Activity { owner: u64 },
    /// A user is asked to join.
    Invite {
        invited: u64,
        attributes: Map<String, Value>,
        expires: Timestamp,
    },
    /// Members of the origin may join the session that the handle names.
    Transfer { origin: SessionRef },
    /// Others find the session by its search attributes.
    Search(Arc<SearchHandle>),
}

impl HandleKind {
    /// The value of `type` in documents.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Activity { .. } => "activity",
            Self::Invite { .. } => "invite",
            Self::Transfer { .. } => "transfer",
            Self::Search(_) => "search",
        }
    }
}

impl Handle {
    /// Reads the body of POST /handles.
    pub(super) fn from_request(body: &Value, access: &Access<'_>) -> Result<Self, Failure> {
        let (caller, now, rules) = (access.caller, access.now, access.rules);
        let malformed = |what: &str| Failure::Malformed(format!("{what}."));
        let body = body
            .as_object()
            .ok_or_else(|| malformed("The body is not a JSON object"))?;
        if body.get("version").is_some_and(|version| version.as_u64() != Some(1)) {
            return Err(malformed("`version` is not 1"));
        }
        let kind = body
            .get("type")
            .and_then(Value::as_str)
            .ok_or_else(|| malformed("`type` is missing or no string"))?;
        let id = Uuid::new_v4();
        // HDL-ACT-002: the name of an activity's session may be left to the service.
        let at = session_ref(
            body,
            "sessionRef",
            kind == "activity" && rules.activities_may_be_unnamed.kept(),
        )?;
        let kind = match kind {
            "activity" => HandleKind::Activity {
                // HDL-ACT-011
                owner: access
                    .activity_owner()
                    .map(|user| user.xuid)
                    .ok_or_else(|| Failure::Forbidden("Only a user can set an activity.".to_owned()))?,
            },
            "invite" => HandleKind::Invite {
                invited: match xuid(body, "invitedXuid", rules) {
                    Err(_)
                        if !rules.invites_need_a_guest.kept() && body.get("invitedXuid").is_none_or(Value::is_null) =>
                    {
                        0
                    }
                    invited => invited?,
                },
                attributes: invite_attributes(body.get("inviteAttributes"), caller, rules)?,
                expires: now.saturating_add(INVITE_LIFE).unwrap_or(Timestamp::MAX),
            },
            "transfer" => HandleKind::Transfer {
                origin: session_ref(body, "originSessionRef", false)?,
            },
            "search" => {
                let attributes = search_attributes(body.get("searchAttributes"), rules)?;
                HandleKind::Search(Arc::new(SearchHandle::new(id, at.clone(), now, attributes)))
            }
            _ => {
                return Err(malformed(
                    "`type` is not one of `activity`, `invite`, `search`, `transfer`",
                ));
            }
        };
        Ok(Self {
            id,
            at,
            created: now,
            creator: access.user().map(|user| user.xuid),
            title: caller.title_id,
            kind,
        })
    }

    /// The whole of it, as it outlives the process; [`from_stored`](Self::from_stored) makes the same handle of it.
    pub(super) fn to_stored(&self) -> Value {
        let kind = match &self.kind {
            HandleKind::Activity { owner } => json!({ "activity": { "owner": owner } }),
            HandleKind::Invite {
                invited,
                attributes,
                expires,
            } => json!({ "invite": { "invited": invited, "attributes": attributes, "expires": expires.to_string() } }),
            HandleKind::Transfer { origin } => json!({ "transfer": { "origin": origin.to_json() } }),
            HandleKind::Search(search) => json!({ "search": search.attributes().to_json() }),
        };
        json!({
            "id": self.id.to_string(),
            "session": self.at.to_json(),
            "created": self.created.to_string(),
            "creator": self.creator,
            "title": self.title,
            "kind": kind,
        })
    }

    /// The handle that [`to_stored`](Self::to_stored) described; `None` if the value is anything else.
    pub(super) fn from_stored(stored: &Value, rules: &Rules) -> Option<Self> {
        let time = |value: &Value| value.as_str()?.parse::<Timestamp>().ok();
        let (id, at) = (
            Uuid::try_parse(stored.get("id")?.as_str()?).ok()?,
            SessionRef::from_json(stored.get("session")?)?,
        );
        let created = time(stored.get("created")?)?;
        let (kind, of) = stored.get("kind")?.as_object()?.iter().next()?;
        let kind = match kind.as_str() {
            "activity" => HandleKind::Activity {
                owner: of.get("owner")?.as_u64()?,
            },
            "invite" => HandleKind::Invite {
                invited: of.get("invited")?.as_u64()?,
                attributes: of.get("attributes")?.as_object()?.clone(),
                expires: time(of.get("expires")?)?,
            },
            "transfer" => HandleKind::Transfer {
                origin: SessionRef::from_json(of.get("origin")?)?,
            },
            "search" => {
                let attributes = SearchAttributes::parse_under(of, rules).ok()?;
                HandleKind::Search(Arc::new(SearchHandle::new(id, at.clone(), created, attributes)))
            }
            _ => return None,
        };
        Some(Self {
            id,
            at,
            created,
            creator: stored.get("creator")?.as_u64(),
            title: u32::try_from(stored.get("title")?.as_u64()?).ok()?,
            kind,
        })
    }

    /// When it ceases to be, if ever.
    pub(super) fn expires(&self) -> Option<Timestamp> {
        match &self.kind {
            HandleKind::Invite { expires, .. } => Some(*expires),
            HandleKind::Activity { .. } | HandleKind::Transfer { .. } | HandleKind::Search(_) => None,
        }
    }

    /// Whether the caller may delete it (HDL-ACT-008); who is in charge of a session may delete its search handle as well.
    pub(super) fn is_deletable_by(&self, access: &Access<'_>) -> bool {
        let user = access.user().map(|user| user.xuid);
        let is_creator = user.is_some() && user == self.creator;
        match &self.kind {
            HandleKind::Activity { owner } => {
                let is_owner = access.activity_owner().is_some_and(|user| user.xuid == *owner);
                is_owner && access.caller.title_id == self.title
            }
            HandleKind::Invite { invited, .. } => is_creator || user == Some(*invited) || access.manages(),
            HandleKind::Transfer { .. } | HandleKind::Search(_) => is_creator || access.manages(),
        }
    }

    /// The document, without what is included on request.
    pub(super) fn to_json(&self, rules: &Rules) -> Map<String, Value> {
        let number = |number: u64| {
            if rules.handle_numbers_are_text.kept() {
                json!(number.to_string())
            } else {
                json!(number)
            }
        };
        let title = number(self.title.into());
        let mut document = Map::new();
        let mut put = |name: &str, value: Value| document.insert(name.to_owned(), value);
        put("id", json!(self.id.to_string()));
        put("version", json!(1));
        put("type", json!(self.kind.name()));
        put("sessionRef", self.at.to_json());
        match &self.kind {
            HandleKind::Activity { owner } => {
                put("ownerXuid", number(*owner));
                put("titleId", title);
                put("createTime", json!(time_text(self.created)));
            }
            HandleKind::Invite {
                invited,
                attributes,
                expires,
            } => {
                put("invitedXuid", number(*invited));
                let tells = rules.invites_tell_sender_and_end.kept();
                if let Some(sender) = self.creator.filter(|_| tells) {
                    put("senderXuid", number(sender));
                }
                put("inviteAttributes", Value::Object(attributes.clone()));
                put("titleId", title);
                put("createTime", json!(time_text(self.created)));
                if tells {
                    put("expiration", json!(time_text(*expires)));
                }
            }
            // LIVE-003: the request and the id, nothing more.
            HandleKind::Transfer { origin } => {
                put("originSessionRef", origin.to_json());
            }
            // SRCH-HDL-019
            HandleKind::Search(search) => {
                let attributes = search.attributes().to_json();
                if rules.attributes_keep_their_case.kept() {
                    put("searchAttributes", attributes);
                } else {
                    put("searchAttributes", lowered(attributes));
                }
                put("titleId", title);
                put("createTime", json!(time_text(self.created)));
            }
        }
        document
    }
}

/// Checks the name of a session: 1 to 100 characters, none of which would end or split its address.
pub(super) fn check_session_name(name: &str) -> Result<(), Failure> {
    if name.is_empty() || name.chars().count() > NAME_LENGTH {
        let message = format!("A session's name has 1 to {NAME_LENGTH} characters.");
        return Err(Failure::Malformed(message));
    }
    if name
        .chars()
        .any(|letter| letter.is_control() || matches!(letter, '/' | '\\' | '~'))
    {
        let message = "A session's name has no control characters, slashes or tildes.";
        return Err(Failure::Malformed(message.to_owned()));
    }
    Ok(())
}

fn session_ref(body: &Map<String, Value>, member: &str, unnamed: bool) -> Result<SessionRef, Failure> {
    let Some(found) = body.get(member).and_then(Value::as_object) else {
        return Err(Failure::Malformed(format!("`{member}` is missing or no object.")));
    };
    let part = |name: &str| match found.get(name) {
        Some(Value::String(text)) if !text.is_empty() => Ok(text.clone()),
        _ => Err(Failure::Malformed(format!(
            "`{member}.{name}` is missing or no string."
        ))),
    };
    let name = if unnamed && found.get("name").is_none_or(Value::is_null) {
        Uuid::new_v4().to_string()
    } else {
        part("name")?
    };
    check_session_name(&name)?;
    Ok(SessionRef {
        scid: part("scid")?,
        template_name: part("templateName")?,
        name,
    })
}

/// A xuid: a decimal string, or a number where the reading in force takes that.
pub(super) fn read_xuid(value: &Value, rules: &Rules) -> Option<u64> {
    match value {
        Value::String(text) => decimal(text),
        Value::Number(number) if rules.xuid_number == XuidNumber::Accepted => number.as_u64(),
        _ => None,
    }
}

fn xuid(body: &Map<String, Value>, member: &str, rules: &Rules) -> Result<u64, Failure> {
    let found = body.get(member).and_then(|value| read_xuid(value, rules));
    found.ok_or_else(|| Failure::Malformed(format!("`{member}` is missing or no decimal string.")))
}

fn search_attributes(given: Option<&Value>, rules: &Rules) -> Result<SearchAttributes, Failure> {
    // SRCH-HDL-013
    if given.is_none() && !rules.attributes_are_optional.kept() {
        return Err(Failure::Malformed("`searchAttributes` is missing.".to_owned()));
    }
    SearchAttributes::parse_under(given.unwrap_or(&Value::Null), rules).or_else(|error| {
        let rule = if error.pointer.starts_with("/searchAttributes/tags") {
            rules.tags_are_checked
        } else {
            rules.attribute_names_are_checked
        };
        if rule.kept() {
            Err(Failure::Malformed(format!("{error}.")))
        } else {
            Ok(SearchAttributes::default())
        }
    })
}

fn invite_attributes(given: Option<&Value>, caller: &Principal, rules: &Rules) -> Result<Map<String, Value>, Failure> {
    let malformed = |what: &str| Failure::Malformed(format!("`inviteAttributes{what}."));
    let empty = Map::new();
    let given = match given {
        None => &empty,
        Some(given) => given.as_object().ok_or_else(|| malformed("` is not an object"))?,
    };
    // HDL-INV-008
    let title = match given.get("titleId") {
        None => u64::from(caller.title_id),
        Some(Value::String(text)) => decimal(text).ok_or_else(|| malformed(".titleId` is not a decimal number"))?,
        Some(number) => number
            .as_u64()
            .ok_or_else(|| malformed(".titleId` is not a decimal number"))?,
    };
    let mut attributes = Map::new();
    attributes.insert("titleId".to_owned(), json!(title.to_string()));
    for name in ["context", "contextString", "senderString"] {
        match given.get(name) {
            None | Some(Value::Null) => {}
            Some(Value::String(text)) => {
                attributes.insert(name.to_owned(), json!(text));
            }
            Some(_) => return Err(malformed(&format!(".{name}` is not a string"))),
        }
    }
    let context = attributes.get("context").and_then(Value::as_str).unwrap_or_default();
    if encoded_length(context) > CONTEXT_LENGTH && rules.context_is_bounded.kept() {
        return Err(malformed(&format!(
            ".context` is longer than {CONTEXT_LENGTH} characters once URI-encoded"
        )));
    }
    // HDL-INV-007
    if attributes.contains_key("senderString") && !caller.is_server() {
        return Err(malformed(".senderString` is only for services"));
    }
    Ok(attributes)
}

/// All texts in lower case.
fn lowered(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(text.to_lowercase()),
        Value::Array(items) => items.into_iter().map(lowered).collect(),
        Value::Object(members) => members
            .into_iter()
            .map(|(name, value)| (name, lowered(value)))
            .collect(),
        plain => plain,
    }
}

fn encoded_length(text: &str) -> usize {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    text.bytes().map(|byte| if is_plain(byte) { 1 } else { 3 }).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::principal::{PrincipalKind, User};
    use crate::rules::Rules;
    use crate::session::{ContractVersion, Grant};
    use crate::social::Social;

    fn alice() -> Principal {
        Principal {
            name: "alice".to_owned(),
            title_id: 5,
            kind: PrincipalKind::User(User {
                xuid: 7,
                gamertag: None,
                device_id: None,
                may_play_multiplayer: true,
                has_title_identity: true,
            }),
        }
    }

    fn read(body: &Value) -> Result<Handle, Failure> {
        let access = Access {
            caller: &alice(),
            acting: &[],
            denies_manage: false,
            version: ContractVersion::V107,
            now: Timestamp::UNIX_EPOCH,
            grant: Grant::None,
            rules: &Rules::default(),
            social: &Social::default(),
            connections: &(),
        };
        Handle::from_request(body, &access)
    }

    #[test]
    fn an_activity_without_a_session_name_gets_one() {
        let body = json!({"version": 1, "type": "activity", "sessionRef": {"scid": "s", "templateName": "t"}});
        let document = read(&body).unwrap().to_json(&Rules::default());
        assert!(Uuid::try_parse(document["sessionRef"]["name"].as_str().unwrap()).is_ok());
        assert_eq!(document["ownerXuid"], "7");
        assert_eq!(document["titleId"], "5");
    }

    #[test]
    fn an_invite_says_who_and_until_when() {
        let session = json!({"scid": "s", "templateName": "t", "name": "n"});
        let mut body = json!({"version": 1, "type": "invite", "sessionRef": session, "invitedXuid": "8",
            "inviteAttributes": {"titleId": 5, "context": "x"}});
        let document = read(&body).unwrap().to_json(&Rules::default());
        assert_eq!(document["inviteAttributes"]["titleId"], "5");
        assert_eq!(document["expiration"], "1970-01-02T00:00:00.0000000Z");
        body["inviteAttributes"]["context"] = json!("é".repeat(43));
        assert!(
            matches!(read(&body), Err(Failure::Malformed(_))),
            "258 characters once encoded"
        );
        body["invitedXuid"] = Value::Null;
        assert!(matches!(read(&body), Err(Failure::Malformed(_))));
    }

    #[test]
    fn a_handle_is_the_same_once_it_was_stored() {
        let session = json!({"scid": "s", "templateName": "t", "name": "n"});
        for body in [
            json!({"version": 1, "type": "activity", "sessionRef": session}),
            json!({"version": 1, "type": "invite", "sessionRef": session, "invitedXuid": "8",
                "inviteAttributes": {"context": "x"}}),
            json!({"version": 1, "type": "transfer", "sessionRef": session, "originSessionRef": session}),
            json!({"version": 1, "type": "search", "sessionRef": session,
                "searchAttributes": {"tags": ["a"], "numbers": {"b": 1.5}, "strings": {"c": "D"}}}),
        ] {
            let handle = read(&body).unwrap();
            let again = Handle::from_stored(&handle.to_stored(), &Rules::default()).unwrap();
            assert_eq!(format!("{again:?}"), format!("{handle:?}"));
        }
        assert!(Handle::from_stored(&json!({"id": 1}), &Rules::default()).is_none());
    }

    #[test]
    fn a_transfer_answers_with_the_request_and_the_id() {
        let session = json!({"scid": "s", "templateName": "t", "name": "n"});
        let body = json!({"version": 1, "type": "transfer", "sessionRef": session, "originSessionRef": session});
        let mut document = read(&body).unwrap().to_json(&Rules::default());
        assert!(document.shift_remove("id").is_some());
        assert_eq!(Value::Object(document), body);
    }
}
