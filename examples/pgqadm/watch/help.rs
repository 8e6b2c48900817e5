//! The help, over everything else.

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph, Widget};

use super::keys;
use super::style::Theme;

/// What is not obvious of the columns.
const COLUMNS: [(&str, &str); 9] = [
    ("Rotation", "table in use, of how many, and the period"),
    ("Ticker", "tick after events / lag / idle time"),
    ("TLag", "time since the last tick"),
    ("EPS", "events per second over the last ticks"),
    ("New", "events since the last tick"),
    ("Ev/s", "inserted or processed since the last look"),
    ("Lag", "how far the consumer is behind"),
    ("LastSeen", "time since it opened or ended a batch"),
    ("Pending", "events before the last tick"),
];
const FIRST: usize = 16;

/// Draws it in the middle, as much as there is room for.
pub(crate) fn draw(theme: Theme, area: Rect, buffer: &mut Buffer) {
    let line = |(what, text): &(&'static str, &'static str)| {
        Line::from(vec![Span::styled(format!(" {what:<FIRST$}"), theme.queue()), Span::raw(*text)])
    };
    let lines: Vec<_> =
        keys::HELP.iter().map(line).chain([Line::default()]).chain(COLUMNS.iter().map(line)).collect();
    let width = lines.iter().map(Line::width).max().unwrap_or(0) + 3;
    let height = lines.len() + 2;
    let within = area.centered(Constraint::Length(width as u16), Constraint::Length(height as u16));
    Clear.render(within, buffer);
    Paragraph::new(lines).block(Block::bordered().title(" Help ")).render(within, buffer);
}
