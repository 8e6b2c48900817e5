//! The statements of a ticker.

use std::time::Duration;

use postgres::Client;

use super::{KINDS, QUEUE, backlog};
use crate::support::{queues, wait_for};

/// The statement that the ticker's session has run last, if it is a prepared one.
const EXECUTES: &str = "select exists (select from pg_stat_activity where datname = current_database() \
     and application_name = 'ticker' and query like '%execute dbscript%')";

/// Makes each tick deallocate the statements of the session that ticks.
const DEALLOCATE: &str = "alter function pgq.ticker(text) rename to ticker_before; \
     create function pgq.ticker(queue text) returns bigint language plpgsql \
     as 'begin execute ''deallocate all''; return pgq.ticker_before(queue); end'";

fn last_tick(client: &mut Client) -> i64 {
    client.query_one("select max(tick_id) from pgq.tick", &[]).expect("readable").get(0)
}

/// Inserts events until the ticker has made so many more ticks.
fn wait_for_ticks(client: &mut Client, count: i64, mut also: impl FnMut(&mut Client) -> bool) {
    let end = last_tick(client) + count;
    wait_for("ticks", || {
        queues::insert(client, QUEUE, 1, 1);
        last_tick(client) >= end && also(client)
    });
}

fn executes(client: &mut Client) -> bool {
    client.query_one(EXECUTES, &[]).expect("readable").get(0)
}

#[test]
fn a_ticker_prepares_its_statements_and_goes_on_without_when_they_are_lost() {
    for kind in KINDS {
        let (database, mut client) = backlog(kind, 1);
        let ticker = pgq::Ticker::new(&database.conninfo()).loop_delay(Duration::from_millis(1));
        let ticker = ticker.spawn().expect("up");
        wait_for_ticks(&mut client, 20, executes);
        client.batch_execute(DEALLOCATE).expect("replaced");
        wait_for_ticks(&mut client, 20, |client| !executes(client));
        let status = ticker.state().status();
        assert_eq!((status.error, status.failing_queues), (None, Vec::new()), "{kind:?}");
        ticker.stop();
    }
}

#[test]
fn a_ticker_survives_an_upgrade_and_the_end_of_its_session() {
    for kind in KINDS {
        let (database, mut client) = backlog(kind, 1);
        let ticker = pgq::Ticker::new(&database.conninfo()).loop_delay(Duration::from_millis(1));
        let ticker = ticker.spawn().expect("up");
        for _ in 0..3 {
            wait_for_ticks(&mut client, 20, executes);
            queues::install_as(&mut client, kind);
        }
        let end = "select pg_terminate_backend(pid) from pg_stat_activity \
                   where datname = current_database() and application_name = 'ticker'";
        client.batch_execute(end).expect("ended");
        wait_for_ticks(&mut client, 20, executes);
        ticker.stop();
    }
}
