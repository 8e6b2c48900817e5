//! Colors, and their replacements without colors.

use ratatui::style::{Color, Modifier, Style};

/// The styles of the display.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Theme {
    has_colors: bool,
}

impl Theme {
    pub(crate) fn new(has_colors: bool) -> Theme {
        Theme { has_colors }
    }

    /// Creates the theme, without colors when `NO_COLOR` is set; see <https://no-color.org>.
    pub(crate) fn from_environment() -> Theme {
        Theme::new(std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()))
    }

    pub(crate) fn alarm(self) -> Style {
        let style = Style::new().add_modifier(Modifier::BOLD);
        if self.has_colors { style.fg(Color::Red) } else { style }
    }

    pub(crate) fn warning(self) -> Style {
        if self.has_colors {
            Style::new().fg(Color::Yellow)
        } else {
            Style::new().add_modifier(Modifier::BOLD)
        }
    }

    pub(crate) fn chart(self) -> Style {
        if self.has_colors { Style::new().fg(Color::Cyan) } else { Style::new() }
    }

    pub(crate) fn queue(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    pub(crate) fn faint(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    pub(crate) fn heading(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    pub(crate) fn selected(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }
}
