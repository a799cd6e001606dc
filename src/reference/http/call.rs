//! One call: who makes it, when, for whom, and what it may do.

use http::HeaderMap;
use jiff::Timestamp;

use super::super::failure::Failure;
use super::super::principal::Principal;
use super::super::rate::Counter;
use super::super::realtime::ConnectionsAt;
use super::super::rules::Rules;
use super::super::session::{Access, ContractVersion, Grant};
use super::super::store::Moment;
use super::acting::Acting;
use super::edge::Edge;
use super::path;

/// What is known of a request once it may be answered.
#[derive(Clone, Copy)]
pub(super) struct Call<'s> {
    pub(super) edge: &'s Edge,
    pub(super) caller: &'s Principal,
    pub(super) acting: &'s Acting,
    pub(super) version: ContractVersion,
    pub(super) now: Timestamp,
    pub(super) headers: &'s HeaderMap,
    pub(super) query: &'s str,
    pub(super) connections: ConnectionsAt<'s>,
}

impl Call<'_> {
    pub(super) fn count(&self, counter: Counter) -> Result<(), Failure> {
        let (Some(rates), Some(xuid)) = (&self.edge.rates, self.caller.xuid()) else {
            return Ok(());
        };
        rates
            .count(xuid, self.caller.title_id, counter, self.now, self.rules())
            .map_err(Failure::Throttled)
    }

    /// The user for whom the caller speaks, if there is exactly one.
    pub(super) fn speaker(&self) -> Option<u64> {
        self.access(Grant::None).user().map(|user| user.xuid)
    }

    /// Whether the caller is a service whose access stands above the rights of users.
    pub(super) fn manages(&self) -> bool {
        self.access(Grant::None).manages()
    }

    pub(super) fn rules(&self) -> &Rules {
        &self.edge.provisions.rules
    }

    /// What the caller may do, with what a handle brought it.
    pub(super) fn access(&self, grant: Grant) -> Access<'_> {
        Access {
            caller: self.caller,
            acting: &self.acting.users,
            denies_manage: self.acting.denies_manage,
            version: self.version,
            now: self.now,
            grant,
            rules: &self.edge.provisions.rules,
            social: &self.edge.provisions.social,
            connections: &self.connections,
        }
    }

    /// What timers are judged by.
    pub(super) fn moment(&self) -> Moment<'_> {
        Moment {
            now: self.now,
            connections: self.connections,
            rules: &self.edge.provisions.rules,
        }
    }

    /// The value of a query parameter; the last one counts.
    pub(super) fn parameter(&self, name: &str) -> Option<String> {
        let given = path::parameters(self.query).filter(|(given, _)| given.eq_ignore_ascii_case(name));
        given.last().map(|(_, value)| value)
    }

    /// A query parameter that is `true` or `false`; absent is false (QRY-010).
    pub(super) fn flag(&self, name: &str) -> Result<bool, Failure> {
        match self.parameter(name).as_deref() {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(Failure::Malformed(format!(
                "The query parameter `{name}` is neither true nor false."
            ))),
        }
    }
}
