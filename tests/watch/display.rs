//! The content of the display, and the effect of keys.

use super::*;
use crate::support::wait_for;

/// Returns the first words of the rows below the headings, as far as they are among these.
fn order(screen: &str, names: &[&str]) -> Vec<String> {
    let rows = screen.lines().skip(3).filter_map(|line| line.split_whitespace().next());
    rows.filter(|word| names.contains(word)).take(names.len()).map(str::to_owned).collect()
}

#[test]
fn queues_and_consumers_are_displayed_as_they_change() {
    let (database, mut client) = shop();
    let terminal = Terminal::open(&database.conninfo(), WATCH);
    terminal.wait_for_text("3 queues, 1 consumer");
    let screen = terminal.screen();
    assert!(screen.contains(&format!("{}: PostgreSQL", database.name())), "{screen}");
    assert!(screen.contains("every 100ms"), "{screen}");
    for text in ["Rotation", "Ticker", "TLag", "EPS", "New", "Ev/s", "LastSeen", "Pending", "Retry", "Failed"]
    {
        assert!(screen.contains(text), "{text}: {screen}");
    }
    assert_eq!(
        order(&screen, &["attic", "orders", "mailer", "注文の行列"]),
        ["attic", "orders", "mailer", "注文の行列"]
    );

    queues::insert(&mut client, "orders", 1, 4321);
    terminal.wait_for("new events", |screen| {
        screen.lines().any(|line| line.starts_with("orders") && line.contains(" 4321 "))
    });
    queues::tick(&mut client, "orders");
    terminal.wait_for("pending events", |screen| {
        screen.lines().any(|line| line.starts_with("  mailer") && line.contains(" 4321 "))
    });
    pgq::admin::create_queue(&mut client, "another").expect("created");
    terminal.wait_for_text("4 queues");
    pgq::admin::unregister_consumer(&mut client, "orders", "mailer").expect("unregistered");
    terminal.wait_for_text("0 consumers");
    assert_eq!(terminal.errors(), "");
}

#[test]
fn rates_and_a_chart_over_time() {
    let (database, mut client) = shop();
    let terminal = Terminal::open(&database.conninfo(), "status orders --watch=0.1");
    terminal.wait_for_text("1 queue, 1 consumer");
    terminal.type_keys(&["j"]);
    terminal.wait_for_text("mailer of orders: tick");
    let mut next = 0;
    let of = |screen: &str, name: &str| -> Option<f64> {
        let row = screen.lines().find(|line| line.trim_start().starts_with(name))?;
        let words: Vec<_> = row.split_whitespace().collect();
        // Of the queue's row the last two columns are rate and retry; of the consumer's, the rate is the first.
        let rate = if name == "orders" { words.len().checked_sub(2)? } else { 1 };
        words.get(rate)?.parse().ok()
    };
    terminal.wait_for("a chart with bars", |screen| screen.contains('█') && screen.contains("lag: "));
    wait_for("a rate in", || {
        next += 1000;
        queues::insert(&mut client, "orders", next, 1000);
        of(&terminal.screen(), "orders").is_some_and(|rate| rate > 0.0)
    });
    wait_for("a rate out", || {
        queues::insert(&mut client, "orders", next, 1000);
        let tick = queues::tick(&mut client, "orders");
        pgq::admin::register_consumer_at(&mut client, "orders", "mailer", tick).expect("moved");
        of(&terminal.screen(), "mailer").is_some_and(|rate| rate > 0.0)
    });
}

#[test]
fn keys_sort_filter_and_explain() {
    let (database, mut client) = shop();
    pgq::admin::register_consumer(&mut client, "注文の行列", "late").expect("registered");
    queues::insert(&mut client, "注文の行列", 1, 5);
    queues::tick(&mut client, "注文の行列");
    let terminal = Terminal::open(&database.conninfo(), WATCH);
    let names = ["attic", "orders", "注文の行列"];
    let sorted = |what: &str, mark: &str, expected: [&str; 3]| {
        terminal.wait_for(what, |screen| screen.contains(mark) && order(screen, &names) == expected);
    };
    sorted("by name", "Queue/consumer↑", ["attic", "orders", "注文の行列"]);
    terminal.type_keys(&["r"]);
    sorted("by name, reversed", "Queue/consumer↓", ["注文の行列", "orders", "attic"]);
    terminal.type_keys(&["<", "<", "Left"]);
    sorted("by pending events", "Pending↓", ["注文の行列", "orders", "attic"]);
    terminal.type_keys(&["r"]);
    sorted("by pending events, reversed", "Pending↑", ["orders", "注文の行列", "attic"]);
    filter(&terminal, &names);

    terminal.type_keys(&["?"]);
    terminal.wait_for("the help", |screen| screen.contains("Help") && screen.contains("reverse the order"));
    terminal.type_keys(&["q"]);
    terminal.wait_for("no help", |screen| !screen.contains("reverse the order"));
    pause(&terminal, &mut client);
    terminal.type_keys(&["q"]);
    assert_eq!(terminal.wait_for_end(), "0");
}

/// Shows the names that match a filter, then all `names` again.
fn filter(terminal: &Terminal, names: &[&str]) {
    terminal.type_keys(&["/", "M", "a", "q"]);
    terminal.wait_for_text("no name matches the filter");
    terminal.type_keys(&["BSpace", "Enter"]);
    terminal.wait_for("the filtered", |screen| {
        let rows = ["attic", "late", "orders", "mailer"];
        order(screen, &rows) == ["orders", "mailer"] && screen.contains("filter /Ma")
    });
    terminal.type_keys(&["/", "Escape"]);
    terminal
        .wait_for("all again", |screen| order(screen, names).len() == 3 && !screen.contains("filter /Ma"));
}

/// Changes the pace, pauses, refreshes the paused display, and continues.
fn pause(terminal: &Terminal, client: &mut Client) {
    terminal.type_keys(&["+", "+"]);
    terminal.wait_for_text("every 500ms");
    terminal.type_keys(&["-", "Space"]);
    terminal.wait_for("a pause", |screen| screen.contains("PAUSED"));
    pgq::admin::create_queue(client, "created").expect("created");
    terminal.type_keys(&["Enter"]);
    terminal
        .wait_for("the screen in between", |screen| screen.contains("4 queues") && screen.contains("PAUSED"));
    terminal.type_keys(&["Space"]);
    terminal.wait_for_text("every 200ms");
}

#[test]
fn many_queues_are_scrolled_in_a_terminal_of_any_size() {
    let (database, mut client) = shop();
    client
        .batch_execute("select pgq.create_queue('q' || n) from generate_series(100, 199) n")
        .expect("created");
    let terminal = Terminal::open(&database.conninfo(), WATCH);
    terminal.wait_for("the first page", |screen| screen.contains("q100") && !screen.contains("q199"));
    terminal.type_keys(&["End"]);
    terminal.wait_for("the end", |screen| screen.contains("注文の行列") && screen.contains("q199"));
    terminal.type_keys(&["PageUp", "PageUp", "k"]);
    terminal.wait_for("further up", |screen| screen.contains("q171") && !screen.contains("q199"));
    terminal.type_keys(&["g"]);
    terminal
        .wait_for("the start", |screen| screen.contains("attic") && screen.contains("attic: table 1 of 3"));

    let fits = |width: u16, height: usize, last: &str| {
        terminal.resize(width, height as u16);
        terminal.wait_for("the size", |screen| {
            let lines: Vec<_> = screen.trim_end().lines().collect();
            lines.len() == height
                && lines[height - 1].starts_with("? help")
                && lines[height - 2].starts_with(last)
        })
    };
    let screen = fits(40, 10, "q102");
    assert!(screen.contains("Lag") && !screen.contains("Ticker"), "{screen}");
    terminal.type_keys(&["End"]);
    terminal.wait_for("the end", |screen| screen.contains("注文の行列"));
    terminal.type_keys(&["Home"]);
    let screen = fits(160, 60, "");
    assert!(screen.contains("Ticker") && screen.contains("q140"), "{screen}");
    terminal.resize(1, 1);
    terminal.resize(20, 3);
    terminal.resize(100, 24);
    terminal.wait_for_text("attic: table 1 of 3");
    terminal.type_keys(&["q"]);
    assert_eq!(terminal.wait_for_end(), "0");
}

#[test]
fn the_cause_of_a_delayed_rotation_is_shown_in_red() {
    let (database, mut client) = shop();
    client.execute("select pgq.set_queue_config('orders', 'rotation_period', '0')", &[]).expect("set");
    let terminal = Terminal::open(&database.conninfo(), WATCH);
    let plain = Terminal::run("pgqadm", &database.conninfo(), "adm.ini status --watch=0.1", "NO_COLOR=1");
    let holder = "rotation held up by consumer `mailer`";
    // Transactions of other tests on the same server may hold it up before.
    wait_for(holder, || {
        client
            .batch_execute(
                "select pgq.maint_rotate_tables_step1('orders'); select pgq.maint_rotate_tables_step2()",
            )
            .expect("maintained");
        queues::tick(&mut client, "orders");
        terminal.screen().contains(holder) && plain.screen().contains(holder)
    });
    let line = |terminal: &Terminal| {
        let screen = terminal.colored();
        screen.lines().find(|line| line.contains(holder)).expect("it stays").to_owned()
    };
    let is_red = |text: &str| text.contains("\u{1b}[31m") || text.contains("\u{1b}[38;5;1m");
    assert!(is_red(&line(&terminal)), "{:?}", line(&terminal));
    assert!(!is_red(&plain.colored()) && !plain.colored().contains("\u{1b}[38"), "{:?}", plain.colored());
}
