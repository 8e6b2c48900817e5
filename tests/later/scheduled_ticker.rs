//! Recurring events by the ticker.

use pgq::Ticker;

use super::scheduled::{make_due, schedule};
use super::*;
use crate::support::wait_for;

#[test]
fn two_tickers_insert_each_event_once_soon_after_its_time() {
    for kind in KINDS {
        let (database, mut client) = database(kind);
        let conninfo = database.conninfo();
        schedule(&mut client, QUEUE, "s", "@yearly");
        let mut tickers: Vec<_> = (0..2).map(|_| Ticker::new(&conninfo).spawn().expect("up")).collect();
        wait_for("a leader", || tickers.iter().any(|ticker| ticker.state().is_ticking()));
        for round in 1..=3 {
            make_due(&mut client);
            // The periodic delivery alone takes up to 30 seconds, and the test waits for less in all.
            wait_for("the event", || queues::count(&mut client, QUEUE) >= round);
            let next = pgq::admin::scheduled_events(&mut client, Some(QUEUE)).expect("listed")[0].next;
            assert!(next > Some(schedules::now(&mut client)), "{kind}");
        }
        wait_for("the statistics", || {
            tickers.iter().map(|ticker| ticker.state().status().scheduled).sum::<u64>() == 3
        });
        assert_eq!(queues::count(&mut client, QUEUE), 3, "{kind}");
        // The leader ends; the standby takes over.
        let leader = tickers.iter().position(|ticker| ticker.state().is_ticking()).expect("a leader");
        drop(tickers.remove(leader));
        make_due(&mut client);
        wait_for("the event", || queues::count(&mut client, QUEUE) == 4);
    }
}

#[test]
fn a_schedule_that_fails_does_not_stop_the_ticker() {
    let (database, mut client) = database(Kind::Own);
    schedule(&mut client, QUEUE, "wrong", "@yearly");
    schedule(&mut client, QUEUE, "good", "@yearly");
    client
        .batch_execute("update pgq.scheduled_event set ev_zone = 'Nowhere' where ev_name = 'wrong'")
        .expect("set");
    make_due(&mut client);
    let _ticker = Ticker::new(&database.conninfo()).spawn().expect("up");
    wait_for("the first event", || data(&mut client, QUEUE) == ["good"]);
    make_due(&mut client);
    wait_for("the second event", || data(&mut client, QUEUE) == ["good", "good"]);
}
