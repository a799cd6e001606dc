//! Session templates: the constants that a session starts from.

use serde_json::Value;

use super::capability::Capability;
use super::version::ContractVersion;

/// A template of a service config, as configured.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    /// Its name, in the configured spelling.
    pub name: String,
    /// The contract version that its constants are written in (TPL-011).
    pub contract_version: ContractVersion,
    /// `{ "system": {...}, "custom": {...} }`, both optional.
    pub constants: Value,
    /// `roleTypes`, or null when the template has none.
    pub role_types: Value,
}

impl Template {
    /// Whether it makes its sessions capable of something.
    pub(crate) fn has(&self, capability: Capability) -> bool {
        let pointer = format!("/system/capabilities/{}", capability.name());
        self.constants.pointer(&pointer) == Some(&Value::Bool(true))
    }
}
