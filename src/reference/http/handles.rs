//! Handles: creating, reading and deleting them, and the session behind them.

use std::sync::Arc;

use http::{HeaderMap, StatusCode, header};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::super::config::decimal;
use super::super::failure::Failure;
use super::super::handle::{Handle, HandleKind};
use super::super::rules::{
    ActivityAnswer, HandleCreates, InactiveActivity, ReadHandle, Rules, Settled, TransferRights,
};
use super::super::session::{Capability, Grant, Session, Status, Visibility, time_text};
use super::super::session_ref::SessionRef;
use super::answer::{self, Response};
use super::body::Body;
use super::call::Call;

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
        let is_activity = matches!(handle.kind, HandleKind::Activity { .. });
        let is_empty = is_activity && self.rules().activity_answer == ActivityAnswer::Empty;
        let document = match &handle.kind {
            // HDL-GEN-018: with the session's inviteProtocol.
            HandleKind::Activity { .. } | HandleKind::Invite { .. } => self.described(&handle, Include::default()),
            HandleKind::Transfer { .. } | HandleKind::Search(_) => None,
        };
        let document = Value::Object(document.unwrap_or_else(|| handle.to_json(self.rules())));
        self.deliver(&handle, &document);
        let document = Some(&document).filter(|_| !is_empty);
        Ok(answer::created_handle(document, handle.id, self.rules()))
    }

    /// Sends an invite to the invited user's sockets (RTA-050).
    fn deliver(&self, handle: &Handle, document: &Value) {
        let HandleKind::Invite { invited, .. } = handle.kind else {
            return;
        };
        let attributes = &document["inviteAttributes"];
        let title = attributes["titleId"].as_str().and_then(decimal);
        let Some(title) = title.and_then(|title| u32::try_from(title).ok()) else {
            return;
        };
        let sender = self.access(Grant::None).user().and_then(|user| user.gamertag.clone());
        let sender = sender.map_or_else(|| attributes["senderString"].clone(), Value::String);
        let sender = sender.as_str().unwrap_or_default();
        let mut shown = document.clone();
        // Clients take no invite without these.
        if shown["inviteProtocol"].is_null() {
            shown["inviteProtocol"] = json!("game");
        }
        shown["inviteInfo"] = json!({
            "sender": sender,
            "senderModernGamertag": sender,
            "senderModernGamertagSuffix": "",
            "senderUniqueModernGamertag": sender,
            "senderImageUrl": "",
        });
        let data = json!({ "inviteHandle": shown });
        self.edge.real_time.invite(invited, title, data);
    }

    pub(super) fn get_handle(&self, id: Uuid) -> Result<Response, Failure> {
        if self.rules().read_handle == ReadHandle::Session {
            return self.get_session_by_handle(id);
        }
        let handle = self.handle(id)?;
        let include = Include::parse(&self.parameter("include").unwrap_or_default());
        // Who knows the id may see the handle; of a session that it may not see, it learns nothing more.
        let document = self
            .described(&handle, include)
            .unwrap_or_else(|| handle.to_json(self.rules()));
        Ok(answer::document(StatusCode::OK, &Value::Object(document)))
    }

    pub(super) fn delete_handle(&self, id: Uuid) -> Result<Response, Failure> {
        let handle = self.handle(id)?;
        if handle.is_deletable_by(&self.access(Grant::None)) && !self.rules().deleted_handles_are_gone.kept() {
            return Ok(answer::empty(StatusCode::NO_CONTENT));
        }
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
        let may_delete = handle.is_deletable_by(&self.access(Grant::None));
        let is_activity = matches!(handle.kind, HandleKind::Activity { .. });
        if may_delete || is_activity && !self.rules().activities_are_own.kept() {
            return Ok(());
        }
        let message = "The handle is not the caller's to delete.";
        Err(Failure::Forbidden(message.to_owned()))
    }

    pub(super) fn get_session_by_handle(&self, id: Uuid) -> Result<Response, Failure> {
        let handle = self.handle(id)?;
        let mut answer = self.get_session(&handle.at, self.grant(&handle));
        if !self.rules().missing_by_handle_is_empty.kept() {
            answer = answer.map(|answer| match answer.status() {
                StatusCode::NO_CONTENT => answer::document(StatusCode::OK, &json!({})),
                _ => answer,
            });
        }
        Ok(self.named(&handle.at, answer))
    }

    pub(super) fn put_session_by_handle(&self, id: Uuid, body: Body) -> Result<Response, Failure> {
        let handle = self.handle(id)?;
        let is_created = self.rules().handle_creates == HandleCreates::Created;
        if !is_created && self.edge.store.read(&handle.at.key(), self.moment(), |_| ()).is_none() {
            return Err(Failure::NotFound("There is no session behind the handle.".to_owned()));
        }
        let unconditional = HeaderMap::new();
        let call = Call {
            headers: if self.rules().handles_honour_conditions.kept() {
                self.headers
            } else {
                &unconditional
            },
            ..*self
        };
        let mut answer = self.named(&handle.at, call.put_session(&handle.at, self.grant(&handle), body));
        if answer.status().is_success() && !self.rules().write_by_handle_is_answered.kept() {
            answer = answer::empty(answer.status());
        }
        Ok(answer)
    }

    /// An answer that tells which session it shows (LIVE-011, HDL-DRF-002).
    fn named(&self, at: &SessionRef, answer: Result<Response, Failure>) -> Response {
        let rules = self.rules();
        let mut answer = answer.unwrap_or_else(|failure| failure.response(rules));
        let shows = answer.status().is_success() || answer.headers().contains_key(header::ETAG);
        if shows && rules.handle_names_session.kept() {
            answer::name_session(&mut answer, at, rules);
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
            HandleKind::Invite { invited, .. }
                if self.speaker() == Some(*invited) || !self.rules().invites_are_personal.kept() =>
            {
                Grant::Invite
            }
            // HDL-TRF-003, CONTRA-30: judged each time.
            HandleKind::Transfer { origin }
                if self.is_in(origin) || self.rules().transfer_rights == TransferRights::Creator =>
            {
                Grant::Transfer
            }
            HandleKind::Search(_) if self.rules().search_handles_admit.kept() => Grant::Search,
            HandleKind::Invite { .. } | HandleKind::Transfer { .. } | HandleKind::Search(_) => Grant::None,
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
        let is_lenient = self.rules().inactive_activity == InactiveActivity::Created;
        let former = match handle.kind {
            HandleKind::Activity { owner } => self.edge.store.handles().activity(owner, &handle.at.scid),
            _ => None,
        };
        let replaced = self.edge.store.write(&key, self.moment(), |visit| {
            if let Some(live) = visit.live() {
                let access = self.access(Grant::None);
                match live.session().bind_activity(handle.id, &access) {
                    Ok((session, _)) => {
                        visit.commit(session);
                    }
                    Err(_) if access.activity_owner().is_some() && is_lenient => {}
                    Err(refusal) => return Err(refusal.into()),
                }
            } else {
                self.check_sessionless()?;
            }
            Ok::<_, Failure>(visit.put_handle(Arc::clone(handle), self.edge.clock.now()))
        })?;
        // HDL-ACT-003, HDL-ACT-006: in another session the one before loses its place.
        if let Some(before) = replaced {
            self.unbind(&before);
        }
        if let Some(former) = former.filter(|_| !self.rules().activity_replaces.kept()) {
            self.edge.store.handles().keep(former);
        }
        Ok(())
    }

    /// HDL-GEN-003
    pub(super) fn check_sessionless(&self) -> Result<(), Failure> {
        if self.rules().handles_need_no_session.kept() {
            return Ok(());
        }
        Err(Failure::NotFound("There is no session for the handle.".to_owned()))
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
            match visit.live() {
                Some(live) => self.check_inviter(live.session())?,
                None => self.check_sessionless()?,
            }
            visit.put_handle(Arc::clone(handle), self.edge.clock.now());
            Ok(())
        })
    }

    /// Members invite; where there are owners, only they do, unless the session lets others (HDL-INV-014).
    fn check_inviter(&self, session: &Session) -> Result<(), Failure> {
        let refuses_full = session.is_full() && !self.rules().full_sessions_invite.kept();
        if refuses_full || session.closed() && !self.rules().closed_sessions_invite.kept() {
            return Err(Failure::Forbidden("Nobody can join the session.".to_owned()));
        }
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
        if caller.is_some_and(|caller| session.may_invite(caller)) || !self.rules().owners_invite.kept() {
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
                let session = live.session().touched(self.rules());
                visit.commit(session);
            } else {
                self.check_sessionless()?;
            }
            visit.put_handle(Arc::clone(handle), self.edge.clock.now());
            Ok(())
        })
    }

    /// The document of a handle with what is included; `None` if the caller may not know of the session (HDL-QRY-019).
    pub(super) fn described(&self, handle: &Handle, include: Include) -> Option<Map<String, Value>> {
        let rules = self.rules();
        let mut document = handle.to_json(rules);
        let access = self.access(self.grant(handle));
        let found = self.edge.store.read(&handle.at.key(), self.moment(), |live| {
            let session = live.session();
            let readable = session.may_read(&access).is_ok();
            let is_hidden = session.visibility() == Visibility::Private && !readable;
            if is_hidden && rules.private_activities_are_hidden.kept() {
                return false;
            }
            if let Some(protocol) = session.invite_protocol() {
                document.insert("inviteProtocol".to_owned(), json!(protocol));
            }
            // HDL-GEN-018
            if matches!(handle.kind, HandleKind::Activity { .. } | HandleKind::Invite { .. })
                && let Some(types) = self.edge.provisions.game_types(&handle.at.scid)
            {
                document.insert("gameTypes".to_owned(), types.clone());
            }
            if include.related_info || !rules.handles_are_plain.kept() {
                document.insert("relatedInfo".to_owned(), related_info(handle, session, rules));
            }
            if include.custom_properties && rules.custom_properties_are_included.kept() {
                let custom = if readable {
                    session.custom_properties().clone()
                } else {
                    json!({})
                };
                document.insert("customProperties".to_owned(), custom);
            }
            if include.role_info && readable && rules.role_info_is_included.kept() {
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

/// The visibility that queries tell: an open session without room is full, by the rule HDL-QRY-013, QRY-018 or QRY-031.
pub(super) fn effective_visibility(session: &Session, full_is_told: Settled) -> &'static str {
    match session.visibility() {
        Visibility::Open if session.is_full() && full_is_told.kept() => "full",
        visibility => visibility.name(),
    }
}

/// HDL-QRY-009
fn related_info(handle: &Handle, session: &Session, rules: &Rules) -> Value {
    let mut info = Map::new();
    let mut put = |name: &str, value: Value| info.insert(name.to_owned(), value);
    put(
        "visibility",
        json!(effective_visibility(session, rules.full_is_computed)),
    );
    put("joinRestriction", json!(session.join_restriction().name()));
    if rules.related_info_tells_closed.kept() {
        put("closed", json!(session.closed()));
    }
    put("maxMembersCount", json!(session.max_members()));
    let count = if rules.members_count_counts.kept() {
        session.count()
    } else {
        session.max_members()
    };
    put("membersCount", json!(count));
    if let Some(protocol) = session.invite_protocol() {
        put("inviteProtocol", json!(protocol));
    }
    // SRCH-QRY-009
    if session.has_capability(Capability::HasOwners) && rules.session_owners_are_told.kept() {
        let owners: Vec<_> = session
            .members()
            .filter(|member| member.is_owner)
            .map(|owner| owner.xuid.to_string())
            .collect();
        put("sessionOwners", json!(owners));
    }
    // SRCH-QRY-013, SRCH-QRY-016
    if let Some(description) = session.description().filter(|_| rules.search_tells_description.kept()) {
        put("description", description.clone());
    }
    if let Some(visibility) = session.search_handle_visibility() {
        put("searchHandleVisibility", json!(visibility));
    }
    if let Some(time) = session.scheduled_time() {
        put("scheduledTime", json!(time_text(time)));
    }
    if matches!(handle.kind, HandleKind::Search(_)) {
        put("postedTime", json!(time_text(handle.created)));
        if !session.keywords().is_empty() {
            put("keywords", json!(session.keywords()));
        }
    }
    Value::Object(info)
}
