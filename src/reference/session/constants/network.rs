//! What constants ask of the network: metrics, requirements on links, measurement servers.

use serde_json::Value;

use super::super::field::At;
use super::super::model::{HostMetric, HostRequirements, Metrics, Thresholds};
use super::super::refusal::Refusal;
use crate::rules::Rules;

pub(super) fn read_metrics(value: &Value, at: &At<'_>) -> Result<Metrics, Refusal> {
    let mut metrics = Metrics::default();
    for (name, value) in at.object(value)? {
        let at = at.then(name);
        let flag = !value.is_null() && at.boolean(value)?;
        match name.as_str() {
            "latency" => metrics.latency = flag,
            "bandwidthDown" => metrics.bandwidth_down = flag,
            "bandwidthUp" => metrics.bandwidth_up = flag,
            "custom" => metrics.custom = flag,
            _ => return Err(at.unknown(&["latency", "bandwidthDown", "bandwidthUp", "custom"])),
        }
    }
    Ok(metrics)
}

/// Reads `peerToPeerRequirements` and adds the metrics they need; latency is needed by all (SES-QOS-002).
pub(super) fn read_peer_requirements(value: &Value, needed: &mut Metrics, at: &At<'_>) -> Result<Thresholds, Refusal> {
    // The defaults of INIT-034.
    let mut thresholds = Thresholds {
        latency_maximum: 250.0,
        bandwidth_down_minimum: 10_000.0,
        bandwidth_up_minimum: 10_000.0,
    };
    needed.latency = true;
    for (name, value) in at.object(value)? {
        let at = at.then(name);
        match name.as_str() {
            "latencyMaximum" => thresholds.latency_maximum = read_threshold(value, &at)?,
            "bandwidthMinimum" => {
                let minimum = read_threshold(value, &at)?;
                thresholds.bandwidth_down_minimum = minimum;
                thresholds.bandwidth_up_minimum = minimum;
                needed.bandwidth_down = true;
                needed.bandwidth_up = true;
            }
            _ => return Err(at.unknown(&["latencyMaximum", "bandwidthMinimum"])),
        }
    }
    Ok(thresholds)
}

/// Reads `peerToHostRequirements` and adds the metrics they need; latency is needed by all (SES-QOS-002).
pub(super) fn read_host_requirements(
    value: &Value,
    needed: &mut Metrics,
    at: &At<'_>,
    rules: &Rules,
) -> Result<HostRequirements, Refusal> {
    const METRICS: &[(&str, HostMetric)] = &[
        ("bandwidthup", HostMetric::BandwidthUp),
        ("bandwidthdown", HostMetric::BandwidthDown),
        ("bandwidth", HostMetric::Bandwidth),
        ("latency", HostMetric::Latency),
    ];
    // The defaults of INIT-035.
    let mut thresholds = Thresholds {
        latency_maximum: 250.0,
        bandwidth_down_minimum: 100_000.0,
        bandwidth_up_minimum: 1000.0,
    };
    let mut metric = HostMetric::default();
    needed.latency = true;
    for (name, value) in at.object(value)? {
        let at = at.then(name);
        match name.as_str() {
            "latencyMaximum" => thresholds.latency_maximum = read_threshold(value, &at)?,
            "bandwidthDownMinimum" => {
                thresholds.bandwidth_down_minimum = read_threshold(value, &at)?;
                needed.bandwidth_down = true;
            }
            "bandwidthUpMinimum" => {
                thresholds.bandwidth_up_minimum = read_threshold(value, &at)?;
                needed.bandwidth_up = true;
            }
            "hostSelectionMetric" => metric = at.choice(value, METRICS, rules)?,
            _ => {
                return Err(at.unknown(&[
                    "latencyMaximum",
                    "bandwidthDownMinimum",
                    "bandwidthUpMinimum",
                    "hostSelectionMetric",
                ]));
            }
        }
    }
    needed.bandwidth_down |= matches!(metric, HostMetric::BandwidthDown | HostMetric::Bandwidth);
    needed.bandwidth_up |= matches!(metric, HostMetric::BandwidthUp | HostMetric::Bandwidth);
    Ok(HostRequirements { thresholds, metric })
}

fn read_threshold(value: &Value, at: &At<'_>) -> Result<f64, Refusal> {
    at.integer(value, 0..=u64::MAX)?;
    at.amount(value)
}

pub(super) fn read_measurement_servers(value: &Value, rules: &Rules, at: &At<'_>) -> Result<(), Refusal> {
    for (name, server) in at.object(value)? {
        let at = at.then(name);
        if name.chars().any(char::is_uppercase) && rules.server_names_are_lower_case.kept() {
            return Err(at.refuse("the name of a measurement server must be in lower case"));
        }
        for (key, address) in at.object(server)? {
            let at = at.then(key);
            if key != "secureDeviceAddress" {
                return Err(at.unknown(&["secureDeviceAddress"]));
            }
            at.base64(address)?;
        }
    }
    Ok(())
}
