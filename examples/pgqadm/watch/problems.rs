//! The problems of the database, between the summary and the table.

use dbscript::printable;
use ratatui::layout::Rect;
use ratatui::text::Line;

use super::format::{cut, width};
use super::model::Model;
use super::style::Theme;

/// Problems may take one in this many lines of the screen.
const SHARE: u16 = 4;

/// Returns the lines of all problems, wrapped between words. If the lines do not fit, the last line contains the number
/// of omitted problems.
pub(crate) fn lines(model: &Model, theme: Theme, screen: Rect) -> Vec<Line<'static>> {
    let problems = model.snapshot.as_ref().map_or(&[][..], |snapshot| &snapshot.problems);
    let (columns, most) = (usize::from(screen.width), usize::from(screen.height / SHARE));
    let mut lines = Vec::new();
    for (at, problem) in problems.iter().enumerate().take_while(|_| most > 0) {
        let wrapped = wrap(&format!("! {}", printable(problem)), columns);
        let left = problems.len() - at;
        let room = most.saturating_sub(lines.len() + usize::from(left > 1));
        if wrapped.len() > room {
            let more = if at > 0 { " more" } else { "" };
            let s = if left == 1 { "" } else { "s" };
            lines.push(cut(&format!("! {left}{more} problem{s}, see `pgqadm CONFIG.ini status`"), columns));
            break;
        }
        lines.extend(wrapped);
    }
    lines.into_iter().map(|line| Line::styled(line, theme.alarm())).collect()
}

/// Wraps a text between words.
fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if width(line) + 1 + width(word) <= columns => line.extend([" ", word]),
            _ => lines.push(format!("  {word}")),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::testing::{queue, snapshot};
    use super::*;

    fn shown(problems: &[&str], columns: u16, rows: u16) -> Vec<String> {
        let mut model = Model::new(Duration::from_secs(2));
        let mut refreshed = snapshot(0, vec![queue("q", 0)]);
        refreshed.problems = problems.iter().map(|problem| (*problem).to_owned()).collect();
        model.update(Ok(refreshed));
        let lines = lines(&model, Theme::new(true), Rect::new(0, 0, columns, rows));
        lines.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn problems_are_wrapped_and_omitted_ones_are_counted() {
        let two = ["the sequence is behind", "the tick\u{1b} is missing"];
        assert_eq!(shown(&[], 80, 24), [""; 0]);
        assert_eq!(shown(&two, 80, 24), ["! the sequence is behind", r"! the tick\u{1b} is missing"]);
        assert_eq!(
            shown(&two, 16, 24),
            ["! the sequence", "  is behind", r"! the tick\u{1b}", "  is missing"]
        );
        assert_eq!(shown(&two, 80, 7), ["! 2 problems, see `pgqadm CONFIG.ini status`"]);
        assert_eq!(
            shown(&["a", "b", "c"], 80, 8),
            ["! a", "! 2 more problems, see `pgqadm CONFIG.ini status`"]
        );
        assert_eq!(shown(&two, 80, 3), [""; 0]);
    }
}
