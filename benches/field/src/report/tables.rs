//! Tables in Markdown.

use super::{Group, Names, Spread, columns};
use crate::record::Record;

/// Returns the machine and the servers.
pub(super) fn environments(records: &[Record]) -> String {
    let mut text = String::new();
    let mut shown: Vec<&Vec<(String, String)>> = Vec::new();
    for record in records {
        let Record::Environment { facts } = record else { continue };
        if !shown.contains(&facts) {
            shown.push(facts);
            let facts: Vec<String> = facts.iter().map(|(name, value)| format!("{name}: {value}")).collect();
            text += &format!("- {}\n", facts.join("; "));
        }
    }
    text
}

/// Returns the contestants with their versions and remarks.
pub(super) fn contestants(records: &[Record]) -> String {
    let mut text = String::from("\n| contestant | facts |\n| --- | --- |\n");
    let mut shown = Vec::new();
    for record in records {
        let Record::Descriptor { contestant, display_name, facts } = record else { continue };
        if !shown.contains(&contestant) {
            shown.push(contestant);
            let facts: Vec<String> = facts.iter().map(|(name, value)| format!("{name}: {value}")).collect();
            text += &format!("| {display_name} | {} |\n", escaped(&facts.join("; ")));
        }
    }
    text
}

/// Returns the figures of a scenario.
pub(super) fn figures(scenario: &str, group: &Group, names: &Names) -> String {
    let columns = columns::of(scenario);
    let mut text = format!("| contestant | {} |\n", columns.join(" | "));
    text += &format!("| --- |{}\n", " ---: |".repeat(columns.len()));
    for contestant in order(scenario, group) {
        let turns = &group.turns[contestant];
        let cells: Vec<String> = columns.iter().map(|name| cell(Spread::of(turns, name))).collect();
        let name = names.get(contestant).unwrap_or(contestant);
        text += &format!("| {name} | {} |\n", cells.join(" | "));
    }
    for (contestant, reason) in &group.failures {
        let name = names.get(contestant).unwrap_or(contestant);
        let reason = reason.lines().next().unwrap_or_default();
        text +=
            &format!("| {name} | {} |{}\n", escaped(reason), " |".repeat(columns.len().saturating_sub(1)));
    }
    text
}

/// Returns the contestants, best first.
pub(super) fn order<'a>(scenario: &str, group: &'a Group) -> Vec<&'a String> {
    order_by(columns::of(scenario).first().unwrap_or(&""), group)
}

/// Returns the contestants, those with the best value of a figure first.
pub(super) fn order_by<'a>(figure: &str, group: &'a Group) -> Vec<&'a String> {
    let mut order: Vec<&String> = group.turns.keys().collect();
    let value = |name: &String| {
        let median = Spread::of(&group.turns[name], figure).map(|spread| spread.median);
        median.map_or(f64::INFINITY, |median| if columns::grows(figure) { -median } else { median })
    };
    order.sort_by(|a, b| value(a).total_cmp(&value(b)));
    order
}

fn cell(spread: Option<Spread>) -> String {
    match spread {
        None => "–".to_owned(),
        Some(spread) if spread.least == spread.most => number(spread.median),
        Some(spread) => {
            let [median, least, most] = [spread.median, spread.least, spread.most].map(number);
            format!("{median} ({least}–{most})")
        }
    }
}

/// Writes a number with three digits, or as an integer.
pub(super) fn number(value: f64) -> String {
    let digits = if value == 0.0 { 0.0 } else { value.abs().log10().floor() };
    match (value.fract() == 0.0, digits) {
        (true, _) => grouped(value),
        (_, 2.0..) => grouped(value.round()),
        (_, 1.0..) => format!("{value:.1}"),
        (_, 0.0..) => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

fn grouped(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let first = digits.len() % 3;
    let (head, tail) = digits.split_at(first);
    let groups = tail.as_bytes().chunks(3).map(String::from_utf8_lossy);
    let parts: Vec<String> =
        [head.into()].into_iter().chain(groups).filter(|part| !part.is_empty()).map(String::from).collect();
    let sign = if value < 0.0 { "-" } else { "" };
    format!("{sign}{}", parts.join(","))
}

fn escaped(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits() {
        let cases = [
            (0.0, "0"),
            (0.12345, "0.123"),
            (1.2345, "1.23"),
            (12.345, "12.3"),
            (123.45, "123"),
            (12_345.6, "12,346"),
            (1_000_000.0, "1,000,000"),
        ];
        for (value, expected) in cases {
            assert_eq!(number(value), expected);
        }
    }
}
