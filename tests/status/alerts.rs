//! The alert rules that are delivered with the metrics.

use pgq::status::Limits;
use serde_json::Value;

use super::metrics::{CONSUMER_METRICS, QUEUE_METRICS, python};

const PARSE_YAML: &str = "import json, sys, yaml; print(json.dumps(yaml.safe_load(sys.stdin)))";

#[test]
fn alert_rules_are_about_metrics_that_there_are() {
    let known = [
        &QUEUE_METRICS[..],
        &CONSUMER_METRICS,
        &["pgq_up", "pgq_findings", "pgq_old_snapshot_age_seconds", "up"],
    ]
    .concat();
    for rule in alert_rules() {
        let expression = rule["expr"].as_str().expect("an expression");
        let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let used: Vec<&str> = words.filter(|word| *word == "up" || word.starts_with("pgq_")).collect();
        assert!(!used.is_empty() && used.iter().all(|name| known.contains(name)), "{expression}");
        assert!(["warning", "critical"].contains(&rule["labels"]["severity"].as_str().expect("a severity")));
        let summary = rule["annotations"]["summary"].as_str().expect("a summary");
        assert_eq!(summary.matches("{{").count(), summary.matches("}}").count(), "{summary}");
    }
}

#[test]
fn an_inconsistency_raises_an_alert() {
    let rules = alert_rules();
    let rule = rules.iter().find(|rule| rule["expr"] == "pgq_findings > 0").expect("a rule");
    assert_eq!(rule["labels"]["severity"], "critical");
    let summary = rule["annotations"]["summary"].as_str().expect("a summary");
    assert!(summary.contains("pgqadm") && summary.contains("$labels.database"), "{summary}");
}

#[test]
fn alert_rules_have_the_limits_of_a_check() {
    let limits = Limits::default();
    let rules = alert_rules();
    for (name, limit) in [
        ("PgqTickerLags", limits.ticker_lag),
        ("PgqConsumerLags", limits.consumer_lag),
        ("PgqConsumerAway", limits.last_seen),
        ("PgqEventsPending", limits.pending_events),
        ("PgqEventsFailed", limits.failed_events),
        ("PgqRotationOverdue", limits.rotation_age),
        ("PgqOldSnapshot", limits.snapshot_age),
    ] {
        for (severity, limit) in [("warning", limit.warning), ("critical", limit.critical)] {
            let is_it = |rule: &&Value| rule["alert"] == name && rule["labels"]["severity"] == severity;
            let rule = rules.iter().find(is_it).unwrap_or_else(|| panic!("{name} {severity}"));
            let expression = rule["expr"].as_str().expect("an expression");
            let after = expression.split(">= ").nth(1).and_then(|rest| rest.split_whitespace().next());
            assert_eq!(after, Some(&*limit.to_string()), "{expression}");
        }
    }
}

fn alert_rules() -> Vec<Value> {
    let rules = python(PARSE_YAML, include_str!("../../contrib/prometheus-alerts.yml"));
    rules["groups"][0]["rules"].as_array().expect("rules").clone()
}
