//! Frames of the real-time socket.

use super::{Change, DONE, Edit, Is, NO, On, PUT, SESSION, SESSIONS, WireFault, YES, fault};

const SUBSCRIBED: On = On::Frame(1);
const UNSUBSCRIBED: On = On::Frame(2);
const EVENT: On = On::Frame(3);
const KINDS: &str = "/members/me/properties/system/subscription/changeTypes/*";

/// A kind of change that is never told.
const fn deaf(
    id: &'static str,
    text: &'static str,
    clauses: &'static [&'static str],
    does: &'static [Change],
) -> WireFault {
    fault(id, text, clauses, &[SESSIONS, PUT], does)
}

#[rustfmt::skip]
pub(super) const TABLE: &[WireFault] = &[
    fault("taps-are-lost", "Taps are not sent.", &["RTA-037", "RTA-018", "RTA-020", "RTA-015"], &[EVENT], &[Change::Swallow]),
    fault("taps-come-twice", "Every tap is sent twice.", &["RTA-020", "RTA-018", "RTA-006", "RTA-019"], &[EVENT], &[Change::Repeat]),
    fault("taps-come-late", "A tap is sent once the next is due.", &["RTA-037", "RTA-015", "RTA-018"], &[EVENT], &[Change::Hold]),
    fault("taps-name-no-subscription", "A tap has no subscription.", &["RTA-014", "RTA-015"], &[EVENT], &[Change::Tell("/2/shoulderTaps/*/subscription", Edit::Remove)]),
    fault("taps-name-another-subscription", "A tap has another subscription.", &["RTA-015"], &[EVENT], &[Change::Tell("/2/shoulderTaps/*/subscription", Edit::Fresh)]),
    fault("taps-name-no-branch", "A tap has no branch.", &["RTA-014", "RTA-015"], &[EVENT], &[Change::Tell("/2/shoulderTaps/*/branch", Edit::Remove)]),
    fault("taps-name-another-branch", "A tap has another branch.", &["RTA-015", "RTA-020"], &[EVENT], &[Change::Tell("/2/shoulderTaps/*/branch", Edit::Fresh)]),
    fault("taps-name-no-change", "A tap has no changeNumber.", &["RTA-014", "RTA-015"], &[EVENT], &[Change::Tell("/2/shoulderTaps/*/changeNumber", Edit::Remove)]),
    fault("taps-name-the-next-change", "A tap has the changeNumber that comes after.", &["RTA-015"], &[EVENT], &[Change::Tell("/2/shoulderTaps/*/changeNumber", Edit::Add(1))]),
    fault("taps-name-change-as-text", "The changeNumber of a tap is a string.", &["RTA-014", "RTA-015"], &[EVENT], &[Change::Tell("/2/shoulderTaps/*/changeNumber", Edit::Text)]),
    fault("taps-have-no-time", "A tap has no timestamp.", &["RTA-014"], &[EVENT], &[Change::Tell("/2/shoulderTaps/*/timestamp", Edit::Remove)]),
    fault("taps-have-no-type", "A tap has no resourceType.", &["RTA-014"], &[EVENT], &[Change::Tell("/2/shoulderTaps/*/resourceType", Edit::Remove)]),
    fault("taps-have-another-type", "A tap has another resourceType.", &["RTA-014"], &[EVENT], &[Change::Tell("/2/shoulderTaps/*/resourceType", Edit::Set("\"session\""))]),
    fault("taps-have-no-resource", "A tap has no resource.", &["RTA-014", "RTA-016"], &[EVENT], &[Change::Tell("/2/shoulderTaps/*/resource", Edit::Remove)]),
    fault("taps-have-another-resource", "A tap has the resource of another session.", &["RTA-016"], &[EVENT], &[Change::Tell("/2/shoulderTaps/*/resource", Edit::Replace("~", "~x"))]),
    fault("taps-have-two-parts", "The resource of a tap has no service config.", &["RTA-016"], &[EVENT], &[Change::Tell("/2/shoulderTaps/*/resource", Edit::Set("\"open~x\""))]),
    fault("taps-carry-content", "A tap carries the session.", &["RTA-017"], &[EVENT], &[Change::Tell("/2/shoulderTaps/*/session", Edit::Put("{\"members\":{}}"))]),
    fault("taps-carry-properties", "A tap carries properties.", &["RTA-017"], &[EVENT], &[Change::Tell("/2/shoulderTaps/*/properties", Edit::Put("{\"custom\":{}}"))]),
    fault("taps-are-no-list", "shoulderTaps is not a list.", &["RTA-014"], &[EVENT], &[Change::Tell("/2/shoulderTaps", Edit::Set("{}"))]),
    fault("taps-are-empty", "shoulderTaps are empty.", &["RTA-014", "RTA-015"], &[EVENT], &[Change::Tell("/2/shoulderTaps", Edit::Set("[]"))]),
    fault("events-have-another-kind", "An event is of kind 5.", &["RTA-002", "RTA-006"], &[EVENT], &[Change::Tell("/0", Edit::Set("5"))]),
    fault("events-have-no-subscription", "An event has no subscription id.", &["RTA-006"], &[EVENT], &[Change::Tell("/1", Edit::Remove)]),
    fault("events-have-another-subscription", "An event has the id of another subscription.", &["RTA-006"], &[EVENT], &[Change::Tell("/1", Edit::Add(7))]),
    fault("events-have-another-channel", "The ncid of an event is not a GUID.", &["RTA-014"], &[EVENT], &[Change::Tell("/2/ncid", Edit::Set("\"17\""))]),
    fault("frames-are-objects", "Frames are objects.", &["RTA-002", "RTA-003"], &[SUBSCRIBED], &[Change::Tell("", Edit::Set("{\"type\":1}"))]),
    fault("subscribing-is-not-answered", "Subscribing gets no reply.", &["RTA-003", "RTA-004"], &[SUBSCRIBED], &[Change::Swallow]),
    fault("subscribing-has-another-sequence", "The reply to subscribing has another sequence number.", &["RTA-003", "RTA-007"], &[SUBSCRIBED], &[Change::Tell("/1", Edit::Add(1))]),
    fault("subscribing-fails", "Subscribing returns code 1.", &["RTA-003"], &[SUBSCRIBED, On::Told("/2", Is::Json("0"))], &[Change::Tell("/2", Edit::Set("1"))]),
    fault("subscribing-never-fails", "Subscribing always returns code 0.", &["RTA-004"], &[SUBSCRIBED], &[Change::Tell("/2", Edit::Set("0"))]),
    fault("subscribing-fails-otherwise", "Subscribing to an unknown resource returns code 3.", &["RTA-004"], &[SUBSCRIBED, On::Told("/2", Is::Json("1"))], &[Change::Tell("/2", Edit::Set("9"))]),
    fault("subscribing-has-a-text-code", "The code of a reply is a string.", &["RTA-003"], &[SUBSCRIBED], &[Change::Tell("/2", Edit::Text)]),
    fault("subscribing-has-no-data", "The reply to subscribing has no data.", &["RTA-003", "RTA-008"], &[SUBSCRIBED, On::Told("/2", Is::Json("0"))], &[Change::Tell("/4", Edit::Remove)]),
    fault("connection-id-is-no-guid", "The ConnectionId is not a GUID.", &["RTA-008"], &[SUBSCRIBED], &[Change::Tell("/4/ConnectionId", Edit::Set("\"17\""))]),
    fault("connection-id-is-another", "The ConnectionId is one that the service does not know.", &["RTA-009", "RTA-028"], &[SUBSCRIBED], &[Change::Tell("/4/ConnectionId", Edit::Fresh)]),
    fault("connection-id-is-constant", "The ConnectionId is the same for all.", &["RTA-028", "RTA-008"], &[SUBSCRIBED], &[Change::Tell("/4/ConnectionId", Edit::Set("\"3f1d8a52-91c4-4b07-8a65-0f1d2c3b4a59\""))]),
    fault("unsubscribing-is-lost", "The reply to unsubscribing is not sent.", &["RTA-005"], &[UNSUBSCRIBED], &[Change::Swallow]),
    fault("unsubscribing-fails", "Unsubscribing returns code 1.", &["RTA-005"], &[UNSUBSCRIBED], &[Change::Tell("/2", Edit::Set("1"))]),
    fault("unsubscribing-has-another-sequence", "The reply to unsubscribing has another sequence number.", &["RTA-005", "RTA-007"], &[UNSUBSCRIBED], &[Change::Tell("/1", Edit::Add(1))]),
    fault("sockets-need-nothing", "An incomplete handshake returns 200.", &["RTA-001"], &[On::Line("/connect"), On::Status(&[400, 401, 426])], YES),
    fault("connections-are-overlooked", "connection is overlooked.", &["RTA-009", "RTA-025", "RTA-031", "SES-CAP-008"], &[SESSION, PUT], &[Change::Ask("/members/me/properties/system/connection", Edit::Remove)]),
    fault("active-needs-no-connection", "A member without a connection is shown as active.", &["SES-CAP-008", "LIVE-020"], &[SESSIONS, DONE, On::Told("/constants/system/capabilities/connectionRequiredForActiveMembers", Is::Json("true"))], &[Change::Tell("/members/0/properties/system/active", Edit::Put("true")), Change::Tell("/members/0/activeTitleId", Edit::Put("\"1\""))]),
    fault("dead-connections-are-refused", "A member who lost its connection cannot write.", &["LIVE-020", "RTA-028"], &[SESSION, PUT, On::Asked("/members/me/properties/system/connection", Is::There), On::Status(&[200])], NO),
    fault("any-change-type-is-fine", "An unknown change type returns 200.", &["RTA-012"], &[SESSION, PUT, On::Asked("/members/me/properties/system/subscription", Is::There), On::Status(&[400])], YES),
    fault("subscription-is-overlooked", "subscription is overlooked.", &["RTA-011", "RTA-037"], &[SESSION, PUT], &[Change::Ask("/members/me/properties/system/subscription", Edit::Remove)]),
    deaf("everything-is-nothing", "everything notifies only of the host.", &["RTA-037", "RTA-012"], &[Change::Ask(KINDS, Edit::Replace("everything", "host"))]),
    deaf("initialization-is-not-told", "initialization notifies only of the host.", &["INIT-050", "RTA-012"], &[Change::Ask(KINDS, Edit::Replace("initialization", "host"))]),
    deaf("joinability-is-not-told", "joinability notifies only of the host.", &["RTA-034"], &[Change::Ask(KINDS, Edit::Replace("joinability", "host"))]),
    deaf("host-is-not-told", "host notifies only of joinability.", &["RTA-035"], &[Change::Ask(KINDS, Edit::Replace("host", "joinability"))]),
    deaf("matchmaking-is-not-told", "matchmakingStatus notifies only of the host.", &["RTA-035"], &[Change::Ask(KINDS, Edit::Replace("matchmakingStatus", "host"))]),
    deaf("custom-property-is-not-told", "customProperty notifies only of the host.", &["RTA-035", "RTA-018"], &[Change::Ask(KINDS, Edit::Replace("customProperty", "host"))]),
    deaf("members-custom-property-is-not-told", "membersCustomProperty notifies only of the host.", &["RTA-035"], &[Change::Ask(KINDS, Edit::Replace("membersCustomProperty", "host"))]),
    deaf("members-list-is-not-told", "membersList notifies only of the host.", &["RTA-036"], &[Change::Ask(KINDS, Edit::Replace("membersList", "host"))]),
    deaf("members-status-is-not-told", "membersStatus notifies only of the host.", &["RTA-036"], &[Change::Ask(KINDS, Edit::Replace("membersStatus", "host"))]),
    deaf("custom-property-is-everything", "customProperty notifies of every change.", &["RTA-018", "RTA-035"], &[Change::Ask(KINDS, Edit::Replace("customProperty", "everything"))]),
    deaf("members-list-is-everything", "membersList notifies of every change.", &["RTA-018", "RTA-036"], &[Change::Ask(KINDS, Edit::Replace("membersList", "everything"))]),
];
