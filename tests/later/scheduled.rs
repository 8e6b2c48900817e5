//! The events of schedules: inserted when they are due, each time once.

use std::thread;

use pgq::{NewEvent, Schedule};

use super::*;

/// Schedules an event whose data is the name of the schedule.
pub(super) fn schedule(client: &mut Client, queue: &str, name: &str, cron: &str) {
    let schedule = Schedule::new(cron).expect("a valid pattern");
    pgq::schedule_event(client, queue, name, &schedule, &NewEvent::new("type", name)).expect("scheduled");
}

/// Moves the next times of all schedules into the past, as if no ticker had run for three days.
pub(super) fn make_due(client: &mut Client) {
    let moved = "update pgq.scheduled_time set next_no = next_no + 1, next_time = now() - interval '3 days'";
    client.execute(moved, &[]).expect("moved");
}

/// Inserts the events that are due; returns their number.
pub(super) fn insert(client: &mut Client) -> u64 {
    pgq::ticker::insert_scheduled_events(client).expect("inserted")
}

#[test]
fn after_an_outage_the_event_is_inserted_once() {
    for kind in KINDS {
        let (_database, mut client) = database(kind);
        let extra = [Some("1"), None, Some(""), Some(QUEUE)];
        let every_minute = Schedule::new("* * * * *").expect("valid");
        let event = NewEvent::new("type", "data").extra(extra);
        pgq::schedule_event(&mut client, QUEUE, "s", &every_minute, &event).expect("scheduled");
        assert_eq!(insert(&mut client), 0, "{kind}: not due");
        make_due(&mut client);
        let before = schedules::now(&mut client);
        assert_eq!(insert(&mut client), 1, "{kind}");
        assert_eq!(insert(&mut client), 0, "{kind}");
        let table = "select queue_data_pfx from pgq.queue where queue_name = $1";
        let table: String = client.query_one(table, &[&QUEUE]).expect("read").get(0);
        let columns = "ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4";
        let rows = client.query(&format!("select ev_time >= $1, {columns} from {table}"), &[&before]);
        let [row] = &*rows.expect("read") else { panic!("{kind}: one event") };
        assert!(row.get::<_, bool>(0), "{kind}: its time is that of the insert");
        let texts: Vec<Option<String>> = (1..7).map(|column| row.get(column)).collect();
        let expected = [&[Some("type"), Some("data")][..], &extra].concat();
        assert_eq!(texts.iter().map(Option::as_deref).collect::<Vec<_>>(), expected, "{kind}");
        let next = pgq::admin::scheduled_events(&mut client, Some(QUEUE)).expect("listed")[0].next;
        assert!(
            next > Some(before)
                && next == every_minute.next_after(next.expect("set") - chrono::TimeDelta::seconds(1))
        );
    }
}

/// Calls the function of the ticker for the schedule, with the number and the next time, as SQL.
fn insert_with(client: &mut impl postgres::GenericClient, number: &str, next: &str) -> bool {
    let call = format!("select pgq._insert_scheduled(ev_id, {number}, {next}) from pgq.scheduled_event");
    client.query_one(&call, &[]).expect("called").get(0)
}

const NUMBER: &str = "(select next_no from pgq._scheduled_state())";
const HOUR: &str = "clock_timestamp() + interval '1 hour'";

#[test]
fn only_the_first_of_two_sessions_inserts_the_event() {
    for kind in KINDS {
        let (database, mut client) = database(kind);
        schedule(&mut client, QUEUE, "s", "@hourly");
        let mut other = database.client();
        assert!(
            !insert_with(&mut client, NUMBER, HOUR),
            "{kind}: as with a clock that was set back, it is not due"
        );
        make_due(&mut client);
        let number =
            client.query_one(&format!("select {NUMBER}"), &[]).expect("read").get::<_, i64>(0).to_string();
        let past = "clock_timestamp() - interval '1 hour'";
        assert!(!insert_with(&mut client, NUMBER, past), "{kind}: the next time is over");
        let mut transaction = client.transaction().expect("begun");
        assert!(insert_with(&mut transaction, &number, HOUR), "{kind}");
        assert_eq!(insert(&mut other), 0, "{kind}: another session does it");
        transaction.rollback().expect("rolled back");
        assert!(insert_with(&mut other, &number, HOUR), "{kind}");
        make_due(&mut client);
        assert!(!insert_with(&mut client, &number, HOUR), "{kind}: this one is late");
        // A session whose snapshot is older than the insert of another one.
        let mut transaction = client.build_transaction();
        transaction = transaction.isolation_level(postgres::IsolationLevel::RepeatableRead);
        let mut transaction = transaction.start().expect("begun");
        transaction.query_one(&format!("select {NUMBER}"), &[]).expect("a snapshot");
        assert_eq!(insert(&mut other), 1, "{kind}");
        let call = format!("select pgq._insert_scheduled(ev_id, {NUMBER}, {HOUR}) from pgq.scheduled_event");
        let error = transaction.query_one(&call, &[]).expect_err("an older snapshot");
        assert_eq!(error.code().map(postgres::error::SqlState::code), Some("40001"), "{kind}: {error:?}");
        drop(transaction);
        assert_eq!(queues::count(&mut client, QUEUE), 2, "{kind}");
    }
}

#[test]
fn sessions_that_insert_at_the_same_time_insert_each_event_once() {
    for kind in KINDS {
        let (database, mut client) = database(kind);
        for name in 0..20 {
            schedule(&mut client, QUEUE, &name.to_string(), "@yearly");
        }
        for round in 1..=5 {
            make_due(&mut client);
            let sessions: Vec<Client> = (0..4).map(|_| database.client()).collect();
            let threads: Vec<_> =
                sessions.into_iter().map(|mut client| thread::spawn(move || insert(&mut client))).collect();
            let total: u64 = threads.into_iter().map(|thread| thread.join().expect("no panic")).sum();
            // A session may skip one that another session has locked without inserting it.
            assert_eq!(total + insert(&mut client), 20, "{kind}");
            assert_eq!(queues::count(&mut client, QUEUE), 20 * round, "{kind}");
        }
    }
}

#[test]
fn a_closed_queue_a_broken_one_and_a_wrong_pattern_delay_no_others() {
    for kind in KINDS {
        let (_database, mut client) = database(kind);
        for queue in ["closed", "broken", "wrong"] {
            queues::create(&mut client, queue);
            schedule(&mut client, queue, queue, "@hourly");
        }
        schedule(&mut client, QUEUE, "good", "@hourly");
        make_due(&mut client);
        let broken = "create function no() returns trigger language plpgsql as $$ begin raise 'no'; end $$; \
             do $$ begin for part in 0 .. 2 loop execute format('create trigger no before insert on pgq.event_3_%s \
                 for each row execute function no()', part); end loop; end $$; \
             update pgq.queue set queue_disable_insert = true where queue_name = 'closed'; \
             update pgq.scheduled_event set ev_cron = 'not cron' where ev_name = 'wrong'";
        client.batch_execute(broken).expect("broken");
        let error = pgq::ticker::insert_scheduled_events(&mut client).expect_err("one is broken");
        assert_eq!(error.queue(), Some("broken"), "{kind}");
        assert!(error.to_string().starts_with("cannot insert the event of schedule `broken`"), "{error}");
        assert_eq!(data(&mut client, QUEUE), ["good"], "{kind}");
        client.batch_execute("drop function no() cascade").expect("dropped");
        let error = pgq::ticker::insert_scheduled_events(&mut client).expect_err("one is wrong");
        let text = format!("{error:#}");
        assert!(text.contains("schedule `wrong` (queue `wrong`): invalid cron pattern `not cron`"), "{text}");
        assert_eq!(data(&mut client, "broken"), ["broken"], "{kind}");
        let mended = "update pgq.queue set queue_disable_insert = false; \
             update pgq.scheduled_event set ev_cron = '@daily'";
        client.batch_execute(mended).expect("mended");
        assert_eq!(insert(&mut client), 2, "{kind}");
        assert_eq!(data(&mut client, "closed"), ["closed"], "{kind}");
    }
}

#[test]
fn a_schedule_without_a_time_gets_one_and_no_event() {
    for kind in KINDS {
        let (_database, mut client) = database(kind);
        let by_sql = "select * from pgq.schedule_event($1, 's', '@hourly', 'UTC', null, 't', 'd', null, null, null, null)";
        let row = client.query_one(by_sql, &[&QUEUE]).expect("scheduled");
        assert!(row.get::<_, bool>(0) && row.get::<_, Option<chrono::DateTime<chrono::Utc>>>(2).is_none());
        for lost in ["select", "delete from pgq.scheduled_time"] {
            client.batch_execute(lost).expect(lost);
            assert_eq!(insert(&mut client), 0, "{kind}: {lost}");
            let listed = pgq::admin::scheduled_events(&mut client, Some(QUEUE)).expect("listed");
            assert!(listed[0].next > Some(schedules::now(&mut client)), "{kind}: {lost}");
        }
        assert_eq!(queues::count(&mut client, QUEUE), 0, "{kind}");
        make_due(&mut client);
        assert_eq!((insert(&mut client), queues::count(&mut client, QUEUE)), (1, 1), "{kind}");
    }
}

/// The session that drops a queue waits for the one that inserts, or the other way round, and never both.
#[test]
fn a_queue_that_is_dropped_and_an_event_that_is_inserted_take_turns() {
    for kind in KINDS {
        let (database, mut client) = database(kind);
        schedule(&mut client, QUEUE, "s", "@hourly");
        make_due(&mut client);
        let mut dropping = client.transaction().expect("begun");
        dropping.execute("select pgq.drop_queue($1)", &[&QUEUE]).expect("dropped");
        let mut other = database.client();
        assert_eq!(insert(&mut other), 0, "{kind}: it does not wait");
        dropping.rollback().expect("rolled back");
        let mut inserting = client.transaction().expect("begun");
        assert!(insert_with(&mut inserting, NUMBER, HOUR), "{kind}");
        let dropper = thread::spawn(move || {
            other.execute("select pgq.drop_queue($1)", &[&QUEUE]).expect("dropped");
            other
        });
        let waiting = "select count(*) from pg_stat_activity where datname = $1 and wait_event_type = 'Lock'";
        let mut watcher = database.client();
        crate::support::wait_for("the lock", || {
            watcher.query_one(waiting, &[&database.name()]).expect("read").get::<_, i64>(0) == 1
        });
        inserting.commit().expect("committed");
        let mut other = dropper.join().expect("no panic");
        let left = other.query_one("select count(*) from pgq.scheduled_event", &[]).expect("read");
        assert_eq!(left.get::<_, i64>(0), 0, "{kind}");
    }
}
