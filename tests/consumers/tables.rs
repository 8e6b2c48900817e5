//! `table_filter`: only events of some tables.

use pgq::NewEvent;

use super::*;
use crate::support::queues::UNUSUAL;

const QUOTED: &str = "public.it's \"odd\" \\ table";

fn insert_of(client: &mut Client, tables: &[Option<&str>]) {
    for (n, table) in tables.iter().enumerate() {
        let data = format!("event {n}");
        let event = NewEvent::new("I", &data).extra([*table, None, None, None]);
        pgq::insert_new_event(client, QUEUE, &event).expect("inserted");
    }
    queues::tick(client, QUEUE);
}

const TABLES: [Option<&str>; 6] =
    [Some("public.users"), Some("public.orders"), None, Some(QUOTED), Some(UNUSUAL), Some("other.users")];

#[test]
fn only_events_of_the_tables_are_read_in_every_mode() {
    for pgq in Pgq::ALL {
        for autocommit in [false, true] {
            let (_database, mut client) = pgq.database();
            let subscription = subscribe(&mut client, |settings| {
                settings.table_filter = ["public.users", QUOTED, UNUSUAL].map(str::to_owned).to_vec();
                settings.autocommit = autocommit;
                settings.lazy_fetch = Some(1);
            });
            insert_of(&mut client, &TABLES);
            let numbers: Vec<i64> = take(&mut client, &subscription).iter().map(|seen| seen.0).collect();
            assert_eq!(numbers, [0, 3, 4], "{pgq:?}");
        }
    }
}

#[test]
fn a_retried_event_passes_the_filter_again() {
    let (_database, mut client) = Pgq::Own.database();
    let subscription =
        subscribe(&mut client, |settings| settings.table_filter = vec!["public.users".to_owned()]);
    insert_of(&mut client, &TABLES);
    let mut consumer = handler(|_, _| Ok(Outcome::Retry(Duration::ZERO)));
    deliver(&mut client, &subscription, &mut consumer).expect("delivered");
    assert_eq!(return_retries(&mut client), 1);
    assert_eq!(take(&mut client, &subscription), [(0, 1)]);
}

#[test]
fn copying_leaves_out_other_tables_too() {
    for autocommit in [false, true] {
        let (_database, mut client) = Pgq::Own.database();
        let (_target, mut dst) = Pgq::Own.database();
        let subscription = subscribe(&mut client, |settings| {
            settings.table_filter = vec![QUOTED.to_owned()];
            settings.autocommit = autocommit;
        });
        insert_of(&mut client, &TABLES);
        let mut batch = open(&mut client, &subscription);
        assert_eq!(batch.copy_to(&mut dst, QUEUE).expect("copied"), 1);
        batch.finish().expect("finished");
        assert_eq!(queues::events(&mut dst, QUEUE)[0][1].as_deref(), Some("event 3"));
    }
}
