use std::time::Duration;

use pgq::status::{QueueStatus, RotationBlocker};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier};

use super::super::column::Column;
use super::super::testing::{consumer, queue, snapshot};
use super::*;

fn model(queues: Vec<QueueStatus>) -> Model {
    let mut model = Model::new(Duration::from_secs(2));
    model.update(Ok(snapshot(0, queues)));
    model
}

fn drawn(model: &mut Model, width: u16, height: u16, has_colors: bool) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a buffer");
    terminal.draw(|frame| draw(model, Theme::new(has_colors), frame)).expect("drawn");
    terminal.backend().buffer().clone()
}

fn lines(buffer: &Buffer) -> Vec<String> {
    let width = usize::from(buffer.area.width);
    let text = |cells: &[ratatui::buffer::Cell]| cells.iter().map(|cell| cell.symbol()).collect::<String>();
    buffer.content.chunks(width).map(|cells| text(cells).trim_end().to_owned()).collect()
}

fn shop() -> Vec<QueueStatus> {
    let mut orders = queue("orders", 100);
    orders.ticker_lag = Some(Duration::from_secs(3));
    orders.events_per_second = Some(12.5);
    orders.new_events = Some(7);
    orders.ticker.max_count = 500;
    orders.ticker.max_lag = Duration::from_secs(3);
    orders.ticker.idle_period = Duration::from_secs(60);
    orders.retry_events = Some(2);
    let mut mailer = consumer("mailer", 75);
    mailer.last_seen = Duration::from_secs(12);
    (mailer.pending_events, mailer.retry_events, mailer.failed_events) = (Some(40), Some(2), Some(1));
    mailer.last_tick = Some(9);
    orders.consumers = vec![mailer];
    vec![orders, queue("attic", 0)]
}

#[test]
fn a_wide_screen_has_all_columns() {
    let lines = lines(&drawn(&mut model(shop()), 120, 24, true));
    assert!(lines[0].ends_with("every 2s  shop: PostgreSQL 15.8, PgQ 3.5 (own schema)"), "{lines:#?}");
    assert_eq!(lines[1], "2 queues, 1 consumer  most behind: mailer of orders, 1m15s");
    assert_eq!(
        lines[2..6],
        [
            "Queue/consumer↑ Rotation    Ticker TLag EPS New Ev/s   Lag LastSeen Pending Retry Failed",
            "attic             1/3 2h   0/0s/0s    -   -   0    -                            -",
            "orders            1/3 2h 500/3s/1m 3.0s  13   7    -                            2",
            "  mailer                                           - 1m15s      12s      40     2      1",
        ]
    );
    assert_eq!(lines[23], HINTS);
}

#[test]
fn a_narrow_screen_omits_columns_but_not_the_one_sorted_by() {
    let mut model = model(shop());
    let headings = |model: &mut Model, width| lines(&drawn(model, width, 24, true))[2].clone();
    assert_eq!(
        headings(&mut model, 80),
        "Queue/consumer↑ Rotation TLag EPS New Ev/s   Lag LastSeen Pending Retry Failed"
    );
    assert_eq!(headings(&mut model, 40), "Queue/consumer↑ TLag Ev/s   Lag Pending");
    model.order.column = Column::Ticker;
    assert_eq!(headings(&mut model, 40), "Queue/consumer   Ticker↓   Lag Pending");
    assert_eq!(headings(&mut model, 22), "Queue/consumer");
}

#[test]
fn the_selected_row_has_details_and_a_chart() {
    let mut model = model(shop());
    model.move_by(2);
    for (second, lag) in [(1, 0), (2, 150)] {
        let mut queues = shop();
        queues[0].consumers[0].lag = Some(Duration::from_secs(lag));
        model.update(Ok(snapshot(second, queues)));
    }
    model.update(Err("connection refused".to_owned()));
    let lines = lines(&drawn(&mut model, 60, 24, true));
    assert_eq!(lines[1], "connection refused");
    assert!(lines[17].starts_with("───"), "{lines:#?}");
    assert_eq!(lines[18], "mailer of orders: tick 9, no batch");
    assert_eq!(lines[19], "lag: -, at most 2m30s");
    let ends: Vec<String> = lines[20..23].iter().map(|line| line.chars().skip(55).collect()).collect();
    assert_eq!(ends, ["   █", " ▄ █", " █ █"], "{lines:#?}");
}

#[test]
fn holders_of_a_rotation_are_red_or_bold() {
    let mut queues = shop();
    queues[0].rotation.is_due = true;
    queues[0].rotation.held_up_by =
        vec![RotationBlocker::Consumer { name: "mailer".to_owned(), lag: Duration::from_secs(75) }];
    queues[0].consumers[0].holds_up_rotation = true;
    let mut model = model(queues);
    let buffer = drawn(&mut model, 80, 24, true);
    let lines = lines(&buffer);
    assert!(lines[1].starts_with("rotation held up: 1  2 queues"), "{lines:#?}");
    assert_eq!(lines[5], "  rotation held up by consumer `mailer`, 75s behind");
    for line in [4, 5, 6] {
        let cell = &buffer[(2, line)];
        assert_eq!(cell.fg, Color::Red, "{lines:#?}");
    }
    assert_ne!(buffer[(0, 3)].fg, Color::Red);

    let buffer = drawn(&mut model, 80, 24, false);
    assert!(buffer.content.iter().all(|cell| (cell.fg, cell.bg) == (Color::Reset, Color::Reset)));
    assert!(buffer[(2, 5)].modifier.contains(Modifier::BOLD));
}

#[test]
fn names_of_double_width_stay_in_their_column() {
    let mut wide = queue("注文の行列", 0);
    wide.ticker_lag = Some(Duration::from_secs(1));
    wide.consumers =
        vec![consumer("メール配信をする消費者の長い名前です", 1), consumer("e\u{301}\u{7}\n", 2)];
    let mut model = model(vec![wide]);
    for width in (1..40).step_by(3).chain([60, 80, 120]) {
        let buffer = drawn(&mut model, width, 24, true);
        let ends_at = |line: u16| {
            let row = (0..width).rev().find(|x| buffer[(*x, line)].symbol() != " ");
            row.unwrap_or(0)
        };
        if width >= 60 {
            assert_eq!((ends_at(4), ends_at(5)), (ends_at(5), ends_at(4)), "{:#?}", lines(&buffer));
        }
    }
    let lines = lines(&drawn(&mut model, 40, 10, true));
    assert!(lines[5].contains("…"), "{lines:#?}");
}

#[test]
fn the_help_fits_on_24_lines_and_scrolls_on_fewer() {
    let mut model = model(shop());
    model.mode = Mode::Help;
    let first = "any key but those that move closes it";
    let whole = lines(&drawn(&mut model, 80, 24, true)).join("\n");
    for text in [first, "? h", "+ = -", "leave; Esc clears", "Rotation", "events before the last tick"] {
        assert!(whole.contains(text), "{text}: {whole}");
    }
    assert!(!whole.contains("scroll"), "{whole}");

    let top = lines(&drawn(&mut model, 80, 12, true)).join("\n");
    assert!(top.contains(first) && top.contains("up and down scroll") && !top.contains("Pending"), "{top}");
    model.help_top = u16::MAX;
    let end = lines(&drawn(&mut model, 80, 12, true)).join("\n");
    assert!(end.contains("events before the last tick") && !end.contains(first), "{end}");
    assert_eq!(model.help_top, 12);
}

#[test]
fn names_are_escaped() {
    let mut odd = queue("a\u{202e}b\u{1b}[1m", 0);
    odd.consumers = vec![consumer("c\u{200b}\n", 1)];
    odd.rotation.held_up_by =
        vec![RotationBlocker::Consumer { name: "c\u{200b}\n".to_owned(), lag: Duration::from_secs(1) }];
    let mut model = model(vec![odd]);
    let shown = lines(&drawn(&mut model, 120, 24, true));
    assert!(shown[1].ends_with(r"most behind: c\u{200b}\n of a\u{202e}b\u{1b}[1m, 1.0s"), "{shown:#?}");
    assert!(shown[3].starts_with(r"a\u{202e}b\u{1b}[1m "), "{shown:#?}");
    assert!(shown[4].contains(r"held up by consumer `c\u{200b}\n`, 1s behind"), "{shown:#?}");
    assert!(shown[5].starts_with(r"  c\u{200b}\n "), "{shown:#?}");
    assert!(shown[18].starts_with(r"a\u{202e}b\u{1b}[1m: table 1 of 3"), "{shown:#?}");
}

#[test]
fn long_names_leave_room_for_the_facts() {
    let mut long = queue(&"q".repeat(100), 0);
    long.consumers = vec![consumer(&"c".repeat(100), 1)];
    let mut model = model(vec![long]);
    let fact = |model: &mut Model| lines(&drawn(model, 60, 24, true))[18].clone();
    let names = format!("{}…: table 1 of 3 since", "q".repeat(29));
    assert!(fact(&mut model).starts_with(&names) && fact(&mut model).ends_with('…'), "{}", fact(&mut model));
    model.move_by(1);
    let both = format!("{}… of {}…: tick -, no batch", "c".repeat(18), "q".repeat(18));
    assert_eq!(fact(&mut model), both);
}

#[test]
fn every_size_can_be_drawn() {
    let mut held = queue("held", 0);
    held.rotation.held_up_by = vec![RotationBlocker::Ticker];
    let mut full = model(vec![held]);
    full.update(Ok(snapshot(1, [shop(), (0..50).map(|at| queue(&format!("q{at}"), 1)).collect()].concat())));
    full.move_by(40);
    let mut empty = Model::new(Duration::from_secs(2));
    for model in [&mut full, &mut empty] {
        for mode in [Mode::Table, Mode::Filter, Mode::Help] {
            model.mode = mode;
            for width in [0, 1, 2, 3, 6, 16, 40, 300] {
                for height in [0, 1, 2, 3, 5, 10, 18, 60] {
                    drawn(model, width, height, true);
                }
            }
        }
    }
}

#[test]
fn a_small_screen_shows_rows_and_the_selected_one_among_them() {
    let mut model = model((0..50).map(|at| queue(&format!("q{at:02}"), 1)).collect());
    model.set_page(1);
    model.move_by(isize::MAX);
    let lines = lines(&drawn(&mut model, 40, 10, true));
    assert!(lines[3].starts_with("q44") && lines[8].starts_with("q49"), "{lines:#?}");
    assert!(lines[9].starts_with("? help"), "{lines:#?}");
}

#[test]
fn states_are_shown() {
    let line = |model: &mut Model, at: usize| lines(&drawn(model, 80, 24, true))[at].clone();
    let mut new = Model::new(Duration::from_secs(2));
    assert_eq!(line(&mut new, 1), "connecting");
    new.waiting = Duration::from_secs(5);
    assert_eq!(line(&mut new, 1), "no answer from the server for 5.0s");
    let mut model = model(Vec::new());
    assert_eq!(line(&mut model, 3), "there are no queues");
    model.set_filter("x".to_owned());
    assert_eq!(line(&mut model, 3), "no name matches the filter");
    assert_eq!(line(&mut model, 23), "filter /x");
    model.mode = Mode::Filter;
    assert_eq!(line(&mut model, 23), "/x");
    model.is_paused = true;
    assert!(line(&mut model, 0).contains("PAUSED"));
    model.mode = Mode::Help;
    let help = lines(&drawn(&mut model, 80, 24, true)).join("\n");
    assert!(
        help.contains("Help") && help.contains("reverse the order") && help.contains("LastSeen"),
        "{help}"
    );
}
