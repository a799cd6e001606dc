//! Activities: the handle that is bound to a member (LIVE-002).

use std::sync::Arc;

use uuid::Uuid;

use super::access::Access;
use super::model::{Member, Session, Status};
use super::refusal::{Refusal, RefusalKind};

impl Session {
    /// Binds an activity handle to the caller's member, who must be active; returns the handle it replaces (LIVE-002).
    pub(crate) fn bind_activity(&self, handle: Uuid, access: &Access<'_>) -> Result<(Self, Option<Uuid>), Refusal> {
        let refuse = |why: &str| Refusal::new(RefusalKind::Forbidden, why);
        let Some(user) = access.activity_owner() else {
            return Err(refuse("only a user has an activity"));
        };
        self.may_read(access)?;
        let Some(position) = self.members.position_of_xuid(user.xuid) else {
            return Err(refuse("the user is not a member of the session"));
        };
        let member = &self.members[position];
        if member.status != Status::Active {
            return Err(refuse("the user is not active in the session"));
        }
        let replaced = member.activity;
        let mut after = if access.rules.activity_is_a_change.kept() {
            self.touched(access.rules)
        } else {
            self.clone()
        };
        let member = Member {
            activity: Some(handle),
            ..member.clone()
        };
        Arc::make_mut(&mut after.members).replace(position, member);
        Ok((after, replaced))
    }

    /// The session without that activity; the document and the `ETag` stay as they are.
    #[must_use]
    pub(crate) fn unbind_activity(&self, handle: Uuid) -> Self {
        let mut after = self.clone();
        let bound = self
            .members
            .iter()
            .enumerate()
            .find(|(_, member)| member.activity == Some(handle));
        if let Some((position, member)) = bound {
            Arc::make_mut(&mut after.members).replace(
                position,
                Member {
                    activity: None,
                    ..member.clone()
                },
            );
        }
        after
    }
}
