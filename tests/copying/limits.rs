//! Limits of the role on statements and transactions: a batch may be larger than they allow for.

use std::thread;

use pgq::{Batch, Settings, Subscription};
use postgres::Client;

use super::{CONSUMER, QUEUE, database, make_queue};
use crate::support::programs::{Pair, SOURCE_QUEUE, TARGET_QUEUE, succeed};
use crate::support::{queues, wait_for};

/// Moves a batch of five ticks under limits that are shorter than it takes: each row takes two milliseconds.
pub(super) fn check_mover(more: &str, limits: &str) {
    let pair = Pair::create();
    pair.write_ini(more);
    pair.register();
    let (mut source, mut target) = (pair.source_client(), pair.target_client());
    target
        .batch_execute(
            "create function slow() returns trigger language plpgsql as $$ \
             begin perform pg_sleep(0.002); return new; end $$; \
             create trigger slow before insert on pgq.event_1_0 for each row execute function slow()",
        )
        .expect("created");
    for n in 0..5 {
        queues::insert(&mut source, SOURCE_QUEUE, n * 100, 100);
        queues::tick(&mut source, SOURCE_QUEUE);
    }
    succeed(pair.mover(&["--set", "loop_delay=0"]).env("PGOPTIONS", limits));
    assert_eq!(queues::count(&mut target, TARGET_QUEUE), 500, "{}", pair.log());
}

#[test]
fn a_mover_may_take_longer_than_the_roles_statements() {
    for more in ["", "keep_event_ids = 1\n", "pgq_autocommit = 1\n"] {
        check_mover(more, "-c statement_timeout=700 -c idle_in_transaction_session_timeout=700");
    }
}

#[test]
fn reading_a_batch_may_take_longer_than_a_handlers_statements() {
    for autocommit in [false, true] {
        let (database, mut client) = database(pgq::schema::Kind::Own);
        make_queue(&mut client, "other");
        queues::insert(&mut client, QUEUE, 0, 3);
        queues::tick(&mut client, QUEUE);
        let mut settings = Settings::new(QUEUE, CONSUMER);
        settings.autocommit = autocommit;
        let subscription = Subscription::new(settings);
        let mut reader = database.client();
        let limits = "set statement_timeout = '300ms'; set idle_in_transaction_session_timeout = '300ms'";
        reader.batch_execute(limits).expect("set");
        let info = subscription.next_batch(&mut reader).expect("answers").expect("a batch");
        let mut batch = Batch::open(&mut reader, &subscription, info).expect("opened");
        let mut holder = database.client();
        holder.batch_execute("begin; lock table pgq.event_1_0 in access exclusive mode").expect("locked");
        let mut rows = 0;
        thread::scope(|scope| {
            scope.spawn(|| release_late(&mut client, &mut holder));
            while batch.next_event().expect("read").is_some() {
                rows += 1;
            }
        });
        assert_eq!(rows, 3);
        if !autocommit {
            let limits = "select current_setting('statement_timeout'), \
                          current_setting('idle_in_transaction_session_timeout')";
            let row = batch.db().expect("a transaction is open").query_one(limits, &[]).expect("readable");
            assert_eq!((row.get(0), row.get(1)), ("300ms", "0"));
        }
        batch.finish().expect("finished");
        let limit = "select current_setting('statement_timeout')";
        assert_eq!(reader.query_one(limit, &[]).expect("readable").get::<_, &str>(0), "300ms");
    }
}

/// Gives the table back when somebody has waited for it for longer than a statement may take.
fn release_late(client: &mut Client, holder: &mut Client) {
    wait_for("the reader to have waited for long", || {
        let waits = "select count(*) filter (where clock_timestamp() - query_start < '500 ms' or state = 'idle' \
                         and state_change > clock_timestamp() - interval '500 ms') = 0 \
                     from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() \
                         and query like '%event_1_0%' and query not like 'begin;%'";
        client.query_one(waits, &[]).expect("readable").get(0)
    });
    holder.batch_execute("rollback").expect("released");
}
