//! The summary line, or the error of the last refresh.

use std::time::Duration;

use dbscript::printable;
use ratatui::text::{Line, Span};

use super::format::{duration, rate};
use super::model::Model;
use super::snapshot::{Id, Snapshot};
use super::style::Theme;
use super::track::Track;

/// The duration from which a slow refresh is shown.
const SLOW: Duration = Duration::from_secs(2);

/// Returns the line.
pub(crate) fn line(model: &Model, theme: Theme) -> Line<'_> {
    if let Some(error) = &model.error {
        return Line::styled(printable(error), theme.alarm());
    }
    if model.waiting > SLOW {
        let text = format!("no answer from the server for {}", duration(model.waiting));
        return Line::styled(text, theme.warning());
    }
    match &model.snapshot {
        Some(snapshot) => summary(model, snapshot, theme),
        None => Line::from("connecting"),
    }
}

fn summary<'a>(model: &Model, snapshot: &'a Snapshot, theme: Theme) -> Line<'a> {
    let mut line = Line::default();
    let held = snapshot.queues.iter().filter(|queue| !queue.rotation.held_up_by.is_empty()).count();
    if held > 0 {
        line.push_span(Span::styled(format!("rotation held up: {held}  "), theme.alarm()));
    }
    let consumers = snapshot.queues.iter().map(|queue| queue.consumers.len()).sum();
    line.push_span(Span::raw(format!(
        "{}, {}",
        several(snapshot.queues.len(), "queue"),
        several(consumers, "consumer")
    )));
    let rates =
        snapshot.queues.iter().filter_map(|queue| model.tracks.get(&Id::queue(queue)).and_then(Track::rate));
    if let Some(sum) = rates.reduce(|a, b| a + b) {
        line.push_span(Span::raw(format!("  {} events/s in", rate(sum))));
    }
    let all = snapshot.queues.iter().flat_map(|queue| queue.consumers.iter().map(move |one| (queue, one)));
    if let Some((queue, last)) = all.max_by_key(|(_, consumer)| consumer.lag)
        && let Some(lag) = last.lag
    {
        line.push_span(Span::raw(format!(
            "  most behind: {} of {}, {}",
            printable(&last.name),
            printable(&queue.name),
            duration(lag)
        )));
    }
    line
}

fn several(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}
