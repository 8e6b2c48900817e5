//! Values of every type, as the session's settings write them.

use super::{FUNCTIONS, Pair};
use crate::support::amount::pick;

const TYPES: &str = "
    create type mood as enum ('ok', 'not ok'); create domain dint as int; create domain dtext as text;
    create domain dts as timestamptz; create domain dbool as bool; create domain dnum as numeric;
    create domain djson as json; create domain dints as int[]; create domain dd as dtext;
    create type comp as (a numeric, b text);
    create table t (id int primary key, i2 int2, i8 int8, o oid, n numeric, f4 float4, f8 float8, b bool, c \"char\",
        c5 char(5), vc varchar(10), nm name, d date, t time, tz timetz, ts timestamp, tstz timestamptz, iv interval,
        m money, by bytea, u uuid, ine inet, js json, jb jsonb, x xml, a1 int[], a2 text[], ab bool[],
        ats timestamptz[], an numeric[], md mood, di dint, dt dtext, dts dts, db dbool, dn dnum, dj djson, da dints,
        dd dd, co comp, cos comp[], r int4range, tr tsrange, p point, bx box, bi bit(3), bv varbit, tsv tsvector,
        rc regclass, xd xid, x8 xid8, td tid, ls pg_lsn, mr int4multirange, jp jsonpath, ms mood[])";

const ROW: &str = r#"(1, -2, 9007199254740993, 4000000000, 1.50, 0.1, 1e30, true, 'x', 'ab', E'tab\there', 'nm', '2020-01-02',
    '03:04:05.6', '03:04:05+02', '2020-01-02 03:04:05.123456', '2020-01-02 03:04:05.123+02', '1 year 2 days 03:04:05',
    12.5, '\xdeadbeef', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '10.0.0.0/8', '{"a" : [1, 2]}', '{"a" : [1, 2]}',
    '<a>b</a>', '{1,2}', array['a b', null, '"'], '{t,f}', array['2020-01-02 03:04:05+00'::timestamptz], '{1.0}',
    'not ok', 7, 'dt', '2020-01-02 03:04:05', false, 1.0, '{"n":1}', '{1}', 'dd', row(1.0, 'x y'),
    array[row(1.0, 'x')::comp], '[1,5)', '[2020-01-01,2020-01-02)', '(1,2)', '(1,1),(2,2)', '101', '11', 'a b',
    'pg_class', '12', '12', '(0,1)', '0/16', '{[1,3)}', '$.a', '{ok}')"#;

const SETTINGS: [&str; 6] = [
    "",
    "set datestyle = 'SQL, DMY'; set timezone = 'Asia/Kolkata'; set intervalstyle = iso_8601; set bytea_output = escape",
    "set datestyle = German; set timezone = 'America/New_York'; set extra_float_digits = 0",
    "set datestyle = 'Postgres, MDY'; set intervalstyle = sql_standard; set timezone = '-03:30'",
    "set standard_conforming_strings = off; set quote_all_identifiers = on; set bytea_output = hex; set escape_string_warning = off",
    "set search_path = pg_temp; set xmloption = document",
];

#[test]
fn every_type_under_every_setting() {
    let mut pair = Pair::create();
    pair.setup(TYPES);
    for settings in SETTINGS {
        for function in FUNCTIONS {
            pair.setup("reset all; delete from t");
            pair.trigger("t", &format!("after insert or update or delete on TABLE for each row execute function pgq.{function}('q')"));
            pair.setup(settings);
            let row = format!("insert into public.t values {ROW}");
            let row = if settings.contains("standard_conforming") { row.replace('\\', r"\\") } else { row };
            pair.check(settings, &[
                &row,
                "update public.t set vc = null, ts = 'infinity', tstz = '-infinity', d = 'infinity', n = 'NaN', f8 = '-Infinity', f4 = 'NaN'",
                "insert into public.t (id, d, ts, tstz, dts) values (10, '0044-03-15 BC', '0044-03-15 01:02:03 BC', '0044-03-15 01:02:03 BC', '0044-03-15 BC')",
                "insert into public.t (id, d, ts, tstz) values (11, '10000-01-01', '12345-01-01', '12345-01-01')",
                "delete from public.t",
            ]);
        }
    }
}

/// The columns of one update each: the texts differ, the values may be equal.
const SIMILAR: [(&str, &str, &str); 24] = [
    ("n", "1.0", "1.00"),
    ("dn", "1.0", "1.00"),
    ("an", "{1.0}", "{1.00}"),
    ("co", "(1.0,a)", "(1.00,a)"),
    ("cos", "{\"(1.0,a)\"}", "{\"(1.00,a)\"}"),
    ("js", "{\"a\":1}", "{\"a\": 1}"),
    ("jb", "{\"a\":1.0}", "{\"a\":1.00}"),
    ("x", "<a/>", "<a></a>"),
    ("p", "(1,2)", "(1,2.0000000001)"),
    ("bx", "(1,1),(2,2)", "(3,3),(2,2)"),
    ("f8", "0", "-0"),
    ("f8", "NaN", "NaN"),
    ("iv", "1 day", "24:00:00"),
    ("iv", "1 mon", "30 days"),
    ("c5", "a", "a "),
    ("tz", "03:00+00", "04:00+01"),
    ("ine", "10.0.0.1", "10.0.0.1/32"),
    ("r", "[1,5)", "[1,4]"),
    ("tr", "[2020-01-01,2020-01-02)", "[2020-01-01,2020-01-02)"),
    ("dj", "1", "1 "),
    ("vc", "é", "é"),
    ("ms", "{ok}", "{\"ok\"}"),
    ("jp", "$.a", "$.\"a\""),
    ("by", "a", "\\x61"),
];

#[test]
fn equal_values_are_no_change() {
    let mut pair = Pair::create();
    pair.setup(TYPES);
    for (number, (column, before, after)) in SIMILAR.into_iter().enumerate() {
        let all = ["'q'".to_owned(), format!("'q', 'ignore={column}'"), format!("'q', 'pkey={column}'")];
        // Each column has one of them in the short form.
        let arguments = pick(&all[number % 3..=number % 3], &all);
        for function in FUNCTIONS {
            for arguments in arguments {
                let clause = format!(
                    "after update on TABLE for each row execute function pgq.{function}({arguments})"
                );
                pair.setup(&format!("delete from t; insert into t (id, {column}) values (1, '{before}')"));
                pair.trigger("t", &clause);
                pair.check(
                    &clause,
                    &[
                        &format!("update t set {column} = '{after}'"),
                        &format!("update t set {column} = null"),
                        &format!("update t set {column} = '{before}', i2 = 3"),
                    ],
                );
            }
        }
    }
}

#[test]
fn extension_types_and_collations() {
    let mut pair = Pair::create();
    pair.setup(
        "create extension citext; create extension hstore;
         create collation loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
         create table e (id int primary key, ci citext, hs hstore, ct text collate \"C\")",
    );
    for function in FUNCTIONS {
        pair.trigger(
            "e",
            &format!(
                "after insert or update or delete on TABLE for each row execute function pgq.{function}('q')"
            ),
        );
        pair.check(
            function,
            &[
                "insert into e values (1, 'Ab', 'a=>1, b=>NULL', 'x')",
                "update e set ci = 'aB', hs = 'b=>NULL, a=>1'",
                "update e set ct = 'X', hs = 'b=>2'",
                "delete from e",
            ],
        );
    }
}

#[test]
fn every_character_is_escaped() {
    let mut pair = Pair::create();
    let length = pick(5_000, 20_000);
    pair.setup("create table s (a text, b text, id serial primary key) with (autovacuum_enabled = off)");
    for function in FUNCTIONS {
        // Rows are updated in the order in which they lie, which is that of both as long as none takes another's place.
        pair.setup("truncate s");
        pair.trigger(
            "s",
            &format!(
                "after insert or update or delete on TABLE for each row execute function pgq.{function}('q')"
            ),
        );
        let outcomes = pair.check(function, &[
            "insert into s select string_agg(chr(i), '' order by i), '' from generate_series(1, 2000) i",
            "insert into s select chr(i), chr(i) || ' ' || chr(i) from generate_series(1, 300) i",
            "insert into s values (chr(8232) || chr(8233) || chr(65535) || chr(128512), 'NULL'), ('NULL', 'null'), ('', null), ('  ', ' a ')",
            "insert into s values ('{}', '{\"a\":1}'), ('\"b\":1', ',\"b\":1.5'), ('%s', '%1$s')",
            &format!("insert into s select 'long', string_agg(chr(20000 + i % 10000) || i, '') from generate_series(1, {length}) i"),
            "update s set b = a",
            "delete from s",
        ]);
        assert_eq!(outcomes[6].data().len(), 309);
    }
}

#[test]
fn numbers_in_json() {
    let mut pair = Pair::create();
    pair.setup(
        "create table j (id int primary key, n numeric, \"n,\"\"n\" text, f8 float8, t text, \"a\"\"n\" int)",
    );
    pair.trigger(
        "j",
        "after insert or update or delete on TABLE for each row execute function pgq.jsontriga('q')",
    );
    let outcomes = pair.check("jsontriga", &[
        "insert into j values (1, 1.50, 'x', 1e-7, '\"n\":5,\"f8\":6', 3)",
        "alter table j drop column \"n,\"\"n\"",
        "insert into j values (2, -1e400, '-Infinity', ',\"n\":1', 4), (3, 'NaN', 'NaN', '{\"n\":1', 5), (4, null, null, null, 6)",
    ]);
    assert_eq!(
        outcomes[2].data()[0].1.split_once(",\"f8\"").map(|(head, _)| &head[..10]),
        Some("{\"id\":2,\"n")
    );
}
