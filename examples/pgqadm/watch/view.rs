//! The layout of the display.

use dbscript::printable;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Wrap};

use super::model::{Mode, Model};
use super::style::Theme;
use super::{detail, format, help, problems, summary, table};

/// The height of a screen from which details are shown.
const WITH_DETAIL: u16 = 18;
/// The largest number of lines of an error.
const MAX_ERROR_LINES: u16 = 5;
const HINTS: &str = "? help  / filter  <> sort  r reverse  space pause  +- interval  q leave";

/// Draws the display, and sets the number of rows that fit in the model.
pub(crate) fn draw(model: &mut Model, theme: Theme, frame: &mut Frame<'_>) {
    let detail = if frame.area().height >= WITH_DETAIL { detail::HEIGHT } else { 0 };
    let summary = summary::line(model, theme);
    let lines = summary.width().div_ceil(usize::from(frame.area().width.max(1)));
    // Wrapping between words may take an additional line.
    let lines = if lines > 1 && model.error.is_some() { (lines as u16 + 1).min(MAX_ERROR_LINES) } else { 1 };
    let summary = Paragraph::new(summary).wrap(Wrap { trim: true });
    let problems = problems::lines(model, theme, frame.area());
    let heights = [1, lines, problems.len() as u16].map(Constraint::Length).into_iter().chain([
        Constraint::Min(2),
        Constraint::Length(detail),
        Constraint::Length(1),
    ]);
    let parts = Layout::vertical(heights).split(frame.area());
    frame.render_widget(title(model, theme), parts[0]);
    frame.render_widget(summary, parts[1]);
    frame.render_widget(Paragraph::new(problems), parts[2]);
    model.set_page(usize::from(parts[3].height.saturating_sub(1)));
    table::draw(model, theme, parts[3], frame.buffer_mut());
    if detail > 0 {
        detail::draw(model, theme, parts[4], frame.buffer_mut());
    }
    footer(model, theme, parts[5], frame);
    if model.mode == Mode::Help {
        model.help_top = help::draw(model.help_top, theme, frame.area(), frame.buffer_mut());
    }
}

/// Returns the title line. The time is first, since the end may be cut off.
fn title(model: &Model, theme: Theme) -> Line<'_> {
    let state = match model.is_paused {
        true => Span::styled("PAUSED", theme.warning()),
        false => Span::raw(format!("every {}", format::setting(model.interval))),
    };
    let Some(snapshot) = &model.snapshot else {
        return Line::from(vec![Span::raw("pgqadm  "), state]);
    };
    let time = snapshot.time.with_timezone(&chrono::Local).format("%H:%M:%S");
    Line::from(vec![
        Span::raw(format!("{time}  ")),
        state,
        Span::raw("  "),
        Span::styled(printable(&snapshot.origin), theme.queue()),
    ])
}

/// Draws the filter if there is one, otherwise the most important keys.
fn footer(model: &Model, theme: Theme, area: Rect, frame: &mut Frame<'_>) {
    let is_typed = model.mode == Mode::Filter;
    if !is_typed && model.filter.is_empty() {
        return frame.render_widget(Span::styled(HINTS, theme.faint()), area);
    }
    let prompt = Line::from(vec![
        Span::raw(if is_typed { "/" } else { "filter /" }),
        Span::styled(printable(&model.filter), if is_typed { Style::new() } else { theme.warning() }),
    ]);
    if is_typed && !area.is_empty() {
        let end = u16::try_from(prompt.width()).unwrap_or(u16::MAX).min(area.width - 1);
        frame.set_cursor_position((area.x + end, area.y));
    }
    frame.render_widget(prompt, area);
}

#[cfg(test)]
#[path = "view_tests.rs"]
mod tests;
