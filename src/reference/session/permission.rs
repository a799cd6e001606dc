//! Who may read a session, join it and create it.

use super::access::{Access, Grant};
use super::model::{Capability, Member, Restriction, Session, Status, Visibility};
use super::refusal::{Refusal, RefusalKind};
use crate::principal::User;
use crate::rules::{FullJoin, InviteScope, ManagedPrivilege, ReadRestrictionScope, VisibleJoin};

/// Refuses a user of a platform without a strong title identity, unless the session is made for them (AUTH-019).
fn check_title_identity(session: &Session, user: &User) -> Result<(), Refusal> {
    if user.has_title_identity || session.constants.has(Capability::UserAuthorizationStyle) {
        return Ok(());
    }
    Err(Refusal::new(
        RefusalKind::Forbidden,
        "a title without a strong identity has access only to sessions with userAuthorizationStyle",
    ))
}

/// Refuses a user who may not play with others (AUTH-018, LIVE-026).
pub(super) fn check_privilege(user: &User, access: &Access<'_>) -> Result<(), Refusal> {
    let overridden = access.manages() && access.rules.managed_privilege == ManagedPrivilege::Overridden;
    if user.may_play_multiplayer || overridden || !access.rules.privilege_is_needed.kept() {
        Ok(())
    } else {
        Err(Refusal::new(
            RefusalKind::Forbidden,
            "the user does not have the multiplayer privilege",
        ))
    }
}

/// Refuses a caller who speaks for several users at once in a large session (AUTH-016, SES-PRIN-006).
pub(super) fn check_large(session: &Session, access: &Access<'_>) -> Result<(), Refusal> {
    let several = access.users().len() > 1;
    if several && session.constants.has(Capability::Large) && access.rules.large_takes_one_user.kept() {
        return Err(Refusal::new(
            RefusalKind::Conflict,
            "a call to a large session acts for one user only",
        ));
    }
    Ok(())
}

impl Session {
    /// Refuses the caller who may not see the session.
    pub(crate) fn may_read(&self, access: &Access<'_>) -> Result<(), Refusal> {
        check_large(self, access)?;
        if access.manages() {
            return Ok(());
        }
        let mut users = access.users().iter();
        users.try_for_each(|user| may_user_read(self, user, access))
    }

    /// Whether the user speaks for the session: an accepted member, and an owner where there are owners.
    pub(crate) fn is_in_charge(&self, xuid: u64) -> bool {
        self.member(xuid).is_some_and(|member| {
            member.status != Status::Reserved && (member.is_owner || !self.has_capability(Capability::HasOwners))
        })
    }

    /// Whether the user, a member, may invite others (HDL-INV-014).
    pub(crate) fn may_invite(&self, xuid: u64) -> bool {
        !self.constants.has(Capability::HasOwners)
            || self.constants.ownership.allow_non_owner_invite_handles
            || self.member(xuid).is_some_and(|member| member.is_owner)
    }
}

fn may_user_read(session: &Session, user: &User, access: &Access<'_>) -> Result<(), Refusal> {
    check_title_identity(session, user)?;
    let is_viewer = session
        .constants
        .broadcast_viewers
        .contains(&u64::from(access.caller.title_id));
    if session.members.by_xuid(user.xuid).is_some() || is_viewer {
        return Ok(());
    }
    let unreadable = |why: &str| Err(Refusal::new(RefusalKind::Unreadable, why));
    match session.constants.visibility {
        Visibility::Private if invite_lifts_visibility(access) || !access.rules.private_is_private.kept() => Ok(()),
        Visibility::Private => unreadable("the session is private, and the user is not a member of it"),
        Visibility::Visible if access.rules.read_restriction_scope == ReadRestrictionScope::Open => Ok(()),
        Visibility::Visible | Visibility::Open => {
            let restriction = session.properties.read_restriction(&session.constants);
            if lifts_restrictions(session, access) || meets(session, restriction, user, access) {
                Ok(())
            } else {
                unreadable("the readRestriction of the session keeps the user out")
            }
        }
    }
}

/// Refuses the user, who is no member and has no reservation, a place in the session.
pub(super) fn may_join(session: &Session, user: &User, access: &Access<'_>) -> Result<(), Refusal> {
    if access.manages() {
        check_privilege(user, access)?;
        return has_room(session, access);
    }
    may_user_read(session, user, access)?;
    check_privilege(user, access)?;
    let unwritable = |why: &str| Err(Refusal::new(RefusalKind::Unwritable, why));
    if is_blocked_by_owner(session, user, access) {
        return unwritable("an owner of the session has blocked the user");
    }
    match session.constants.visibility {
        Visibility::Open => {}
        _ if invite_lifts_visibility(access) => {}
        Visibility::Visible if !access.rules.visible_needs_reservation.kept() => {}
        Visibility::Visible if access.rules.visible_join == VisibleJoin::Malformed => {
            return Err(Refusal::new(
                RefusalKind::Malformed,
                "a visible session is joined by reserved users only",
            ));
        }
        Visibility::Visible | Visibility::Private => {
            return unwritable("only reserved users join a session that is not open");
        }
    }
    if is_closed_to(session, user, access) {
        return unwritable("the session is closed");
    }
    if session.constants.visibility == Visibility::Open && access.rules.join_restriction_holds.kept() {
        let restriction = session.properties.join_restriction(&session.constants);
        if !lifts_restrictions(session, access) && !meets(session, restriction, user, access) {
            return unwritable("the joinRestriction of the session keeps the user out");
        }
    }
    has_room(session, access)
}

/// Refuses the creation by a user who may not create sessions.
pub(super) fn may_create(session: &Session, access: &Access<'_>) -> Result<(), Refusal> {
    access.users().iter().try_for_each(|user| {
        check_privilege(user, access)?;
        check_title_identity(session, user)
    })
}

/// Refuses one more member when every place is taken; reservations take places too (SES-SIZE-006).
pub(super) fn has_room(session: &Session, access: &Access<'_>) -> Result<(), Refusal> {
    if places_taken(session, access) < session.constants.max_members || !access.rules.full_is_full.kept() {
        return Ok(());
    }
    let kind = match access.rules.full_join {
        FullJoin::Forbidden => RefusalKind::Unwritable,
        FullJoin::Malformed => RefusalKind::Malformed,
        FullJoin::Conflict => RefusalKind::Conflict,
    };
    let max = session.constants.max_members;
    Err(Refusal::new(
        kind,
        format!("the session is full, it has places for {max} members"),
    ))
}

/// Whether the session is closed to the user; an invite does not open it (HDL-INV-012).
fn is_closed_to(session: &Session, user: &User, access: &Access<'_>) -> bool {
    let opened = access.grant == Grant::Invite && !access.rules.invites_lift_restrictions.kept();
    session.properties.system.closed
        && access.rules.closed_is_closed.kept()
        && !opened
        && !may_come_back(session, user.xuid)
}

/// How many places are taken: every member has one, reserved or inactive (SES-SIZE-006).
fn places_taken(session: &Session, access: &Access<'_>) -> u64 {
    let rules = access.rules;
    if rules.reservations_take_places.kept() && rules.inactive_members_take_places.kept() {
        return session.count();
    }
    let takes_place = |member: &&Member| match member.status {
        Status::Reserved => rules.reservations_take_places.kept(),
        Status::Inactive => rules.inactive_members_take_places.kept(),
        Status::Ready | Status::Active => true,
    };
    session.members.iter().filter(takes_place).count() as u64
}

/// Whether a member of before may take a place again although the session is closed (SES-RESTR-019).
pub(super) fn may_come_back(session: &Session, xuid: u64) -> bool {
    session.properties.system.locked && session.members.has_left(xuid)
}

/// Whether the user meets a restriction: followed admits local users as well (SES-RESTR-003..006).
fn meets(session: &Session, restriction: Restriction, user: &User, access: &Access<'_>) -> bool {
    let admits_local = |member: &Member| match member.status {
        Status::Active => true,
        _ => !access.rules.local_needs_active.kept(),
    };
    let is_local = || {
        let mut members = session.members.iter();
        user.device_id.is_some() && members.any(|member| admits_local(member) && member.device_id == user.device_id)
    };
    let is_followed = || {
        let mut accepted = session
            .members
            .iter()
            .filter(|member| member.is_accepted() || !access.rules.reserved_open_no_door.kept());
        accepted.any(|member| access.social.follows(member.xuid, user.xuid))
    };
    match restriction {
        Restriction::None => true,
        Restriction::Local => is_local(),
        Restriction::Followed => is_followed() || is_local(),
    }
}

/// Whether the handle by which the caller came opens what restrictions close (HDL-INV-011, HDL-TRF-002, SES-HND-004).
fn lifts_restrictions(session: &Session, access: &Access<'_>) -> bool {
    match access.grant {
        Grant::Invite => true,
        Grant::Transfer => access.rules.transfers_lift_restrictions.kept(),
        Grant::Search => session.constants.has(Capability::UserAuthorizationStyle),
        Grant::None | Grant::Activity => false,
    }
}

fn invite_lifts_visibility(access: &Access<'_>) -> bool {
    access.grant == Grant::Invite && access.rules.invite_scope == InviteScope::VisibilityToo
}

/// SES-OWN-011.
fn is_blocked_by_owner(session: &Session, user: &User, access: &Access<'_>) -> bool {
    if !access.rules.owners_block.kept() {
        return false;
    }
    let owners = &session.properties.system.owners;
    let mut owners = owners.iter().filter_map(|index| session.members.by_index(*index));
    owners.any(|owner| access.social.blocks(owner.xuid, user.xuid))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::session::tests::sample::{Stage, active, join, reserve, server, system, user, user_with};

    /// What bob (2) meets: may he read, may he join?
    fn bob(stage: &Stage) -> (bool, bool) {
        let bob = user(2);
        let access = stage.access(&bob);
        let session = stage.session();
        (
            session.may_read(&access).is_ok(),
            session.write(&stage.template, &join(), &access).is_ok(),
        )
    }

    #[test]
    fn visibility_decides_who_reads_and_joins() {
        for (visibility, expected) in [
            ("open", (true, true)),
            ("visible", (true, false)),
            ("private", (false, false)),
        ] {
            let mut stage = Stage::with_alice(json!({ "visibility": visibility }));
            assert_eq!(bob(&stage), expected, "{visibility}");
            stage.put(&user(1), reserve(&[2])).unwrap();
            assert_eq!(bob(&stage), (true, true), "{visibility}, reserved");
        }
    }

    #[test]
    fn followed_lets_in_whom_an_accepted_member_follows_and_local_users() {
        let mut stage = Stage::with_alice(json!({}));
        stage
            .put(&user(1), system(json!({ "joinRestriction": "followed" })))
            .unwrap();
        assert_eq!(bob(&stage), (true, false));
        stage.put(&user(1), reserve(&[3])).unwrap();
        stage.social.follows.insert((3, 2));
        assert_eq!(bob(&stage), (true, false), "a reserved member opens no door");
        stage.social.follows.insert((1, 2));
        assert_eq!(bob(&stage), (true, true));
        let local = user_with(4, |user| user.device_id = Some("device-1".to_owned()));
        stage.put(&local, join()).unwrap();
    }

    #[test]
    fn local_lets_in_users_on_the_device_of_an_active_member() {
        let mut stage = Stage::with_alice(json!({}));
        stage
            .put(&user(1), system(json!({ "joinRestriction": "local" })))
            .unwrap();
        assert_eq!(bob(&stage), (true, false));
        let local = user_with(4, |user| user.device_id = Some("device-1".to_owned()));
        assert!(
            stage
                .session()
                .write(&stage.template, &join(), &stage.access(&local))
                .is_ok()
        );
        stage
            .put(
                &user(1),
                json!({"members": {"me": {"properties": {"system": {"active": false}}}}}),
            )
            .unwrap();
        assert_eq!(
            stage.refused(&local, join()),
            RefusalKind::Unwritable,
            "alice is no longer active"
        );
    }

    #[test]
    fn a_read_restriction_hides_an_open_session_and_lets_members_and_servers_see_it() {
        let mut stage = Stage::with_alice(json!({}));
        stage
            .put(
                &user(1),
                system(json!({ "joinRestriction": "followed", "readRestriction": "followed" })),
            )
            .unwrap();
        assert_eq!(bob(&stage), (false, false));
        assert_eq!(stage.refused(&user(2), join()), RefusalKind::Unreadable);
        assert!(stage.session().may_read(&stage.access(&user(1))).is_ok());
        assert!(stage.session().may_read(&stage.access(&server())).is_ok());
    }

    #[test]
    fn closed_keeps_out_all_but_reserved_users_and_locked_lets_former_members_back() {
        let mut stage = Stage::with_alice(json!({}));
        stage.put(&user(3), active()).unwrap();
        stage.put(&user(3), json!({"members": {"me": null}})).unwrap();
        stage.put(&user(1), system(json!({ "closed": true }))).unwrap();
        assert_eq!(stage.refused(&user(2), join()), RefusalKind::Unwritable);
        assert_eq!(stage.refused(&user(3), join()), RefusalKind::Unwritable);
        stage.put(&user(1), reserve(&[4])).unwrap();
        stage.put(&user(4), join()).unwrap();
        stage.put(&user(1), system(json!({ "locked": true }))).unwrap();
        assert_eq!(stage.refused(&user(2), join()), RefusalKind::Unwritable);
        assert_eq!(stage.refused(&user(1), reserve(&[2])), RefusalKind::Unwritable);
        stage.put(&user(3), join()).unwrap();
    }

    #[test]
    fn an_invite_lifts_restrictions_but_on_a_closed_session_it_only_reads() {
        let mut stage = Stage::with_alice(json!({}));
        let restricted = json!({ "joinRestriction": "local", "readRestriction": "local" });
        stage.put(&user(1), system(restricted)).unwrap();
        assert_eq!(bob(&stage), (false, false));
        stage.grant = Grant::Invite;
        assert_eq!(bob(&stage), (true, true));
        stage.put(&user(1), system(json!({ "closed": true }))).unwrap();
        assert_eq!(bob(&stage), (true, false));
    }

    #[test]
    fn a_search_handle_opens_sessions_with_user_authorization_style_only() {
        for (capabilities, expected) in [
            (
                json!({ "userAuthorizationStyle": true, "searchable": true, "hasOwners": true }),
                (true, true),
            ),
            (json!({ "searchable": true }), (false, false)),
        ] {
            let mut stage = Stage::with_alice(json!({ "capabilities": capabilities }));
            let restricted = json!({ "joinRestriction": "local", "readRestriction": "local" });
            stage.put(&user(1), system(restricted)).unwrap();
            stage.grant = Grant::Search;
            assert_eq!(bob(&stage), expected);
        }
    }

    #[test]
    fn a_full_session_takes_nobody_but_the_reserved() {
        let mut stage = Stage::with_alice(json!({ "maxMembersCount": 2 }));
        stage.put(&user(1), reserve(&[2])).unwrap();
        assert!(stage.session().is_full());
        assert_eq!(stage.refused(&user(3), join()), RefusalKind::Unwritable);
        assert_eq!(stage.refused(&user(1), reserve(&[3])), RefusalKind::Unwritable);
        stage.put(&user(2), join()).unwrap();
        stage.put(&user(2), json!({"members": {"me": null}})).unwrap();
        stage.put(&user(3), join()).unwrap();
    }

    #[test]
    fn privilege_and_title_identity_are_asked_of_users() {
        let mut stage = Stage::with_alice(json!({}));
        let poor = user_with(2, |user| user.may_play_multiplayer = false);
        assert_eq!(stage.refused(&poor, join()), RefusalKind::Forbidden);
        let weak = user_with(2, |user| user.has_title_identity = false);
        assert_eq!(stage.refused(&weak, join()), RefusalKind::Forbidden);
        let mut stage = Stage::new(json!({ "capabilities": { "userAuthorizationStyle": true } }));
        stage.put(&weak, active()).unwrap();
    }

    #[test]
    fn whom_an_owner_has_blocked_cannot_join() {
        let mut stage = Stage::with_alice(json!({ "capabilities": { "hasOwners": true } }));
        stage.social.blocks.insert((1, 2));
        assert_eq!(bob(&stage), (true, false));
    }

    #[test]
    fn the_titles_of_viewers_read_a_private_session() {
        let constants = json!({ "visibility": "private", "broadcastViewerTitleIds": ["1234"] });
        assert_eq!(bob(&Stage::with_alice(constants)), (true, false));
    }
}
