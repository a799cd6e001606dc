//! The server entries of a session, as they are stored.

use std::sync::Arc;

use serde_json::{Map, Value, json};

/// The servers of a session, in the order in which they came.
pub(in crate::session) type Servers = Vec<(String, Arc<Server>)>;

#[derive(Clone, Debug, PartialEq)]
pub(in crate::session) struct Server {
    pub(in crate::session) constants_system: Map<String, Value>,
    pub(in crate::session) constants_custom: Value,
    pub(in crate::session) system: Map<String, Value>,
    pub(in crate::session) custom: Value,
}

impl Server {
    pub(in crate::session) fn new() -> Self {
        Self {
            constants_system: Map::new(),
            constants_custom: json!({}),
            system: Map::new(),
            custom: json!({}),
        }
    }

    pub(in crate::session) fn to_json(&self) -> Value {
        json!({
            "constants": { "system": self.constants_system, "custom": self.constants_custom },
            "properties": { "system": self.system, "custom": self.custom },
        })
    }
}
