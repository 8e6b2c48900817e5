//! The data that a session caches of a table and a trigger, and its invalidation.

use std::thread;

use super::{FUNCTIONS, Pair};
use crate::support;

const CHANGES: [&str; 7] = [
    "alter table w add column d text default 'new'",
    "alter table w rename b to c",
    "alter table w drop column b",
    "alter table w alter b type int using 5",
    "alter table w add primary key (a)",
    "alter table w add primary key (r, a)",
    "create or replace trigger x after insert or update on w for each row execute function pgq.sqltriga('q', 'ignore=b')",
];

const AFTERWARDS: [&str; 3] = [
    "insert into w (a, r) values (2, 5)",
    "update w set r = r where a = 2",
    "update w set a = 3 where a = 2",
];

fn create(pair: &mut Pair, function: &str) {
    pair.setup(&format!(
        "drop table if exists w; create table w (a int, b text, r int default 6); \
         create trigger x after insert or update on w for each row execute function pgq.{function}('q')"
    ));
}

#[test]
fn changes_of_another_session_are_noticed() {
    let mut pair = Pair::create();
    for function in FUNCTIONS {
        for change in CHANGES {
            create(&mut pair, function);
            pair.check(change, &["insert into w values (1, '1')"]);
            pair.elsewhere(change);
            pair.check(change, &AFTERWARDS);
        }
    }
}

/// The snapshot of such a COPY is older than the table that it finds.
#[test]
fn a_copy_that_waited_for_a_change_sees_it() {
    let mut pair = Pair::create();
    for function in FUNCTIONS {
        for change in CHANGES {
            create(&mut pair, function);
            pair.check_waiting(change, "copy w (a) from program 'echo 1'");
            pair.check(change, &AFTERWARDS);
        }
    }
}

#[test]
fn a_transaction_that_began_before_a_change_sees_it() {
    let mut pair = Pair::create();
    for function in FUNCTIONS {
        for change in CHANGES {
            create(&mut pair, function);
            pair.setup("begin isolation level repeatable read; select count(*) from pg_class");
            pair.elsewhere(change);
            pair.setup("insert into w (a) values (1); commit");
            pair.check(change, &AFTERWARDS);
        }
    }
}

#[test]
fn triggers_of_one_function_do_not_share_cached_data() {
    let mut pair = Pair::create();
    for function in FUNCTIONS {
        pair.setup(&format!(
            "drop table if exists one, two; \
             create table one (id int primary key, a text); create table two (b int, id int primary key); \
             create trigger x after insert or update on one for each row execute function pgq.{function}('q'); \
             create trigger y after insert or update on one for each row \
                 execute function pgq.{function}('q', 'pkey=a', 'ev_extra4=id + 1'); \
             create trigger x after insert or update on two for each row \
                 execute function pgq.{function}('q', 'ignore=b')"
        ));
        for _ in 0..3 {
            pair.check(
                function,
                &[
                    "truncate one, two",
                    "insert into one values (1, 'x'), (2, 'y')",
                    "insert into two values (3, 4)",
                    "with moved as (insert into two select id, id from one returning 1) update one set a = a",
                    "update two set b = 7",
                ],
            );
        }
    }
}

/// The table of the outer trigger is written to while its columns are read for the first time.
#[test]
fn a_trigger_may_fire_another_one() {
    let mut pair = Pair::create();
    pair.setup(
        "create table outside (id int primary key, a text); create table inside (n int primary key); \
         create function note(n int) returns int language sql as 'insert into inside values ($1) returning n'",
    );
    for function in FUNCTIONS {
        pair.setup("truncate outside, inside");
        pair.trigger(
            "inside",
            &format!("after insert on TABLE for each row execute function pgq.{function}('q')"),
        );
        pair.trigger(
            "outside",
            &format!(
                "after insert on TABLE for each row execute function pgq.{function}('q', 'ev_extra4=note(id)')"
            ),
        );
        let outcomes = pair.check(
            function,
            &["insert into outside values (1, 'x'), (2, 'y')", "insert into outside values (3, 'z')"],
        );
        assert_eq!(outcomes[0].data().len(), 4);
    }
}

#[test]
fn expressions_follow_the_search_path() {
    let mut pair = Pair::create();
    pair.setup(
        "create table public.e (id int primary key); create schema one; create schema two; \
         create function one.f(int) returns boolean language sql as 'select $1 = 1'; \
         create function two.f(int) returns boolean language sql as 'select $1 = 2'",
    );
    for function in FUNCTIONS {
        pair.setup("reset search_path; truncate e");
        pair.trigger(
            "e",
            &format!(
                "after insert or delete on TABLE for each row \
                 execute function pgq.{function}('q', 'when=f(id)', 'ev_extra4=f(id)')"
            ),
        );
        for path in ["one", "two", "one, two", "public", "two"] {
            let set = format!("set search_path = {path}");
            pair.check(&set, &[&set, "insert into public.e values (1), (2), (3)", "delete from public.e"]);
        }
    }
}

/// The extension names the new type; this project's triggers show the value.
#[test]
fn a_condition_that_is_no_longer_boolean_fails() {
    let mut pair = Pair::create();
    for function in FUNCTIONS {
        pair.setup(
            "drop table if exists c; drop function if exists f; create table c (id int primary key); \
             create function f(int) returns boolean language sql as 'select true'",
        );
        pair.trigger(
            "c",
            &format!("after insert on TABLE for each row execute function pgq.{function}('q', 'when=f(id)')"),
        );
        pair.check(function, &["insert into c values (1)"]);
        pair.setup("drop function f; create function f(int) returns int language sql as 'select 5'");
        let [extension, own] =
            pair.each(|client, _, _| super::pair::outcome(client, "insert into c values (2)"));
        let expected = "when= query result must be boolean, got";
        assert_eq!(extension.error(), Some("when= query result must be boolean, got=23"));
        assert!(own.error().is_some_and(|error| error.starts_with(expected)), "{own:?}");
    }
}

#[test]
fn partitions_are_attached_and_detached() {
    let mut pair = Pair::create();
    for function in FUNCTIONS {
        pair.setup(&format!(
            "drop table if exists pt, p1, p2; create table pt (a int primary key, b int) partition by range (a); \
             create table p1 (b int, a int not null); \
             create trigger x after insert or update on pt for each row execute function pgq.{function}('q')"
        ));
        pair.check(
            function,
            &[
                "alter table pt attach partition p1 for values from (0) to (10)",
                "insert into pt values (1, 2)",
                "alter table pt add column c text default 'c'",
                "insert into pt values (2, 2)",
                "alter table pt rename b to d",
                "insert into pt values (3, 2)",
                "create table p2 partition of pt for values from (10) to (20)",
                "insert into pt values (4, 2), (11, 2)",
                "alter table pt detach partition p1",
                "insert into p1 values (5, 5)",
                "alter table p1 drop column c",
                "alter table pt attach partition p1 for values from (0) to (10)",
                "alter table p1 add column c text",
                "alter table pt attach partition p1 for values from (0) to (10)",
                "update pt set d = 7",
            ],
        );
    }
}

#[test]
fn domains_may_change_under_a_table() {
    let mut pair = Pair::create();
    pair.setup("create domain code as int; create table d (id int primary key, c code, e numeric)");
    for function in FUNCTIONS {
        pair.setup("truncate d; alter domain code drop not null");
        pair.trigger(
            "d",
            &format!("after insert or update on TABLE for each row execute function pgq.{function}('q')"),
        );
        pair.check(
            function,
            &[
                "insert into d values (1, 2, 1.0)",
                "alter domain code add constraint low check (value < 5)",
                "update d set c = 3, e = 1.00",
                "update d set c = 9",
                "alter domain code rename to code2",
                "update d set c = 4, e = null",
                "alter domain code2 drop constraint low",
                "alter domain code2 set not null",
                "insert into d values (2, 9, 1)",
                "alter domain code2 rename to code",
            ],
        );
    }
}

impl Pair {
    /// Runs a statement that another session's change keeps waiting until that session commits.
    #[track_caller]
    fn check_waiting(&mut self, change: &str, statement: &str) {
        let [extension, own] = self.each(|client, other, watcher| {
            let row = client.query_one("select pg_backend_pid()", &[]).expect("a process");
            let process: i32 = row.get(0);
            let mut transaction = other.transaction().expect("a transaction");
            transaction.batch_execute(change).unwrap_or_else(|error| panic!("{error:?}: {change}"));
            thread::scope(|scope| {
                let waiting = scope.spawn(|| super::pair::outcome(client, statement));
                support::wait_for("the statement to wait for the lock", || {
                    let select = "select wait_event_type = 'Lock' from pg_stat_activity where pid = $1";
                    let row = watcher.query_one(select, &[&process]).expect("the process is there");
                    row.get::<_, Option<bool>>(0).unwrap_or(false)
                });
                transaction.commit().expect("the change is made");
                waiting.join().expect("the statement ends")
            })
        });
        assert_eq!(own, extension, "left: own, right: the extension\n{change}\n{statement}");
    }
}
