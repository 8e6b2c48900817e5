//! Text of a page.

use dbscript::one_line;
use maud::{Markup, html};

/// The largest number of lines in a list.
const MOST_LINES: usize = 20;

/// Shows a name or a message, with escapes for invisible characters and such that change the direction of text.
pub(super) fn name(name: &str) -> Markup {
    html! { (one_line(name)) }
}

/// Shows short notes.
pub(super) fn notes(notes: &[(bool, &str)]) -> Markup {
    html! {
        @for (_, note) in notes.iter().filter(|(is_set, _)| *is_set) {
            span.note { (note) } " "
        }
    }
}

/// Shows lines of a class as a list, and the number of those that do not fit.
pub(super) fn list(class: &str, lines: &[String]) -> Markup {
    html! {
        @if !lines.is_empty() {
            ul class=(class) {
                @for line in lines.iter().take(MOST_LINES) { li { (name(line)) } }
                @if lines.len() > MOST_LINES {
                    li { "and " (lines.len() - MOST_LINES) " more" }
                }
            }
        }
    }
}

/// Returns a number with its noun.
pub(super) fn several(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_become_markup() {
        let shown = name("<b>\"&'\u{202e}").into_string();
        assert_eq!(shown, "&lt;b&gt;&quot;&amp;'\\u{202e}");
    }

    #[test]
    fn long_lists_are_cut() {
        let lines: Vec<String> = (0..25).map(|number| format!("line {number}")).collect();
        let shown = list("problems", &lines).into_string();
        assert_eq!(shown.matches("<li>").count(), 21);
        assert!(shown.starts_with("<ul class=\"problems\"><li>line 0</li>"), "{shown}");
        assert!(shown.ends_with("<li>and 5 more</li></ul>"), "{shown}");
        assert_eq!(list("problems", &[]).into_string(), "");
    }
}
