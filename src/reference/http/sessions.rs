//! Reading and writing sessions and their elements.

use http::StatusCode;

use super::super::document::Document;
use super::super::failure::Failure;
use super::super::rules::{ElementAnswer, ElementRemoval, KnownSession, MissingSession, RequiredSession};
use super::super::session::{Access, Grant, Outcome, Refusal, RefusalKind, Session};
use super::super::session_ref::SessionRef;
use super::super::store::{Live, Visit};
use super::answer::{self, Response};
use super::body::Body;
use super::call::Call;
use super::conditions::{Conditions, Verdict};

impl Call<'_> {
    pub(super) fn get_session(&self, at: &SessionRef, grant: Grant) -> Result<Response, Failure> {
        self.edge
            .provisions
            .template(&at.scid, &at.template_name, self.caller)?;
        let conditions = Conditions::of(self.headers);
        let access = self.access(grant);
        let found = self.edge.store.read(&at.key(), self.moment(), |live| {
            live.session().may_read(&access)?;
            match conditions.judge(Some(live.etag())) {
                Verdict::Hold => Ok(answer::session(StatusCode::OK, live.document(&access))),
                Verdict::Known => Ok(answer::not_modified(live.etag())),
                // COND-013
                Verdict::Stale => Err(Failure::Precondition(None)),
            }
        });
        if let Some(answer) = found {
            return answer;
        }
        if conditions.judge(None) == Verdict::Stale {
            return Err(Failure::Precondition(None));
        }
        match self.edge.provisions.rules.missing_session {
            MissingSession::NoContent => Ok(answer::empty(StatusCode::NO_CONTENT)),
            MissingSession::NotFound => Err(no_session()),
        }
    }

    pub(super) fn put_session(&self, at: &SessionRef, grant: Grant, body: Body) -> Result<Response, Failure> {
        let template = self
            .edge
            .provisions
            .template(&at.scid, &at.template_name, self.caller)?;
        let dry = self.flag("nocommit")?;
        let access = self.access(grant);
        self.edge.store.write(&at.key(), self.moment(), |visit| {
            self.check_writable(visit, &access)?;
            let body = body?;
            let outcome = match visit.live() {
                Some(live) => live
                    .session()
                    .write(template, &body, &access)
                    .map_err(|error| refused(error, live, &access))?,
                None => Session::create(at, template, visit.former(), &body, &access)?,
            };
            Ok(match settle(visit, outcome, &access, dry) {
                Some((status, document)) => answer::session(status, document),
                None => answer::empty(StatusCode::NO_CONTENT),
            })
        })
    }

    pub(super) fn put_properties(&self, at: &SessionRef, body: Body) -> Result<Response, Failure> {
        let template = self
            .edge
            .provisions
            .template(&at.scid, &at.template_name, self.caller)?;
        let dry = self.flag("nocommit")?;
        let access = self.access(Grant::None);
        self.edge.store.write(&at.key(), self.moment(), |visit| {
            // STAT-006, COND-017: before any precondition.
            visit.live().ok_or_else(no_session)?;
            self.check_writable(visit, &access)?;
            let body = body?;
            let live = visit.live().ok_or_else(no_session)?;
            let written = live.session().write_properties(template, &body, &access);
            let outcome = written.map_err(|error| refused(error, live, &access))?;
            let element = match (&outcome, self.edge.provisions.rules.element_answer) {
                (Outcome::Created(session) | Outcome::Changed(session), ElementAnswer::Element) => {
                    session.element(&["properties"], &access)
                }
                (Outcome::Unchanged, ElementAnswer::Element) => live.session().element(&["properties"], &access),
                (_, ElementAnswer::Session) | (Outcome::Gone, _) => None,
            };
            Ok(match (settle(visit, outcome, &access, dry), element) {
                (None, _) => answer::empty(StatusCode::NO_CONTENT),
                (Some((_, document)), Some(element)) => answer::element(&element, document.etag.as_deref()),
                (Some((status, document)), None) => answer::session(status, document),
            })
        })
    }

    pub(super) fn get_element(&self, at: &SessionRef, path: &[&str]) -> Result<Response, Failure> {
        self.edge
            .provisions
            .template(&at.scid, &at.template_name, self.caller)?;
        let conditions = Conditions::of(self.headers);
        let access = self.access(Grant::None);
        let found = self.edge.store.read(&at.key(), self.moment(), |live| {
            live.session().may_read(&access)?;
            match conditions.judge(Some(live.etag())) {
                Verdict::Hold => Ok(match live.session().element(path, &access) {
                    Some(element) => answer::element(&element, Some(live.etag())),
                    // STAT-005
                    None => answer::empty(StatusCode::NO_CONTENT),
                }),
                Verdict::Known => Ok(answer::not_modified(live.etag())),
                Verdict::Stale => Err(Failure::Precondition(None)),
            }
        });
        // STAT-006
        found.unwrap_or_else(|| Err(no_session()))
    }

    pub(super) fn delete_element(
        &self,
        at: &SessionRef,
        remove: impl FnOnce(&Session, &Access<'_>) -> Result<Outcome, Refusal>,
    ) -> Result<Response, Failure> {
        self.edge
            .provisions
            .template(&at.scid, &at.template_name, self.caller)?;
        let access = self.access(Grant::None);
        self.edge.store.write(&at.key(), self.moment(), |visit| {
            // STAT-006, COND-017: before any precondition.
            visit.live().ok_or_else(no_session)?;
            self.check_writable(visit, &access)?;
            let live = visit.live().ok_or_else(no_session)?;
            let outcome = remove(live.session(), &access).map_err(|error| refused(error, live, &access))?;
            let settled = settle(visit, outcome, &access, false);
            Ok(match (settled, self.edge.provisions.rules.element_removal) {
                (Some((status, document)), ElementRemoval::Session) => answer::session(status, document),
                (None, _) | (_, ElementRemoval::NoContent) => answer::empty(StatusCode::NO_CONTENT),
            })
        })
    }

    /// Read access and preconditions of a write, in this order. They are judged after timers (COND-026).
    fn check_writable(&self, visit: &mut Visit<'_>, access: &Access<'_>) -> Result<(), Failure> {
        let live = visit.live();
        if let Some(live) = &live {
            live.session().may_read(access)?;
        }
        let conditions = Conditions::of(self.headers);
        match conditions.judge(live.as_ref().map(|live| live.etag())) {
            Verdict::Hold => Ok(()),
            // a client that takes every 412 for the current session would be left with none.
            Verdict::Stale
                if live.is_none()
                    && conditions.wants_any()
                    && self.rules().required_session == RequiredSession::NotFound =>
            {
                Err(no_session())
            }
            Verdict::Stale => Err(Failure::Precondition(live.map(|live| live.document(access)))),
            // COND-014, X-62
            Verdict::Known => {
                let shown = live.filter(|_| self.rules().known_session == KnownSession::Session);
                Err(Failure::Precondition(shown.map(|live| live.document(access))))
            }
        }
    }
}

/// Stores what a write led to, unless it is only tried. What the caller sees; `None`: the session is gone.
fn settle(visit: &mut Visit<'_>, outcome: Outcome, access: &Access<'_>, dry: bool) -> Option<(StatusCode, Document)> {
    let (status, session) = match outcome {
        Outcome::Created(session) => (StatusCode::CREATED, session),
        Outcome::Changed(session) => (StatusCode::OK, session),
        Outcome::Unchanged => return visit.live().map(|live| (StatusCode::OK, live.document(access))),
        Outcome::Gone => {
            if !dry {
                visit.end();
            }
            return None;
        }
    };
    if dry {
        // HDR-017: the tag stays that of the stored state, which is what a condition is judged by; a session that is
        // not there shows the one it would get, since session answers carry a tag (HDR-010).
        let etag = visit
            .live()
            .map_or_else(|| session.etag(), |live| live.etag().to_owned());
        return Some((status, Document::of(&session, Some(etag), access)));
    }
    Some((status, visit.commit(session).document(access)))
}

/// A refused write to a session that is there: who may read it is shown it (STAT-014).
fn refused(refusal: Refusal, live: &mut Live, access: &Access<'_>) -> Failure {
    let is_member = |xuid| live.session().member(xuid).is_some();
    match refusal.kind {
        RefusalKind::Unwritable => Failure::Unwritable(live.document(access)),
        // Which right a stranger lacks is not told (LIVE-026).
        RefusalKind::Forbidden if access.caller.xuid().is_some_and(|xuid| !is_member(xuid)) => Failure::inaccessible(),
        _ => refusal.into(),
    }
}

/// ERR-002
fn no_session() -> Failure {
    Failure::NotFound("The requested session wasn't found.".to_owned())
}
