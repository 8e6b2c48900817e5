//! Tables of every shape, and their changes while sessions have cached them.

use super::{FUNCTIONS, Pair};

/// Compares all functions on one table.
fn check_table(create: &str, table: &str, statements: &[&str]) {
    let mut pair = Pair::create();
    pair.setup(create);
    for function in FUNCTIONS {
        let clause = format!(
            "after insert or update or delete on TABLE for each row execute function pgq.{function}('q')"
        );
        pair.setup(&format!("truncate {table}"));
        pair.trigger(table, &clause);
        pair.check(&clause, statements);
    }
}

#[test]
fn a_key_is_needed_for_updates_and_deletes() {
    let statements = ["insert into k values (1, 'x')", "update k set b = 'y'", "delete from k"];
    check_table("create table k (a int, b text)", "k", &statements);
    check_table(
        "create table k (a int unique not null, b text); alter table k replica identity using index k_a_key",
        "k",
        &statements,
    );
    check_table("create table k (a int, b text, primary key (b, a))", "k", &statements);
    check_table("create table k (a int primary key, b text, unique (b))", "k", &statements);
}

#[test]
fn columns_included_in_the_key_belong_to_it() {
    check_table(
        "create table k (a int, b text, c int, primary key (c) include (a))",
        "k",
        &[
            "insert into k values (1, 'x', 1)",
            "update k set b = 'y'",
            "update k set a = 2",
            "update k set c = 2",
        ],
    );
}

#[test]
fn a_name_in_the_key_may_hold_a_comma() {
    check_table(
        r#"create table k ("z,y" int, id int, b text, primary key (id, "z,y"))"#,
        "k",
        &[
            "insert into k values (1, 2)",
            "update k set b = 'x'",
            r#"update k set "z,y" = 3"#,
            "delete from k",
        ],
    );
}

#[test]
fn unusual_names_are_quoted() {
    check_table(
        r#"create schema "My é.""S"; create table "My é.""S"."T 'x%s"
           (id int, "Nm %s,x&=" text, "a b" int, "ünï""q\" int, "%" int, primary key ("a b", "%", id))"#,
        r#""My é.""S"."T 'x%s""#,
        &[
            r#"insert into "My é.""S"."T 'x%s" values (1, 'a%sb', 2, 3, 4)"#,
            r#"update "My é.""S"."T 'x%s" set "Nm %s,x&=" = null, "ünï""q\" = 1"#,
            r#"update "My é.""S"."T 'x%s" set "Nm %s,x&=" = '%1$s %'"#,
            r#"update "My é.""S"."T 'x%s" set "%" = 1"#,
            r#"delete from "My é.""S"."T 'x%s""#,
        ],
    );
}

#[test]
fn keywords_are_quoted() {
    let mut pair = Pair::create();
    // Another version has other keywords, or reserves them otherwise.
    let words = pair.common("select word, catcode::text from pg_get_keywords()");
    assert!(words.len() > 400, "{}", words.len());
    let columns: Vec<String> = words.iter().map(|word| format!("\"{}\" int", word[0])).collect();
    pair.setup(&format!("create table kw ({})", columns.join(", ")));
    for function in FUNCTIONS {
        pair.trigger(
            "kw",
            &format!("after insert on TABLE for each row execute function pgq.{function}('q')"),
        );
        let outcomes =
            pair.check(function, &["insert into kw default values", "insert into kw values (1, 2)"]);
        assert_eq!(outcomes[0].data().len(), 1);
    }
}

#[test]
fn wide_narrow_and_mutilated_tables() {
    for columns in [1, 2, 31, 32, 33, 100, 1000] {
        let list: Vec<String> = (1..=columns).map(|column| format!("c{column} text")).collect();
        check_table(
            &format!("create table w ({}); alter table w add primary key (c1)", list.join(", ")),
            "w",
            &[
                "insert into w values ('')",
                "update w set c1 = ''",
                "delete from w",
                r#"insert into w values (E'"(,)\\"" \\\\ é')"#,
                "delete from w",
            ],
        );
    }
    check_table("create table w ()", "w", &["insert into w default values", "delete from w"]);
    check_table(
        "create table w (a int, b text, c int primary key, d text); alter table w drop column a; \
         insert into w values ('x', 3, 'z'); alter table w drop column b, add column e text default 'new'",
        "w",
        &[
            "insert into w values (1, 'x', 'y')",
            "update w set d = 'b'",
            "update w set e = null",
            "delete from w",
        ],
    );
}

#[test]
fn partitions_children_and_views() {
    let create = "create table pt (a int primary key, b int) partition by range (a);
        create table pt1 partition of pt for values from (0) to (10);
        create table pt2 (b int, x int, a int not null); alter table pt2 drop column x;
        alter table pt attach partition pt2 for values from (10) to (20)";
    let statements = [
        "insert into pt values (1, 2), (11, 3)",
        "update pt set b = 4",
        "update pt set a = 12 where a = 1",
        "delete from pt",
    ];
    check_table(create, "pt", &statements);

    let mut pair = Pair::create();
    pair.setup("create table p (a int primary key, b int); create view v as select * from p");
    for function in FUNCTIONS {
        for arguments in ["'q'", "'q', 'pkey=a'", "'q', 'pkey=a', 'SKIP'"] {
            let clause = format!(
                "instead of insert or update or delete on TABLE for each row execute function pgq.{function}({arguments})"
            );
            pair.setup("delete from p; insert into p values (1, 2)");
            pair.trigger("v", &clause);
            pair.check(
                &clause,
                &["insert into v values (7, 8)", "update v set b = 9", "delete from v", "delete from p"],
            );
        }
    }
}

#[test]
fn generated_columns() {
    check_table(
        "create table g (a int primary key, b int generated always as (a * 2) stored, \
         c int generated always as identity)",
        "g",
        &["insert into g values (1)", "update g set a = a", "update g set c = default", "delete from g"],
    );
}

#[test]
fn magic_columns_set_fields() {
    let changes = [
        "insert into m values (2, 'x', 2, 'T', 'E1', '3'), (3, null, null, null, null, null)",
        "update m set nm = 'b', n = 1.500 where id = 2",
        "update m set _pgq_ev_type = nm",
        "update m set n = 9, _pgq_ev_type = 'x'",
        "update m set nm = nm",
        "update m set nm = 'c', _pgq_ev_type = 'u', _pgq_evil = 4",
        "delete from m where id = 2",
    ];
    let mut pair = Pair::create();
    pair.setup("create table m (id int primary key, nm text, n numeric, _pgq_ev_type text, _pgq_ev_extra1 text, _pgq_ev_extra3 int, _pgq_evil int)");
    let mut compare = |script: &str, changes: &[&str]| {
        pair.setup(script);
        for function in FUNCTIONS {
            for arguments in [
                "'q'",
                "'q', 'backup', 'ev_type=nm'",
                "'q', 'ignore=n'",
                "'q', 'ignore='",
                "'q', 'ignore=_pgq_ev_type'",
                "'q', 'ignore=_pgq_ev_type,n', 'pkey=_pgq_ev_type,id'",
            ] {
                let clause = format!(
                    "after insert or update or delete on TABLE for each row execute function pgq.{function}({arguments})"
                );
                pair.setup("drop trigger if exists x on m; truncate m; insert into m values (1, 'a', 1.5)");
                pair.trigger("m", &clause);
                pair.check(&clause, changes);
            }
        }
    };
    compare("", &changes);
    compare("alter table m add column _pgq_ev_data text", &changes);
    compare("alter table m add column _pgq_ev_time timestamp", &changes);
    compare("alter table m drop column _pgq_ev_time, add column _pgq_ev_ int", &changes);
}

/// Changes of a table, its key, its name and its schema, with rows in between.
const CHANGES: &[&str] = &[
    "insert into w values (1, '1')",
    "alter table w add primary key (b)",
    "insert into w values (2, '2')",
    "update w set a = 3",
    "alter table w rename a to a2",
    "insert into w values (3, '3')",
    "alter table w add column d timestamp, alter column a2 type numeric",
    "insert into w values (4, '4', 'now'::date)",
    "alter table w drop constraint w_pkey",
    "update w set a2 = 5",
    "create unique index w_b on w (b); alter table w alter b set not null; \
     alter table w add primary key using index w_b",
    "update w set a2 = 6",
    "alter table w drop column a2",
    "update w set d = null",
    "alter table w rename to w2",
    "insert into w2 values ('7')",
    "create schema s; alter table w2 set schema s",
    "insert into s.w2 values ('8')",
    "begin; insert into s.w2 values ('9'); savepoint a; alter table s.w2 rename d to e; \
     insert into s.w2 values ('10'); rollback to a; insert into s.w2 values ('11'); \
     alter table s.w2 add column f int default 3; insert into s.w2 values ('12'); commit",
];

/// Changes of a table whose trigger has arguments.
const LATER_CHANGES: &[&str] = &[
    "insert into s.w2 values ('13')",
    "alter table s.w2 rename d to g",
    "insert into s.w2 values ('14')",
    "alter table s.w2 add column d int default 5",
    "insert into s.w2 values ('15')",
];

#[test]
fn changed_tables_are_noticed() {
    for function in FUNCTIONS {
        let mut pair = Pair::create();
        pair.setup(&format!(
            "create table w (a int, b text); create trigger x after insert or update on w \
             for each row execute function pgq.{function}('q')"
        ));
        let create_trigger = format!(
            "create or replace trigger x after insert or update on s.w2 \
             for each row execute function pgq.{function}('q', 'ignore=f', 'ev_extra4=d')"
        );
        pair.check(function, &[CHANGES, &[&create_trigger], LATER_CHANGES].concat());
    }
}

/// The extension continues with the old name until the session ends.
#[test]
fn a_new_name_of_the_key_is_noticed() {
    let mut pair = Pair::create();
    pair.setup(
        "create table w (a int primary key); \
         create trigger x after insert on w for each row execute function pgq.logutriga('q')",
    );
    pair.check("before", &["insert into w values (1)", "alter table w rename a to b"]);
    assert_eq!(pair.own("insert into w values (2)").data(), [("I:b", "b=2")]);
}

#[test]
fn the_replication_role_and_the_queue_decide_on_inserts() {
    let mut pair = Pair::create();
    pair.setup("create table z (id int primary key)");
    for function in FUNCTIONS {
        pair.setup("delete from z; alter table z disable trigger all");
        pair.trigger(
            "z",
            &format!(
                "before insert or update or delete on TABLE for each row execute function pgq.{function}('q')"
            ),
        );
        pair.setup("alter table z enable always trigger x");
        for disabled in [false, true] {
            pair.setup(&format!("update pgq.queue set queue_disable_insert = {disabled}"));
            for role in ["origin", "replica", "local"] {
                pair.setup(&format!("set session_replication_role = {role}"));
                pair.check(role, &["insert into z values (1)", "delete from z", "truncate z"]);
            }
        }
        pair.setup("reset session_replication_role; update pgq.queue set queue_disable_insert = false");
    }
}
