//! The document as data: what a session is made of, without the rules that change it.
//!
//! The lowest floor of [`session`](super): the rules above read and write these types, and nothing here knows of them.

mod admission;
mod capability;
mod constants;
mod initialization;
mod member;
mod members;
mod names;
mod properties;
mod roles;
mod servers;
mod session;
mod template;
mod version;

pub(crate) use self::admission::{Restriction, Visibility};
pub(super) use self::capability::Capabilities;
pub(crate) use self::capability::Capability;
pub(super) use self::constants::{
    Constants, HostMetric, HostRequirements, MemberInitialization, Metrics, Migration, OwnershipPolicies, Thresholds,
    Timeout, Timeouts,
};
pub(super) use self::initialization::{Initialization, InitializationFailure, Stage};
pub(crate) use self::member::{ChangeType, Status, Subscription};
pub(super) use self::member::{Member, MemberConstants, MemberSystem, SecureDeviceAddress};
pub(super) use self::members::Members;
pub(super) use self::properties::{Properties, SYSTEM_FIELDS, SystemProperties};
pub(super) use self::roles::{Role, RoleType, RoleTypes, Setting};
pub(super) use self::servers::{Server, Servers};
pub(crate) use self::session::{Former, MemberView, RoleView, Session};
pub(crate) use self::template::Template;
pub(crate) use self::version::ContractVersion;
