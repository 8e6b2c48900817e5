//! The Grafana dashboard that is delivered with the metrics.

use std::collections::BTreeSet;

use serde_json::Value;

use super::metrics::{CONSUMER_METRICS, QUEUE_METRICS};

/// Metrics of a queue that are not in [`QUEUE_METRICS`], since not every queue has them.
const MORE_QUEUE_METRICS: [&str; 3] = ["pgq_new_events", "pgq_events_per_second", "pgq_retry_queue_events"];
const DATABASE_METRICS: [&str; 3] = ["pgq_up", "pgq_findings", "pgq_old_snapshot_age_seconds"];

#[test]
fn the_dashboard_uses_metrics_and_labels_that_there_are() {
    let expressions = expressions();
    let mut used = BTreeSet::new();
    for expression in &expressions {
        for (metric, labels) in selectors(expression) {
            let expected =
                labels_of(metric).unwrap_or_else(|| panic!("no metric `{metric}` in {expression}"));
            assert!(labels.iter().all(|label| expected.contains(label)), "{labels:?} in {expression}");
            used.insert(metric);
        }
    }
    assert!(used.len() > 10, "{used:?}");
}

#[test]
fn the_variables_of_the_dashboard_are_labels_that_there_are() {
    let dashboard = dashboard();
    let variables = dashboard["templating"]["list"].as_array().expect("variables");
    let queries = variables.iter().filter_map(|variable| variable["query"]["query"].as_str());
    let mut names = Vec::new();
    for query in queries {
        let (values, label) = query
            .strip_prefix("label_values(")
            .and_then(|rest| rest.strip_suffix(')'))
            .and_then(|inner| inner.rsplit_once(", "))
            .expect("a query of label values");
        let metric = values.split('{').next().expect("a metric");
        assert!(labels_of(metric).is_some_and(|labels| labels.contains(&label)), "{query}");
        names.push(label);
    }
    assert_eq!(names, ["database", "queue", "consumer"]);
}

#[test]
fn the_panels_of_the_dashboard_do_not_overlap() {
    let dashboard = dashboard();
    let mut cells = BTreeSet::new();
    for panel in dashboard["panels"].as_array().expect("panels") {
        let at = |key: &str| panel["gridPos"][key].as_u64().expect("a number");
        assert!(at("x") + at("w") <= 24, "{}", panel["title"]);
        for x in at("x")..at("x") + at("w") {
            for y in at("y")..at("y") + at("h") {
                assert!(cells.insert((x, y)), "{} lies over another panel", panel["title"]);
            }
        }
    }
}

fn dashboard() -> Value {
    serde_json::from_str(include_str!("../../contrib/grafana-dashboard.json")).expect("valid JSON")
}

fn expressions() -> Vec<String> {
    let dashboard = dashboard();
    let panels = dashboard["panels"].as_array().expect("panels");
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().expect("targets"));
    targets.map(|target| target["expr"].as_str().expect("an expression").to_owned()).collect()
}

/// Returns the labels of a metric, if it exists.
fn labels_of(metric: &str) -> Option<&'static [&'static str]> {
    const LABELS: [&str; 3] = ["database", "queue", "consumer"];
    let count = if DATABASE_METRICS.contains(&metric) {
        1
    } else if QUEUE_METRICS.contains(&metric) || MORE_QUEUE_METRICS.contains(&metric) {
        2
    } else if CONSUMER_METRICS.contains(&metric) {
        3
    } else {
        return None;
    };
    Some(&LABELS[..count])
}

/// Returns the metrics in an expression, each with the labels by which it is selected.
fn selectors(expression: &str) -> Vec<(&str, Vec<&str>)> {
    expression.match_indices("pgq_").map(|(at, _)| selector(&expression[at..])).collect()
}

fn selector(text: &str) -> (&str, Vec<&str>) {
    let is_end = |c: char| !c.is_ascii_alphanumeric() && c != '_';
    let (metric, rest) = text.split_at(text.find(is_end).unwrap_or(text.len()));
    let matchers =
        rest.strip_prefix('{').and_then(|rest| rest.split_once('}')).map_or("", |(inner, _)| inner);
    (metric, matchers.split(", ").filter_map(|part| Some(part.split_once("=~")?.0)).collect())
}
