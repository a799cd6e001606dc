//! Handles: creating, reading and deleting them, and the session behind them.

use std::sync::Arc;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::super::failure::Failure;
use super::super::handle::{Handle, HandleKind};
use super::super::session::{Capability, Grant, Session, Status, Visibility};
use super::super::session_ref::SessionRef;
use super::{Body, Call, answer};

/// What a caller asked to see besides the handle itself.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Include {
    related_info: bool,
    custom_properties: bool,
    role_info: bool,
}

impl Include {
    /// Reads `include`, a list; what is not known is ignored (HDL-QRY-010).
    pub(super) fn parse(list: &str) -> Self {
        let mut include = Self::default();
        for name in list.split(',').map(str::trim) {
            match name.to_ascii_lowercase().as_str() {
                "relatedinfo" => include.related_info = true,
                "customproperties" => include.custom_properties = true,
                "roleinfo" => include.role_info = true,
                _ => {}
            }
        }
        include
    }
}

impl Call<'_> {
    pub(super) fn post_handle(&self, body: &Value) -> Result<Response, Failure> {
        let handle = Arc::new(Handle::from_request(body, &self.access(Grant::None))?);
        let template = self
            .edge
            .provisions
            .template(&handle.at.scid, &handle.at.template_name, self.caller)?;
        match &handle.kind {
            HandleKind::Activity { .. } => self.set_activity(&handle)?,
            HandleKind::Invite { .. } => self.invite(&handle)?,
            HandleKind::Transfer { origin } => {
                self.edge
                    .provisions
                    .template(&origin.scid, &origin.template_name, self.caller)?;
                self.transfer(&handle)?;
            }
            HandleKind::Search(_) => self.offer(&handle, template)?,
        }
        Ok(answer::created_handle(&Value::Object(handle.to_json()), handle.id))
    }

    pub(super) fn get_handle(&self, id: Uuid) -> Result<Response, Failure> {
        let handle = self.handle(id)?;
        let include = Include::parse(&self.parameter("include").unwrap_or_default());
        // Who knows the id may see the handle; of a session that it may not see, it learns nothing more.
        let document = self.described(&handle, include).unwrap_or_else(|| handle.to_json());
        Ok(answer::document(StatusCode::OK, &Value::Object(document)))
    }

    pub(super) fn delete_handle(&self, id: Uuid) -> Result<Response, Failure> {
        let handle = self.handle(id)?;
        match &handle.kind {
            HandleKind::Search(_) => self.withdraw(&handle)?,
            HandleKind::Activity { .. } | HandleKind::Invite { .. } | HandleKind::Transfer { .. } => {
                self.check_own(&handle)?;
                self.unbind(&handle);
            }
        }
        self.edge.store.handles().remove(id);
        Ok(answer::empty(StatusCode::NO_CONTENT))
    }

    pub(super) fn check_own(&self, handle: &Handle) -> Result<(), Failure> {
        if handle.is_deletable_by(self.caller) {
            return Ok(());
        }
        let message = "The handle is not the caller's to delete.";
        Err(Failure::Forbidden(message.to_owned()))
    }

    pub(super) fn get_session_by_handle(&self, id: Uuid) -> Result<Response, Failure> {
        let handle = self.handle(id)?;
        let answer = self.get_session(&handle.at, self.grant(&handle));
        Ok(self.named(&handle.at, answer))
    }

    pub(super) fn put_session_by_handle(&self, id: Uuid, body: Body) -> Result<Response, Failure> {
        let handle = self.handle(id)?;
        let answer = self.put_session(&handle.at, self.grant(&handle), body);
        Ok(self.named(&handle.at, answer))
    }

    /// An answer that tells which session it shows (LIVE-011, HDL-DRF-002).
    fn named(&self, at: &SessionRef, answer: Result<Response, Failure>) -> Response {
        let rules = &self.edge.provisions.rules;
        let mut answer = answer.unwrap_or_else(|failure| answer::ApiError(failure, rules).into_response());
        if answer.status().is_success() || answer.headers().contains_key(header::ETAG) {
            answer::name_session(&mut answer, at);
        }
        answer
    }

    fn handle(&self, id: Uuid) -> Result<Arc<Handle>, Failure> {
        let handles = self.edge.store.handles();
        let missing = || Failure::NotFound("The requested handle wasn't found.".to_owned());
        let handle = handles.get(id, self.now).ok_or_else(missing)?;
        // The session's timers may end the handle (HDL-DRF-011).
        self.edge.store.read(&handle.at.key(), self.moment(), |_| ());
        let handle = handles.get(handle.id, self.now).ok_or_else(missing)?;
        self.edge.provisions.service_config(&handle.at.scid, self.caller)?;
        Ok(handle)
    }

    /// What a handle brings the caller.
    fn grant(&self, handle: &Handle) -> Grant {
        match &handle.kind {
            HandleKind::Activity { .. } => Grant::Activity,
            // HDL-INV-013
            HandleKind::Invite { invited, .. } if self.speaker() == Some(*invited) => Grant::Invite,
            // HDL-TRF-003, CONTRA-30: judged each time.
            HandleKind::Transfer { origin } if self.is_in(origin) => Grant::Transfer,
            HandleKind::Search(_) => Grant::Search,
            HandleKind::Invite { .. } | HandleKind::Transfer { .. } => Grant::None,
        }
    }

    /// Whether the caller is a member of a session, not only expected there.
    fn is_in(&self, at: &SessionRef) -> bool {
        let caller = self.speaker();
        let found = self.edge.store.read(&at.key(), self.moment(), |live| {
            let mut members = live.session().members();
            members.any(|member| Some(member.xuid) == caller && member.status != Status::Reserved)
        });
        found.unwrap_or(false)
    }

    /// HDL-ACT-001. Without the session there is nothing to bind to; the handle exists all the same (HDL-GEN-003).
    fn set_activity(&self, handle: &Arc<Handle>) -> Result<(), Failure> {
        let key = handle.at.key();
        let replaced = self.edge.store.write(&key, self.moment(), |visit| {
            if let Some(live) = visit.live() {
                let (session, _) = live.session().bind_activity(handle.id, &self.access(Grant::None))?;
                visit.commit(session);
            }
            Ok::<_, Failure>(visit.put_handle(Arc::clone(handle), self.edge.clock.now()))
        })?;
        // HDL-ACT-003, HDL-ACT-006: in another session the one before loses its place.
        if let Some(before) = replaced {
            self.unbind(&before);
        }
        Ok(())
    }

    /// Frees the member that an activity is bound to.
    fn unbind(&self, handle: &Handle) {
        if !matches!(handle.kind, HandleKind::Activity { .. }) {
            return;
        }
        self.edge.store.write(&handle.at.key(), self.moment(), |visit| {
            let Some(live) = visit.live() else { return };
            if live.session().bound_activities().any(|(_, bound)| bound == handle.id) {
                let session = live.session().unbind_activity(handle.id);
                visit.commit(session);
            }
        });
    }

    fn invite(&self, handle: &Arc<Handle>) -> Result<(), Failure> {
        self.edge.store.write(&handle.at.key(), self.moment(), |visit| {
            if let Some(live) = visit.live() {
                self.check_inviter(live.session())?;
            }
            visit.put_handle(Arc::clone(handle), self.edge.clock.now());
            Ok(())
        })
    }

    /// Members invite; where there are owners, only they do, unless the session lets others (HDL-INV-014).
    fn check_inviter(&self, session: &Session) -> Result<(), Failure> {
        if self.manages() {
            return Ok(());
        }
        let caller = self.speaker();
        let mut members = session.members();
        if !members.any(|member| Some(member.xuid) == caller && member.status != Status::Reserved) {
            return Err(Failure::Forbidden(
                "Only members of the session can invite to it.".to_owned(),
            ));
        }
        if caller.is_some_and(|caller| session.may_invite(caller)) {
            return Ok(());
        }
        Err(Failure::Forbidden(
            "Only owners of the session can invite to it.".to_owned(),
        ))
    }

    /// HDL-TRF-001; the target counts it as a change (LIVE-003).
    fn transfer(&self, handle: &Arc<Handle>) -> Result<(), Failure> {
        self.edge.store.write(&handle.at.key(), self.moment(), |visit| {
            if let Some(live) = visit.live() {
                let caller = self.speaker();
                let is_member = live.session().members().any(|member| Some(member.xuid) == caller);
                // HDL-TRF-007
                if !is_member && !self.manages() {
                    let message = "Only members of the target session can make a transfer handle to it.";
                    return Err(Failure::Forbidden(message.to_owned()));
                }
                let session = live.session().touched();
                visit.commit(session);
            }
            visit.put_handle(Arc::clone(handle), self.edge.clock.now());
            Ok(())
        })
    }

    /// The document of a handle with what is included; `None` if the caller may not know of the session (HDL-QRY-019).
    pub(super) fn described(&self, handle: &Handle, include: Include) -> Option<Map<String, Value>> {
        let mut document = handle.to_json();
        let access = self.access(self.grant(handle));
        let found = self.edge.store.read(&handle.at.key(), self.moment(), |live| {
            let session = live.session();
            let readable = session.may_read(&access).is_ok();
            if session.visibility() == Visibility::Private && !readable {
                return false;
            }
            if let Some(protocol) = session.invite_protocol() {
                document.insert("inviteProtocol".to_owned(), json!(protocol));
            }
            if include.related_info {
                document.insert("relatedInfo".to_owned(), related_info(session));
            }
            if include.custom_properties {
                let custom = if readable {
                    session.custom_properties().clone()
                } else {
                    json!({})
                };
                document.insert("customProperties".to_owned(), custom);
            }
            if include.role_info && readable {
                document.insert("roleInfo".to_owned(), json!({ "roleTypes": session.roles_json() }));
            }
            true
        });
        // HDL-QRY-011: clients read the object without asking whether there is a session.
        if found.is_none() && include.custom_properties {
            document.insert("customProperties".to_owned(), json!({}));
        }
        found.unwrap_or(true).then_some(document)
    }
}

/// The visibility that queries tell: an open session without room is full (HDL-QRY-013, QRY-031).
pub(super) fn effective_visibility(session: &Session) -> &'static str {
    match session.visibility() {
        Visibility::Open if session.is_full() => "full",
        visibility => visibility.name(),
    }
}

/// HDL-QRY-009
fn related_info(session: &Session) -> Value {
    let mut info = Map::new();
    let mut put = |name: &str, value: Value| info.insert(name.to_owned(), value);
    put("visibility", json!(effective_visibility(session)));
    put("joinRestriction", json!(session.join_restriction().name()));
    put("closed", json!(session.closed()));
    put("maxMembersCount", json!(session.max_members()));
    put("membersCount", json!(session.count()));
    if let Some(protocol) = session.invite_protocol() {
        put("inviteProtocol", json!(protocol));
    }
    // SRCH-QRY-009
    if session.has_capability(Capability::HasOwners) {
        let owners: Vec<_> = session
            .members()
            .filter(|member| member.is_owner)
            .map(|owner| owner.xuid.to_string())
            .collect();
        put("sessionOwners", json!(owners));
    }
    Value::Object(info)
}
