//! The meaning of every column.

use std::time::Duration;

use pgq::status::Cooperation;
use postgres::NoTls;

use super::*;
use crate::support::unique;

const KINDS: [Kind; 2] = [Kind::Own, Kind::Extension];

#[test]
fn a_queue_shows_its_settings_and_new_events() {
    for kind in KINDS {
        let (database, mut client) = installed(kind);
        assert!(read(&mut client).queues.is_empty());
        queues::create(&mut client, "q");
        client
            .batch_execute(
                "select pgq.set_queue_config('q', 'ticker_max_count', '7'), \
                        pgq.set_queue_config('q', 'ticker_max_lag', '00:00:04.5'), \
                        pgq.set_queue_config('q', 'ticker_idle_period', '90 seconds'), \
                        pgq.set_queue_config('q', 'rotation_period', '1 day'); \
                 update pgq.queue set queue_switch_time = now() - interval '5 minutes'; \
                 update pgq.tick set tick_time = now() - interval '100 seconds'",
            )
            .expect("set");
        queues::insert(&mut client, "q", 1, 30);
        client.batch_execute("update pgq.queue set queue_ticker_max_count = 1").expect("set");
        let tick = queues::tick(&mut client, "q");
        client.batch_execute("update pgq.queue set queue_ticker_max_count = 7").expect("set");
        queues::insert(&mut client, "q", 31, 3);

        assert_versions(&mut client, kind, database.name());
        assert_settings_and_new_events(&mut client, tick);
        for (setting, flags) in [
            ("ticker_paused", (true, false, false)),
            ("external_ticker", (true, true, false)),
            ("disable_insert", (true, true, true)),
        ] {
            client.batch_execute(&format!("update pgq.queue set queue_{setting} = true")).expect("set");
            let queue = queue(&mut client, "q");
            assert_eq!((queue.paused, queue.external, queue.disabled), flags, "{setting}");
        }
    }
}

fn assert_versions(client: &mut Client, kind: Kind, name: &str) {
    let status = read(client);
    assert_eq!(status.database, name);
    assert_eq!(status.schema, Some(kind));
    let version: String = client.query_one("select pgq.version()", &[]).expect("answers").get(0);
    assert_eq!(status.pgq_version, version);
    let version: String = client.query_one("show server_version", &[]).expect("answers").get(0);
    assert_eq!(status.server_version, version);
}

fn assert_settings_and_new_events(client: &mut Client, tick: i64) {
    let queue = queue(client, "q");
    assert_eq!((queue.ticker.max_count, queue.ticker.max_lag), (7, Duration::from_millis(4500)));
    assert_eq!(queue.ticker.idle_period, Duration::from_secs(90));
    assert_eq!((queue.rotation.table, queue.rotation.tables), (0, 3));
    assert_eq!(queue.rotation.period, Duration::from_secs(86400));
    assert!(!queue.rotation.is_due && queue.rotation.held_up_by.is_empty());
    assert!(queue.rotation.age >= Duration::from_secs(300), "{queue:?}");
    assert!(queue.ticker_lag.is_some_and(|lag| lag < Duration::from_secs(100)), "{queue:?}");
    assert_eq!((queue.new_events, queue.last_tick), (Some(3), Some(tick)));
    let last: i64 = client
        .query_one("select tick_event_seq from pgq.tick where tick_id = $1", &[&tick])
        .expect("the tick is there")
        .get(0);
    assert_eq!(queue.last_tick_event, Some(last));
    let rate = queue.events_per_second.expect("there are two ticks");
    assert!(rate > 0.1 && rate <= 0.31, "{rate}");
    assert_eq!((queue.paused, queue.external, queue.disabled), (false, false, false));
    assert_eq!(queue.retry_events, Some(0));
}

#[test]
fn a_consumer_shows_its_position_and_pending_events() {
    for kind in KINDS {
        let (database, mut client) = installed(kind);
        queues::create(&mut client, "q");
        queues::insert(&mut client, "q", 0, 1);
        queues::tick(&mut client, "q");
        pgq::admin::register_consumer(&mut client, "q", "c").expect("registered");
        let (first, _) = queues::position(&mut client, "q", "c");
        queues::insert(&mut client, "q", 1, 5);
        client
            .batch_execute(
                "update pgq.tick set tick_time = now() - interval '50 seconds'; \
                 update pgq.subscription set sub_active = now() - interval '40 seconds'",
            )
            .expect("made older");
        let tick = queues::tick(&mut client, "q");
        queues::insert(&mut client, "q", 6, 2);
        let last = queues::tick(&mut client, "q");

        assert_idle(&database, first);
        let batch: i64 = client.query_one("select pgq.next_batch('q', 'c')", &[]).expect("a batch").get(0);
        assert_in_batch(&mut client, batch, first, tick);
        client.execute("select pgq.finish_batch($1)", &[&batch]).expect("finished");
        let status = queue(&mut client, "q");
        let seen = consumer(&status, "c");
        assert_eq!((seen.last_tick, seen.batch, seen.next_tick), (Some(tick), None, None));
        assert_eq!(seen.pending_events, Some(2));
        assert!(tick < last);
    }
}

/// Asserts the columns of a consumer that was active 40 seconds ago and has no batch.
fn assert_idle(database: &Database, first: i64) {
    let mut client = database.client();
    let status = queue(&mut client, "q");
    let seen = consumer(&status, "c");
    assert_eq!(seen.cooperation, None);
    assert!(seen.lag >= Some(Duration::from_secs(50)), "{seen:?}");
    assert!(seen.last_seen >= Duration::from_secs(40), "{seen:?}");
    assert_eq!((seen.last_tick, seen.batch, seen.next_tick), (Some(first), None, None));
    let event = "select tick_event_seq from pgq.tick where tick_id = $1";
    let event: i64 = client.query_one(event, &[&first]).expect("the tick is there").get(0);
    assert_eq!(seen.last_tick_event, Some(event));
    assert_eq!((seen.pending_events, seen.retry_events, seen.failed_events), (Some(7), Some(0), Some(0)));
    assert!(!seen.holds_up_rotation);
}

/// Asserts the columns of a consumer whose batch is open, after two retries and a failure.
fn assert_in_batch(client: &mut Client, batch: i64, first: i64, tick: i64) {
    client
        .batch_execute(&format!(
            "select pgq.event_retry({batch}, 2, 3600), pgq.event_retry({batch}, 3, 3600), \
                        pgq.event_failed({batch}, 4, 'no')"
        ))
        .expect("scheduled");
    let status = queue(client, "q");
    let seen = consumer(&status, "c");
    assert!(seen.last_seen < Duration::from_secs(40), "{seen:?}");
    assert_eq!((seen.last_tick, seen.batch, seen.next_tick), (Some(first), Some(batch), Some(tick)));
    assert_eq!((seen.retry_events, seen.failed_events), (Some(2), Some(1)));
    assert_eq!(status.retry_events, Some(2));
}

#[test]
fn cooperative_consumers_are_distinguished() {
    for kind in KINDS {
        let (_database, mut client) = installed(kind);
        queues::create(&mut client, "q");
        client
            .batch_execute(
                "select pgq.register_consumer('q', 'a.b'); \
                 select pgq_coop.register_subconsumer('q', 'c', s) from unnest(array['z', 'a']) s",
            )
            .expect("registered");
        queues::insert(&mut client, "q", 1, 3);
        queues::tick(&mut client, "q");
        let batch: i64 =
            client.query_one("select pgq_coop.next_batch('q', 'c', 'z')", &[]).expect("a batch").get(0);
        client.batch_execute(&format!("select pgq.event_failed({batch}, 1, 'no')")).expect("given up");
        let status = queue(&mut client, "q");
        let parts: Vec<_> = status
            .consumers
            .iter()
            .map(|consumer| (consumer.name.as_str(), consumer.cooperation, consumer.failed_events))
            .collect();
        let subconsumer = Some(Cooperation::Subconsumer);
        assert_eq!(
            parts,
            [
                ("a.b", None, Some(0)),
                ("c", Some(Cooperation::Consumer), Some(1)),
                ("c.a", subconsumer, None),
                ("c.z", subconsumer, None)
            ]
        );
        assert_eq!(consumer(&status, "c.z").batch, Some(batch));
        let idle = consumer(&status, "c.a");
        assert_eq!((idle.lag, idle.last_tick, idle.pending_events), (None, None, None));
    }
}

#[test]
fn an_ordinary_role_sees_all_but_restricted_columns() {
    for kind in KINDS {
        let (database, mut owner) = installed(kind);
        queues::create(&mut owner, "q");
        pgq::admin::register_consumer(&mut owner, "q", "c").expect("registered");
        let role = format!("ordinary_{}", unique());
        owner.batch_execute(&format!("create role {role} login")).expect("created");
        let conninfo = database.conninfo().replace("user=postgres", &format!("user={role}"));
        let mut client = Client::connect(&conninfo, NoTls).expect("connected");

        let (mut seen, full) = (queue(&mut client, "q"), queue(&mut owner, "q"));
        assert_eq!((seen.retry_events, full.retry_events), (None, Some(0)));
        let [ref mine] = seen.consumers[..] else { panic!("{seen:?}") };
        assert_eq!((mine.retry_events, mine.failed_events), (None, None));
        seen.retry_events = Some(0);
        assert_eq!((seen.last_tick, seen.new_events), (full.last_tick, full.new_events));
        assert_eq!(consumer(&seen, "c").pending_events, Some(0));

        owner.batch_execute(&format!("grant pgq_reader to {role}")).expect("granted");
        let status = queue(&mut client, "q");
        let seen = consumer(&status, "c");
        assert_eq!((seen.retry_events, seen.failed_events), (None, Some(0)));
        drop(client);
        owner.batch_execute(&format!("revoke pgq_reader from {role}; drop role {role}")).expect("dropped");
    }
}

#[test]
fn without_pgq_the_error_says_how_to_install_it() {
    let database = Database::create("status");
    let error = Status::read(&mut database.client()).expect_err("nothing is installed");
    assert!(error.kind() == pgq::ErrorKind::Missing);
    assert!(
        error.to_string().ends_with("run `pgqadm CONFIG.ini install` or `pgq::schema::install`"),
        "{error}"
    );
    let (_database, mut client) = installed(Kind::Own);
    let error = read(&mut client).only("q").expect_err("no such queue");
    assert!(error.kind() == pgq::ErrorKind::Missing);
}
