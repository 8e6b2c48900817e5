//! The details of the selected queue or consumer, and a chart of its lag.

use dbscript::printable;
use pgq::status::{ConsumerStatus, Cooperation, QueueStatus};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{RenderDirection, Sparkline, Widget};

use super::format::{cut, duration, setting, width};
use super::model::Model;
use super::snapshot::Id;
use super::style::Theme;
use super::track::Track;

/// The height in lines: a border, a line of facts, the caption of the chart, and the chart.
pub(crate) const HEIGHT: u16 = 6;
const ABOVE_CHART: u16 = 3;

/// Draws the details.
pub(crate) fn draw(model: &Model, theme: Theme, area: Rect, buffer: &mut Buffer) {
    let Some((id, queue)) = selected(model) else { return };
    let consumer = id.consumer.as_ref().and_then(|name| queue.consumers.iter().find(|one| one.name == *name));
    let (names, facts, is_alarm) = match consumer {
        Some(one) => (vec![&one.name, &queue.name], consumer_facts(one), one.holds_up_rotation),
        None => (vec![&queue.name], queue_facts(queue), !queue.rotation.held_up_by.is_empty()),
    };
    let (name, facts) = fitting(&names, &facts, usize::from(area.width));
    let text = Line::from(vec![Span::styled(name, theme.queue()), Span::raw(facts)]);
    let text = if is_alarm { text.style(theme.alarm()) } else { text };
    let edge = Line::styled("─".repeat(usize::from(area.width)), theme.faint());
    for (text, line) in [edge, text].into_iter().zip(area.rows()) {
        text.render(line, buffer);
    }
    if let Some(track) = model.tracks.get(id) {
        chart(track, theme, area, buffer);
    }
}

/// Joins the names, and cuts names and facts to the width `room`. Names are cut first, each to its share of half of the
/// width, and then the end of the facts.
fn fitting(names: &[&String], facts: &str, room: usize) -> (String, String) {
    const OF: &str = " of ";
    let joined =
        |most: usize| names.iter().map(|name| cut(&printable(name), most)).collect::<Vec<_>>().join(OF);
    let for_names = room.saturating_sub(width(facts)).max(room / 2);
    let mut name = joined(usize::MAX);
    if width(&name) > for_names {
        name = joined(for_names.saturating_sub((names.len() - 1) * OF.len()) / names.len());
    }
    let facts = cut(facts, room.saturating_sub(width(&name)));
    (name, facts)
}

fn selected(model: &Model) -> Option<(&Id, &QueueStatus)> {
    let id = model.selected.as_ref()?;
    let queue = model.snapshot.as_ref()?.queues.iter().find(|queue| queue.name == id.queue)?;
    Some((id, queue))
}

fn queue_facts(queue: &QueueStatus) -> String {
    let (rotation, ticker) = (&queue.rotation, &queue.ticker);
    let flags =
        [(queue.paused, "paused"), (queue.external, "external ticker"), (queue.disabled, "takes no events")];
    let flags = flags.iter().filter(|(is_set, _)| *is_set).map(|(_, flag)| format!(", {flag}"));
    format!(
        ": table {} of {} since {} of {}{}; ticks after {} events, {}, idle {}{}",
        rotation.table + 1,
        rotation.tables,
        duration(rotation.age),
        setting(rotation.period),
        if rotation.is_due { ", due" } else { "" },
        ticker.max_count,
        setting(ticker.max_lag),
        setting(ticker.idle_period),
        flags.collect::<String>(),
    )
}

fn consumer_facts(consumer: &ConsumerStatus) -> String {
    let shown = |tick: Option<i64>| tick.map_or_else(|| "-".to_owned(), |tick| tick.to_string());
    let batch = match (consumer.batch, consumer.next_tick) {
        (Some(batch), next) => format!(", batch {batch} to tick {}", shown(next)),
        (None, _) => ", no batch".to_owned(),
    };
    let part = match consumer.cooperation {
        Some(Cooperation::Consumer) => ", with subconsumers",
        Some(Cooperation::Subconsumer) => ", a subconsumer",
        None => "",
    };
    let held = if consumer.holds_up_rotation { ", holds up rotation" } else { "" };
    format!(": tick {}{batch}{part}{held}", shown(consumer.last_tick))
}

/// Draws the lags, the latest at the right. The highest bar is the longest shown lag.
fn chart(track: &Track, theme: Theme, area: Rect, buffer: &mut Buffer) {
    if area.height <= ABOVE_CHART {
        return;
    }
    let shown: Vec<_> = track.lags().take(usize::from(area.width)).collect();
    let most = shown.iter().flatten().max().copied();
    let written = |lag: Option<u64>| {
        lag.map_or_else(|| "-".to_owned(), |lag| duration(std::time::Duration::from_millis(lag)))
    };
    let text = format!("lag: {}, at most {}", written(track.lags().next().flatten()), written(most));
    let above = Rect { y: area.y + ABOVE_CHART - 1, height: 1, ..area };
    Line::from(text).render(above, buffer);
    let bars = Rect { y: area.y + ABOVE_CHART, height: area.height - ABOVE_CHART, ..area };
    Sparkline::default()
        .data(shown)
        .direction(RenderDirection::RightToLeft)
        .style(theme.chart())
        .max(most.unwrap_or(0).max(1))
        .render(bars, buffer);
}
