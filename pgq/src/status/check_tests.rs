use super::*;

fn status() -> Status {
    let seconds = Duration::from_secs;
    let mut queue = QueueStatus { name: "q".to_owned(), ticker_lag: Some(seconds(70)), ..Default::default() };
    queue.ticker.idle_period = seconds(60);
    queue.consumers.push(ConsumerStatus {
        name: "c".to_owned(),
        lag: Some(seconds(80)),
        last_seen: seconds(75),
        ..Default::default()
    });
    Status {
        database: "somedb".to_owned(),
        server_version: "15.1".to_owned(),
        pgq_version: "3.5".to_owned(),
        schema: None,
        time: chrono::DateTime::UNIX_EPOCH,
        unentitled_lock_holders: Vec::new(),
        tickers: Vec::new(),
        queues: vec![queue],
        findings: Vec::new(),
        old_snapshots: Vec::new(),
    }
}

#[test]
fn all_is_well() {
    assert_eq!(
        Limits::default().check(&status()).to_string(),
        "OK - 1 queue, 1 consumer | ticker_lag=10s;60;300 consumer_lag=20s;300;3600 last_seen=15s;300;3600 \
         pending_events=0;100000;1000000 failed_events=0;1;100 rotation_age=0s;3600;21600 snapshot_age=0s;3600;21600"
    );
}

#[test]
fn each_limit_is_compared() {
    type Change = fn(&mut Status, f64);
    let change: [(&str, Change); 6] = [
        ("last tick", |status, value| {
            status.queues[0].ticker_lag = Some(Duration::from_secs_f64(60.0 + value));
        }),
        ("lags", |status, value| {
            status.queues[0].consumers[0].lag = Some(Duration::from_secs_f64(60.0 + value));
        }),
        ("last seen", |status, value| {
            status.queues[0].consumers[0].last_seen = Duration::from_secs_f64(60.0 + value);
        }),
        ("pending", |status, value| status.queues[0].consumers[0].pending_events = Some(value as i64)),
        ("failed", |status, value| status.queues[0].consumers[0].failed_events = Some(value as u64)),
        ("overdue", |status, value| status.queues[0].rotation.age = Duration::from_secs_f64(value)),
    ];
    let limits = Evaluation::new(&Limits::default()).limits;
    for ((word, change), limit) in change.into_iter().zip(limits) {
        for (value, level) in [
            (limit.warning - 1.0, Level::Ok),
            (limit.warning, Level::Warning),
            (limit.critical - 1.0, Level::Warning),
            (limit.critical, Level::Critical),
        ] {
            let mut status = status();
            change(&mut status, value);
            let verdict = Limits::default().check(&status);
            assert_eq!(verdict.level, level, "{word} {value}");
            assert_eq!(verdict.text.contains(word), level != Level::Ok, "{}", verdict.text);
        }
    }
}

#[test]
fn the_worst_comes_first_and_the_line_stays_one_line() {
    let mut status = status();
    for n in 0..7 {
        let mut queue = status.queues[0].clone();
        queue.name = format!("q{n}|\n");
        queue.ticker_lag = Some(Duration::from_secs(if n == 6 { 1000 } else { 200 }));
        status.queues.push(queue);
    }
    let line = Limits::default().check(&status).to_string();
    assert!(line.starts_with("CRITICAL - queue `q6\\u{7c}\\n`: last tick 1000s ago, queue `q0"), "{line}");
    assert!(line.contains(", and 2 more | ticker_lag=940s;"), "{line}");
    assert_eq!((line.lines().count(), line.matches('|').count()), (1, 1));
}

#[test]
fn a_queue_that_was_never_ticked_is_a_warning() {
    let mut status = status();
    status.queues[0].ticker_lag = None;
    assert_eq!(Limits::default().check(&status).text, "queue `q`: never ticked");
    assert_eq!(Verdict::unknown("gone").to_string(), "UNKNOWN - gone");
    let off = Limits { ticker_lag: "off".parse().expect("a limit"), ..Limits::default() };
    assert_eq!(off.check(&status).level, Level::Ok);
}

#[test]
fn a_queue_that_is_paused_is_a_warning_and_one_ticked_elsewhere_is_not_judged() {
    let mut status = status();
    let day = Duration::from_secs(86_400);
    let queue = &mut status.queues[0];
    queue.ticker_lag = Some(day);
    queue.consumers[0].lag = Some(day);
    queue.consumers[0].last_seen = day;
    queue.consumers[0].pending_events = Some(0);
    queue.paused = true;
    let verdict = Limits::default().check(&status);
    assert_eq!((verdict.level, verdict.text.as_str()), (Level::Warning, "queue `q`: paused"));
    let off = Limits { ticker_lag: "off".parse().expect("a limit"), ..Limits::default() };
    assert_eq!(off.check(&status).level, Level::Ok);

    (status.queues[0].paused, status.queues[0].external) = (false, true);
    assert_eq!(Limits::default().check(&status).level, Level::Ok);
    status.queues[0].ticker_lag = None;
    assert_eq!(Limits::default().check(&status).level, Level::Ok);
}

#[test]
fn a_consumer_that_has_something_to_do_is_late_on_any_queue() {
    let mut status = status();
    status.queues[0].consumers[0].lag = Some(Duration::from_secs(4000));
    status.queues[0].consumers[0].pending_events = Some(1);
    let text = |status: &Status| Limits::default().check(status).text;
    let late = "consumer `c` of queue `q`: lags 4000s behind";
    assert_eq!(text(&status), late);
    status.queues[0].external = true;
    assert_eq!(text(&status), format!("{late}, external ticker"));
    status.queues[0].paused = true;
    status.queues[0].external = false;
    assert_eq!(text(&status), format!("{late}, paused, queue `q`: paused"));
}

#[test]
fn the_values_are_those_that_are_compared() {
    let mut status = status();
    let mut check = |micros: u64, level: Level, value: &str| {
        status.queues[0].ticker_lag = Some(Duration::from_secs(60) + Duration::from_micros(micros));
        let verdict = Limits::default().check(&status);
        assert_eq!((verdict.level, verdict.values[0].as_str()), (level, value));
    };
    check(59_600_000, Level::Ok, "ticker_lag=59.6s;60;300");
    check(59_999_400, Level::Ok, "ticker_lag=59.999s;60;300");
    check(59_999_600, Level::Warning, "ticker_lag=60s;60;300");
    check(500, Level::Ok, "ticker_lag=0.001s;60;300");
    check(100, Level::Ok, "ticker_lag=0s;60;300");
}
