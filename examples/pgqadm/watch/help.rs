//! The help window.

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph, Widget};

use super::keys;
use super::style::Theme;

/// Explanations of the columns.
const COLUMNS: [(&str, &str); 9] = [
    ("Rotation", "number of the current table, number of tables, period"),
    ("Ticker", "tick after events / lag / idle time"),
    ("TLag", "time since the last tick"),
    ("EPS", "events per second over the last ticks"),
    ("New", "events since the last tick"),
    ("Ev/s", "inserted or processed since the last refresh"),
    ("Lag", "how far the consumer is behind"),
    ("LastSeen", "time since it opened or ended a batch"),
    ("Pending", "events before the last tick"),
];
const FIRST: usize = 16;

/// Draws the help in the middle of the screen, from the line `top` on. Returns the first visible line, which is less
/// than `top` if the help would scroll past its last line.
pub(crate) fn draw(top: u16, theme: Theme, area: Rect, buffer: &mut Buffer) -> u16 {
    let lines = lines(theme);
    let width = lines.iter().map(Line::width).max().unwrap_or(0) + 3;
    let height = lines.len() as u16 + 2;
    let within = area.centered(Constraint::Length(width as u16), Constraint::Length(height));
    let hidden = height.saturating_sub(within.height);
    let top = top.min(hidden);
    let mut block = Block::bordered().title(" Help ");
    if hidden > 0 {
        block = block.title_bottom(" up and down scroll, other keys close it ");
    }
    Clear.render(within, buffer);
    Paragraph::new(lines).scroll((top, 0)).block(block).render(within, buffer);
    top
}

fn lines(theme: Theme) -> Vec<Line<'static>> {
    let line = |(subject, text): &(&'static str, &'static str)| {
        Line::from(vec![Span::styled(format!(" {subject:<FIRST$}"), theme.queue()), Span::raw(*text)])
    };
    keys::HELP.iter().map(line).chain([Line::default()]).chain(COLUMNS.iter().map(line)).collect()
}
