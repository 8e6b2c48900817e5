//! Sequences behind their tables, as a logical migration leaves them.

use serde_json::Value;

use super::*;
use crate::support::wait_for;

const ALL: &str = "select setval('pgq.event_1_tick_seq', 1, false), setval('pgq.event_1_id_seq', 1, false), \
    setval('pgq.subscription_sub_id_seq', 1, false), setval('pgq.batch_id_seq', 1, false), \
    setval('pgq.consumer_co_id_seq', 1, false), setval('pgq.queue_queue_id_seq', 1, false)";

/// Gives the queue a tick far ahead of the first ones, and puts the consumer there.
fn tick_from_1000(place: &mut Place) {
    place.batch("select setval('pgq.event_1_tick_seq', 1000)");
    queues::tick(&mut place.client, "q");
    place.consume("a");
}

#[test]
fn no_tick_is_made_below_the_newest() {
    for mut place in Place::each() {
        tick_from_1000(&mut place);
        place.batch("select setval('pgq.event_1_tick_seq', 1, false)");
        let finding = "queue `q`: sequence `pgq.event_1_tick_seq` is at 0, behind tick 1001";
        place.says(&["check"], 2, &["CRITICAL", finding, "repair"]);
        place.says(&["status"], 0, &[&format!("! {finding}"), "repair"]);
        insert(&mut place.client, "lost?");
        let ticker = place.ticker();
        match place.kind {
            Kind::Own => {
                wait_for("the next tick", || place.number("select max(tick_id) from pgq.tick") > 1001)
            }
            Kind::Extension => {
                wait_for("the queue to be left out", || ticker.state().status().failing_queues == ["q"])
            }
        }
        assert_eq!(place.number("select count(*) from pgq.tick where tick_id between 3 and 1000"), 0);
        let (_, said) = place.run(&["repair", "--force"]);
        wait_for("the event", || place.consume("a") == ["lost?"]);
        assert_eq!(
            place.number("select count(*) from pgq.tick where tick_id between 3 and 1000"),
            0,
            "{said}"
        );
        place.says(&["check"], 0, &["OK"]);
        stop(ticker);
    }
}

#[test]
fn a_consumer_does_not_share_an_id() {
    for mut place in Place::each() {
        place.batch("select setval('pgq.subscription_sub_id_seq', 1, false)");
        for arguments in [&["register", "q", "b"][..], &["register", "q", "b", "--at", "1"]] {
            place.says(arguments, 1, &["cannot register consumer `b`", "behind the ids in use", "repair"]);
        }
        place.says(&["register", "q", "a"], 0, &["already registered"]);
        pgq::admin::register_subconsumer(&mut place.client, "q", "team", "one").expect_err("the same");
        place.says(&["unregister", "q", "b", "--force"], 0, &["not registered"]);
        assert_eq!(place.number("select count(*) from pgq.subscription"), 1);
        // A role that may not read the sequence detects it afterwards.
        let role = format!("moved_{}", crate::support::unique());
        place.batch(&format!("create role {role} in role pgq_reader; set role {role}"));
        let refused = pgq::admin::register_consumer(&mut place.client, "q", "b").expect_err("shared");
        assert!(format!("{refused:?}").contains("repair"), "{refused:?}");
        place.batch(&format!(
            "reset role; drop role {role}; select setval('pgq.subscription_sub_id_seq', 1, false)"
        ));
        place.says(&["repair", "--force"], 0, &["repaired: sequence `pgq.subscription_sub_id_seq` is at 0"]);
        place.says(&["register", "q", "b"], 0, &["registered"]);
        place.says(&["unregister", "q", "b", "--force"], 0, &["unregistered"]);
        assert_eq!(place.number("select count(*) from pgq.subscription"), 1);
    }
}

#[test]
fn in_the_own_schema_no_consumers_share_an_id() {
    let mut place = Place::create(Kind::Own);
    place.batch("select setval('pgq.subscription_sub_id_seq', 1, false)");
    let error = place.client.execute("select pgq.register_consumer('q', 'b')", &[]).expect_err("shared");
    assert_eq!(error.code().map(|code| code.code()), Some("XX001"), "{error:?}");
}

#[test]
fn all_sequences_are_moved_past_the_values_in_use() {
    for mut place in Place::each() {
        tick_from_1000(&mut place);
        queues::insert(&mut place.client, "q", 1, 30);
        queues::tick(&mut place.client, "q");
        place.batch("select pgq.next_batch('q', 'a')");
        place.batch(ALL);
        let said = place.says(&["repair"], 2, &["--force", "CRITICAL: ", "WARNING: "]);
        assert_eq!(said.matches("sequence `").count(), 6, "{said}");
        place.says(&["repair", "--force"], 0, &["repaired: "]);
        place.says(&["repair"], 0, &["nothing to repair"]);
        assert_eq!(pgq::admin::integrity::inspect(&mut place.client).expect("readable"), []);
        pgq::admin::create_queue(&mut place.client, "other").expect("created");
        pgq::admin::register_consumer(&mut place.client, "other", "b").expect("registered");
        assert_eq!(place.number("select count(distinct sub_id) from pgq.subscription"), 2);
        assert_eq!(place.consume("a").len(), 30);
        insert(&mut place.client, "new");
        let twice = "select count(*) - count(distinct ev_id) from pgq.event_1";
        assert_eq!(place.number(twice), 0);
        queues::tick(&mut place.client, "q");
        assert_eq!(place.consume("a"), ["new"]);
    }
}

/// As after a logical migration, which copies rows and no sequences. The catalogue says which tables have a sequence of
/// their own, so that a new one is not forgotten.
#[test]
fn rows_with_numbers_of_a_sequence_can_be_stored_again() {
    const STORE: &str = "do $$ begin for i in 1 .. 3 loop \
         perform pgq.insert_event_at('q', now() + '1 hour', 'type', 'data'); \
         perform pgq.schedule_event('q', (i + (select count(*) from pgq.scheduled_event))::text, \
             '@daily', 'UTC', now() + '1 hour', 'type', 'data', null, null, null, null); \
         insert into pgq.failed_queue (ev_id, ev_time, ev_owner) select i, now(), sub_id from pgq.subscription; \
         end loop; end $$";
    const NUMBERED: &str = "select format('pgq.%I', cls.relname), format('%I', att.attname) \
         from pg_attribute att join pg_class cls on cls.oid = att.attrelid \
         where cls.relnamespace = 'pgq'::regnamespace and att.attidentity <> '' order by 1";
    for mut place in Place::each() {
        place.batch(STORE);
        place.says(&["repair"], 0, &["nothing to repair"]);
        let numbered = place.client.query(NUMBERED, &[]).expect("readable");
        let numbered: Vec<(String, String)> = numbered.iter().map(|row| (row.get(0), row.get(1))).collect();
        assert!(numbered.len() >= 3, "{numbered:?}");
        for (table, column) in &numbered {
            place.batch(&format!("alter table {table} alter {column} restart"));
        }
        let said = place.says(
            &["repair"],
            2,
            &["CRITICAL: sequence `pgq.failed_queue_ev_failed_no_seq` is at 0, behind id 3"],
        );
        assert_eq!(said.matches("sequence `").count(), numbered.len(), "{said}");
        place.says(&["repair", "--force"], 0, &["repaired: "]);
        place.batch(STORE);
        for (table, _) in &numbered {
            assert_eq!(place.number(&format!("select count(*) from {table}")), 6, "{table}");
        }
    }
}

#[test]
fn the_next_value_of_a_sequence_counts() {
    for mut place in Place::each() {
        place.batch(
            "select setval('pgq.event_1_tick_seq', 5000, false), setval('pgq.subscription_sub_id_seq', 50, false), \
             setval('pgq.event_1_id_seq', 100000, false)",
        );
        assert_eq!(pgq::admin::integrity::inspect(&mut place.client).expect("readable"), []);
        pgq::admin::register_consumer(&mut place.client, "q", "b").expect("registered");
        insert(&mut place.client, "x");
        let ticker = place.ticker();
        wait_for("a tick", || place.number("select max(tick_id) from pgq.tick") >= 5000);
        stop(ticker);
    }
}

/// Without the queue's idle period, which never ends here, only new events make a tick.
#[test]
fn events_are_ticked_though_their_sequence_is_behind() {
    for mut place in Place::each() {
        place.batch(
            "update pgq.queue set queue_ticker_max_lag = '100 milliseconds', queue_ticker_idle_period = '1 day'; \
             select pgq.force_tick('q'); select pgq.ticker('q')",
        );
        place.consume("a");
        place.batch(
            "update pgq.tick set tick_time = tick_time - interval '2 days' \
                 where tick_id < (select max(tick_id) from pgq.tick); \
             select setval('pgq.event_1_id_seq', last_value - 20) from pgq.event_1_id_seq",
        );
        queues::insert(&mut place.client, "q", 1, 10);
        place.says(&["check"], 1, &["WARNING", "sequence `pgq.event_1_id_seq` is at", "behind event id"]);
        let ticker = place.ticker();
        wait_for("the events", || place.consume("a").len() == 10);
        stop(ticker);
        let left = pgq::admin::integrity::inspect(&mut place.client).expect("readable");
        assert_eq!(left, [], "{}", place.kind);
    }
}

#[test]
fn a_queue_is_not_created_with_an_id_in_use() {
    for mut place in Place::each() {
        place.batch("select setval('pgq.queue_queue_id_seq', 1, false)");
        place.says(&["create", "other"], 1, &["cannot create the queue", "behind the ids in use", "repair"]);
    }
}

#[test]
fn programs_get_the_findings_too() {
    for mut place in Place::each() {
        tick_from_1000(&mut place);
        place.batch("select setval('pgq.event_1_tick_seq', 7)");
        let json = place.says(&["status", "--json"], 0, &[]);
        let status: Value = serde_json::from_str(&json).expect("JSON");
        let finding = &status["findings"][0];
        assert_eq!(finding["problem"], "tick-sequence");
        assert_eq!(finding["level"], "critical");
        assert_eq!(
            (&finding["queue"], &finding["reached"], &finding["needed"]),
            (&"q".into(), &7.into(), &1001.into())
        );
        let status = pgq::status::Status::read(&mut place.client).expect("readable");
        let metrics = pgq::status::metrics::render(&[status], &[]);
        assert!(metrics.contains("\npgq_findings{"), "{metrics}");
        assert!(
            metrics.lines().any(|line| line.starts_with("pgq_findings{") && line.ends_with(" 1")),
            "{metrics}"
        );
    }
}

#[test]
fn our_ticker_function_moves_a_sequence_of_events_on() {
    let mut place = Place::create(Kind::Own);
    place.batch(
        "update pgq.queue set queue_ticker_max_lag = '1 day', queue_ticker_idle_period = '1 day'; \
         select pgq.force_tick('q'); select pgq.ticker('q'); select setval('pgq.event_1_id_seq', 5)",
    );
    insert(&mut place.client, "x");
    assert_eq!(place.number("select pgq.ticker()"), 1);
    let ahead =
        "select (select last_value from pgq.event_1_id_seq) - 1 - (select max(ev_id) from pgq.event_1)";
    assert!(place.number(ahead) > 0);
    assert_eq!(place.consume("a"), ["x"]);
}

#[test]
fn a_batch_whose_id_is_in_use_names_the_repair() {
    for mut place in Place::each() {
        pgq::admin::register_consumer(&mut place.client, "q", "b").expect("registered");
        queues::tick(&mut place.client, "q");
        place.batch(
            "select pgq.next_batch('q', 'a'); select setval('pgq.batch_id_seq', sub_batch, false) \
             from pgq.subscription where sub_batch is not null",
        );
        place.says(&["check"], 1, &["sequence `pgq.batch_id_seq` is at", "behind id"]);
        let b = pgq::Subscription::new(pgq::Settings::new("q", "b"));
        let error = b.next_batch(&mut place.client).expect_err("the id is in use");
        assert!(format!("{error:?}").contains("the sequence of batch ids is behind"), "{error:?}");
    }
}
