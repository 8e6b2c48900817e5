//! Key bindings.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::model::{Mode, Model};

/// The keys, for the help.
pub(crate) const HELP: [(&str, &str); 12] = [
    ("? h", "show this help; any key but those that move closes it"),
    ("up down j k", "select a row"),
    ("PgUp PgDn", "select a page further up or down"),
    ("Home End g G", "select the first or the last row"),
    ("< > left right", "sort by another column"),
    ("r", "reverse the order"),
    ("/", "filter by name; Enter keeps it, Esc clears it"),
    ("space", "pause and resume"),
    ("+ = -", "refresh less often (+ or =), more often (-)"),
    ("Enter", "refresh now"),
    ("Ctrl-L Ctrl-Z", "redraw, suspend"),
    ("q Esc Ctrl-C", "leave; Esc clears a filter first"),
];

/// The number of lines in a page of the help.
const HELP_PAGE: u16 = 5;

/// An action that the caller performs after a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Leave,
    Refresh,
    Redraw,
    Suspend,
}

/// Handles a key, and returns an action for the caller, if any.
pub(crate) fn handle_key(model: &mut Model, key: KeyEvent) -> Option<Action> {
    if key.kind == KeyEventKind::Release {
        return None;
    }
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return with_control(key.code);
    }
    match model.mode {
        Mode::Table => in_table(model, key.code),
        Mode::Filter => {
            in_filter(model, key.code);
            None
        }
        Mode::Help => {
            in_help(model, key.code);
            None
        }
    }
}

/// Scrolls the help. Every other key closes the help.
fn in_help(model: &mut Model, code: KeyCode) {
    let top = model.help_top;
    model.help_top = match code {
        KeyCode::Up | KeyCode::Char('k') => top.saturating_sub(1),
        KeyCode::Down | KeyCode::Char('j') => top.saturating_add(1),
        KeyCode::PageUp => top.saturating_sub(HELP_PAGE),
        KeyCode::PageDown => top.saturating_add(HELP_PAGE),
        KeyCode::Home | KeyCode::Char('g') => 0,
        KeyCode::End | KeyCode::Char('G') => u16::MAX,
        _ => {
            model.mode = Mode::Table;
            0
        }
    };
}

fn with_control(code: KeyCode) -> Option<Action> {
    match code {
        KeyCode::Char('c') => Some(Action::Leave),
        KeyCode::Char('l') => Some(Action::Redraw),
        KeyCode::Char('z') => Some(Action::Suspend),
        _ => None,
    }
}

fn in_table(model: &mut Model, code: KeyCode) -> Option<Action> {
    let page = isize::try_from(model.page).unwrap_or(isize::MAX);
    match code {
        KeyCode::Esc if !model.filter.is_empty() => model.set_filter(String::new()),
        KeyCode::Char('q') | KeyCode::Esc => return Some(Action::Leave),
        KeyCode::Char(' ') => {
            model.is_paused = !model.is_paused;
            return (!model.is_paused).then_some(Action::Refresh);
        }
        KeyCode::Enter => return Some(Action::Refresh),
        KeyCode::Char('+' | '=') => model.lengthen_interval(),
        KeyCode::Char('-') => model.shorten_interval(),
        KeyCode::Char('?' | 'h') => model.mode = Mode::Help,
        KeyCode::Char('/') => model.mode = Mode::Filter,
        KeyCode::Char('<') | KeyCode::Left => model.sort_by_previous(),
        KeyCode::Char('>') | KeyCode::Right => model.sort_by_next(),
        KeyCode::Char('r') => model.reverse(),
        KeyCode::Up | KeyCode::Char('k') => model.move_by(-1),
        KeyCode::Down | KeyCode::Char('j') => model.move_by(1),
        KeyCode::PageUp => model.move_by(-page),
        KeyCode::PageDown => model.move_by(page),
        KeyCode::Home | KeyCode::Char('g') => model.move_by(isize::MIN),
        KeyCode::End | KeyCode::Char('G') => model.move_by(isize::MAX),
        _ => {}
    }
    None
}

fn in_filter(model: &mut Model, code: KeyCode) {
    let mut filter = model.filter.clone();
    match code {
        KeyCode::Char(letter) => filter.push(letter),
        KeyCode::Backspace => {
            filter.pop();
        }
        KeyCode::Enter => model.mode = Mode::Table,
        KeyCode::Esc => {
            model.mode = Mode::Table;
            filter.clear();
        }
        KeyCode::Up => return model.move_by(-1),
        KeyCode::Down => return model.move_by(1),
        _ => return,
    }
    model.set_filter(filter);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::testing::{queue, snapshot};
    use super::*;

    fn model() -> Model {
        let mut model = Model::new(Duration::from_secs(2));
        model.update(Ok(snapshot(0, ["shop", "bank", "mail"].map(|name| queue(name, 0)).into())));
        model
    }

    fn press_all(model: &mut Model, keys: impl IntoIterator<Item = KeyCode>) -> Vec<Action> {
        keys.into_iter().filter_map(|code| handle_key(model, KeyEvent::from(code))).collect()
    }

    fn letters(text: &str) -> impl Iterator<Item = KeyCode> {
        text.chars().map(KeyCode::Char)
    }

    #[test]
    fn letters_in_a_filter_are_no_commands() {
        let mut model = model();
        assert_eq!(press_all(&mut model, letters("/q ")), []);
        assert_eq!((model.filter.as_str(), model.rows.len()), ("q ", 0));
        press_all(&mut model, [KeyCode::Backspace, KeyCode::Backspace, KeyCode::Backspace]);
        assert_eq!((model.filter.as_str(), model.rows.len()), ("", 3));
        press_all(&mut model, letters("OP"));
        assert_eq!((model.rows.len(), model.rows[0].cells[0].as_str()), (1, "shop"));
        press_all(&mut model, [KeyCode::Enter]);
        assert_eq!((model.mode, model.filter.as_str()), (Mode::Table, "OP"));
        assert_eq!(press_all(&mut model, [KeyCode::Esc]), [], "the filter is cleared first");
        assert_eq!((model.filter.as_str(), model.rows.len()), ("", 3));
        assert_eq!(press_all(&mut model, [KeyCode::Esc]), [Action::Leave]);
        press_all(&mut model, letters("/OP"));
        assert_eq!(press_all(&mut model, [KeyCode::Char('/'), KeyCode::Esc]), []);
        assert_eq!((model.mode, model.filter.as_str(), model.rows.len()), (Mode::Table, "", 3));
    }

    #[test]
    fn leaving() {
        for code in [KeyCode::Char('q'), KeyCode::Esc] {
            assert_eq!(press_all(&mut model(), [code]), [Action::Leave]);
        }
        for mode in [Mode::Table, Mode::Filter, Mode::Help] {
            let mut model = model();
            model.mode = mode;
            let key = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
            assert_eq!(handle_key(&mut model, key), Some(Action::Leave), "{mode:?}");
        }
    }

    #[test]
    fn any_key_closes_the_help() {
        let mut model = model();
        press_all(&mut model, letters("?"));
        assert_eq!(model.mode, Mode::Help);
        assert_eq!(press_all(&mut model, letters("q")), []);
        assert_eq!(model.mode, Mode::Table);
    }

    #[test]
    fn the_help_has_every_key() {
        for key in
            ["?", "h", "=", "+", "-", "q", "Esc", "Ctrl-C", "Ctrl-L", "Ctrl-Z", "r", "/", "<", ">", "g", "G"]
        {
            assert!(HELP.iter().any(|(keys, _)| keys.split(' ').any(|listed| listed == key)), "{key}");
        }
    }

    #[test]
    fn the_help_is_scrolled() {
        let mut model = model();
        press_all(&mut model, letters("?jjk"));
        assert_eq!((model.mode, model.help_top), (Mode::Help, 1));
        press_all(&mut model, [KeyCode::PageDown, KeyCode::Home, KeyCode::Up, KeyCode::Down]);
        assert_eq!((model.mode, model.help_top), (Mode::Help, 1));
        press_all(&mut model, [KeyCode::End, KeyCode::Esc]);
        assert_eq!((model.mode, model.help_top), (Mode::Table, 0));
    }

    #[test]
    fn resuming_refreshes_at_once() {
        let mut model = model();
        assert_eq!(press_all(&mut model, letters(" ")), []);
        assert!(model.is_paused);
        assert_eq!(press_all(&mut model, letters(" ")), [Action::Refresh]);
        assert!(!model.is_paused);
    }

    #[test]
    fn keys_select_and_sort() {
        let mut model = model();
        let selected = |model: &Model| model.selected.as_ref().map(|id| id.queue.clone());
        press_all(&mut model, letters("jj"));
        assert_eq!(selected(&model).as_deref(), Some("shop"));
        press_all(&mut model, letters("k"));
        assert_eq!(selected(&model).as_deref(), Some("mail"));
        press_all(&mut model, letters("r"));
        assert_eq!((model.order.is_reversed, model.rows[0].cells[0].as_str()), (true, "shop"));
        press_all(&mut model, [KeyCode::End]);
        assert_eq!(selected(&model).as_deref(), Some("bank"));
        press_all(&mut model, [KeyCode::Right, KeyCode::Char('>')]);
        assert_eq!(model.order.column.title(), "Ticker");
        press_all(&mut model, letters("<"));
        assert_eq!((model.order.column.title(), model.order.is_reversed), ("Rotation", false));
    }
}
