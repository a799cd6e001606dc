//! `members.{index}.properties.system`: what a member writes of itself, field by field.

use serde_json::{Map, Value};
use uuid::Uuid;

use super::super::field::{At, decimal, integer};
use super::super::model::{Capability, ChangeType, Constants, MemberSystem, SecureDeviceAddress, Subscription};
use super::super::refusal::Refusal;
use crate::rules::Rules;

impl MemberSystem {
    const FIELDS: &[&str] = &[
        "active",
        "ready",
        "connection",
        "subscription",
        "subscriptions",
        "secondarySubscriptions",
        "secureDeviceAddress",
        "initializationGroup",
        "groups",
        "encounters",
        "RolePreference",
        "measurements",
        "serverMeasurements",
        "arbitration",
    ];

    /// Replaces one field as a whole; null unsets it. Subscriptions are merged one by one (SES-MERGE-013, 014).
    #[expect(
        clippy::too_many_arguments,
        reason = "each field depends on something else of the session"
    )]
    pub(in crate::session) fn write(
        &mut self,
        field: &str,
        value: &Value,
        session: &Constants,
        device_id: Option<&str>,
        next: u32,
        rules: &Rules,
        at: &At<'_>,
    ) -> Result<(), Refusal> {
        let given = (!value.is_null()).then_some(value);
        let large = session.has(Capability::Large);
        let not_large = || {
            if large && given.is_some() {
                Err(at.refuse("a large session cannot have it"))
            } else {
                Ok(())
            }
        };
        match field {
            "connection" => self.connection = given.map(|value| at.guid(value)).transpose()?,
            "subscription" => {
                if rules.large_refuses_subscriptions.kept() {
                    not_large()?;
                }
                self.subscription = given
                    .map(|value| read_subscription(value, rules, at))
                    .transpose()?
                    .flatten();
            }
            "subscriptions" => {
                not_large()?;
                match given {
                    None => self.subscriptions = Map::new(),
                    Some(value) => {
                        if !rules.subscriptions_are_merged.kept() {
                            self.subscriptions.clear();
                        }
                        self.merge_subscriptions(value, rules, at)?;
                    }
                }
            }
            "secondarySubscriptions" => {
                not_large()?;
                if let Some(value) = given {
                    at.object(value)?;
                }
                self.secondary_subscriptions = given.cloned();
            }
            "secureDeviceAddress" => {
                self.secure_device_address = match given.filter(|value| value.as_str() != Some("")) {
                    None => None,
                    Some(_) if !session.has(Capability::Connectivity) && rules.addresses_need_connectivity.kept() => {
                        return Err(at.refuse("it needs the capability connectivity"));
                    }
                    Some(value) => {
                        let bytes = at.base64(value)?;
                        Some(SecureDeviceAddress::new(at.text(value)?, &bytes, device_id, rules))
                    }
                };
            }
            "initializationGroup" => {
                not_large()?;
                let read = |at: &At<'_>, item: &Value| {
                    at.index(item)
                        .ok()
                        .filter(|index| *index < next || !rules.groups_have_members.kept())
                        .ok_or_else(|| at.wrong(item, format_args!("the index of a member, below {next}")))
                };
                self.initialization_group = given.map(|value| at.each(value, read)).transpose()?;
            }
            "groups" => {
                self.groups = given.map(|value| at.names(value)).transpose()?.unwrap_or_default();
            }
            // An encounter is consumed at once and never shown (LRG-007).
            "encounters" => {
                given.map(|value| at.names(value)).transpose()?;
            }
            "RolePreference" => {
                if let Some(value) = given {
                    for (role, weight) in at.object(value)? {
                        at.then(role).integer(weight, 0..=100)?;
                    }
                }
                self.role_preference = given.cloned();
            }
            "measurements" => {
                if let Some(value) = given {
                    read_measurements(value, session, at)?;
                }
                self.measurements = given.cloned();
            }
            "serverMeasurements" => {
                if let Some(value) = given {
                    for (server, measured) in at.object(value)? {
                        let at = at.then(server);
                        for (metric, value) in at.object(measured)? {
                            let at = at.then(metric);
                            if metric != "latency" {
                                return Err(at.unknown(&["latency"]));
                            }
                            at.amount(value)?;
                        }
                    }
                }
                self.server_measurements = given.cloned();
            }
            "arbitration" => {
                if let Some(value) = given {
                    at.object(value)?;
                }
                self.arbitration = given.cloned();
            }
            _ => return Err(at.unknown(Self::FIELDS)),
        }
        Ok(())
    }

    fn merge_subscriptions(&mut self, value: &Value, rules: &Rules, at: &At<'_>) -> Result<(), Refusal> {
        const PROFILES: &[(&str, ())] = &[
            ("party", ()),
            ("matchmaking", ()),
            ("initialization", ()),
            ("roster", ()),
            ("queuehost", ()),
            ("queue", ()),
        ];
        for (id, entry) in at.object(value)? {
            let at = at.then(id);
            if Uuid::try_parse(id).is_err() {
                return Err(at.refuse("the key of a subscription must be a GUID"));
            }
            if entry.is_null() {
                self.subscriptions.shift_remove(id);
                continue;
            }
            for (key, value) in at.object(entry)? {
                let at = at.then(key);
                match key.as_str() {
                    "profile" => at.choice(value, PROFILES, rules)?,
                    "onBehalfOfTitleId" => {
                        let title = match value {
                            Value::String(text) => decimal(text),
                            _ => integer(value),
                        };
                        let fits = title.is_some_and(|title| u32::try_from(title).is_ok());
                        if !fits && rules.subscribed_titles_are_numbers.kept() {
                            return Err(at.wrong(value, "the id of a title, a decimal number"));
                        }
                    }
                    _ => return Err(at.unknown(&["profile", "onBehalfOfTitleId"])),
                }
            }
            self.subscriptions.insert(id.clone(), entry.clone());
        }
        Ok(())
    }

    /// The rules across fields.
    pub(super) fn check(&self, rules: &Rules, at: &At<'_>) -> Result<(), Refusal> {
        if let (Some(Value::Object(measured)), Some(own)) = (&self.measurements, &self.secure_device_address)
            && rules.own_device_is_not_measured.kept()
            && let Some(key) = measured.keys().find(|key| key.eq_ignore_ascii_case(&own.device_token))
        {
            return Err(at
                .then("measurements")
                .then(key)
                .refuse("a member does not measure its own device"));
        }
        Ok(())
    }
}

/// An empty object asks for nothing, like null.
fn read_subscription(value: &Value, rules: &Rules, at: &At<'_>) -> Result<Option<Subscription>, Refusal> {
    let mut id = None;
    let mut change_types = Vec::new();
    let bag = at.object(value)?;
    for (key, value) in bag {
        let at = at.then(key);
        match key.as_str() {
            "id" => {
                at.guid(value)?;
                id = Some(at.text(value)?.to_owned());
            }
            "changeTypes" => {
                change_types = at.each(value, |at, kind| at.choice(kind, ChangeType::ALL, rules))?;
            }
            _ => return Err(at.unknown(&["id", "changeTypes"])),
        }
    }
    match id {
        Some(id) => Ok(Some(Subscription { id, change_types })),
        None if change_types.is_empty() => Ok(None),
        None => Err(at
            .then("id")
            .refuse("a subscription needs an id, a GUID of the client's own")),
    }
}

fn read_measurements(value: &Value, session: &Constants, at: &At<'_>) -> Result<(), Refusal> {
    if !session.metrics.any() {
        return Err(at.refuse("the session has no metrics to measure"));
    }
    for (token, measured) in at.object(value)? {
        let at = at.then(token);
        if token.chars().any(char::is_uppercase) {
            return Err(at.refuse("a device token must be in lower case here"));
        }
        for (metric, value) in at.object(measured)? {
            let at = at.then(metric);
            match metric.as_str() {
                "latency" | "bandwidthDown" | "bandwidthUp" => {
                    at.amount(value)?;
                }
                // The official client sends null where the title gave nothing.
                "custom" if value.is_null() => {}
                "custom" => {
                    at.object(value)?;
                }
                _ => return Err(at.unknown(&["latency", "bandwidthDown", "bandwidthUp", "custom"])),
            }
        }
    }
    Ok(())
}

impl SecureDeviceAddress {
    fn new(text: &str, bytes: &[u8], device_id: Option<&str>, rules: &Rules) -> Self {
        let source = device_id.filter(|_| rules.tokens_are_of_devices.kept()).unwrap_or(text);
        Self {
            text: text.to_owned(),
            device_token: token(source),
            is_version_1: bytes.first() == Some(&1),
        }
    }
}

/// A short token that is the same wherever and whenever it is made from the same source (FNV-1a).
fn token(source: &str) -> String {
    let hash = source.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("{hash:016x}")
}
