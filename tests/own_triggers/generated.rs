//! Generated tables, triggers, rows and changes, always the same ones unless `PROPTEST_RNG_SEED` says otherwise.

use std::cell::{Cell, RefCell};

use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::{FUNCTIONS, Pair};
use crate::support::amount::check_generated;

/// How many tables are generated in a run.
const GENERATED: [u32; 2] = [30, 300];

/// Types, and values that an update may change one into the other.
#[rustfmt::skip]
const TYPES: [(&str, [&str; 5]); 20] = [
    ("int", ["0", "1", "-7", "2147483647", "12"]),
    ("int8", ["0", "-1", "9223372036854775807", "5", "6"]),
    ("numeric", ["0", "1.0", "1.00", "NaN", "-12345678901234567890.5"]),
    ("numeric(10,2)", ["0", "1.5", "1.50", "-3", "99999999.99"]),
    ("float8", ["0", "-0", "1e300", "NaN", "0.1"]),
    ("bool", ["t", "f", "true", "no", "1"]),
    ("text", ["", " ", "a,b", "a\"b\\c'd", "(é)%&=+/~:@!?#日本"]),
    ("varchar(20)", ["", "NULL", "{}", "x\ty\nz\r", "plain"]),
    ("char(6)", ["", "a", "a ", "\"", "\\"]),
    ("date", ["2020-01-02", "infinity", "0044-03-15 BC", "9999-12-31", "2020-02-29"]),
    ("timestamp", ["2020-01-02 03:04:05", "-infinity", "2020-01-02 03:04:05.000001", "2020-01-02", "10000-01-01"]),
    ("timestamptz", ["2020-01-02 03:04:05+00", "infinity", "2020-07-02 03:04:05.5+02", "1900-01-01", "2020-01-02"]),
    ("interval", ["1 day", "24:00", "-1 mon 2 days", "0", "1 year 00:00:01.5"]),
    ("bytea", ["", "\\x00ff", "abc", "\\x5c", "\\x27"]),
    ("uuid", ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "00000000-0000-0000-0000-000000000000", "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "10000000-0000-0000-0000-000000000000", "20000000-0000-0000-0000-000000000000"]),
    ("json", ["1", "{\"a\": [1, null]}", "null", "\"x\"", "{\"c1\":1}"]),
    ("jsonb", ["1", "{\"a\": [1, null]}", "null", "1.0", "{\"c1\":1}"]),
    ("int[]", ["{}", "{1,2}", "{NULL}", "[2:3]={1,2}", "{{1,2},{3,4}}"]),
    ("text[]", ["{}", "{\"a b\",NULL}", "{NULL}", "{\"\\\"\"}", "{\"\\\\\",é}"]),
    ("int4range", ["empty", "[1,2)", "[1,1]", "(,5)", "[1,)"]),
];

const NAMES: [&str; 12] =
    ["id", "c1", "c2", "c3", "Name", "a b", "user", "é", "_pgq_ev_extra3", "x%s", "q\"q", "z,y"];

const ARGUMENTS: [&str; 9] = [
    "backup",
    "ignore=c1",
    "ignore=c2,c3,Name",
    "pkey=c1",
    "pkey=id,c2",
    "when=id > 0",
    "ev_type=id",
    "ev_extra4=c1",
    "ignore=é z",
];

#[derive(Clone, Debug)]
struct Case {
    function: &'static str,
    before: bool,
    columns: Vec<(&'static str, usize)>,
    dropped: bool,
    keys: usize,
    arguments: Vec<&'static str>,
    changes: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Change {
    Insert(Vec<Option<usize>>),
    Update(Vec<(usize, Option<usize>)>),
    Delete,
}

fn change() -> impl Strategy<Value = Change> {
    let value = prop::option::weighted(0.8, 0..5_usize);
    prop_oneof![
        3 => prop::collection::vec(value.clone(), NAMES.len()).prop_map(Change::Insert),
        4 => prop::collection::vec((0..NAMES.len(), value), 0..3).prop_map(Change::Update),
        1 => Just(Change::Delete),
    ]
}

fn case() -> impl Strategy<Value = Case> {
    let columns = subsequence(&NAMES[1..], 0..NAMES.len() - 1).prop_shuffle();
    let types = prop::collection::vec(0..TYPES.len(), NAMES.len());
    let shape = (select(&FUNCTIONS), any::<bool>(), any::<bool>(), 0..3_usize);
    let arguments = subsequence(&ARGUMENTS, 0..4);
    (shape, columns, types, arguments, prop::collection::vec(change(), 3..10)).prop_map(
        |((function, before, dropped, keys), columns, types, arguments, changes)| Case {
            function,
            before,
            columns: columns.into_iter().zip(types).collect(),
            dropped,
            keys,
            arguments,
            changes,
        },
    )
}

fn quote(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}

fn ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

impl Case {
    fn create(&self) -> String {
        let columns: Vec<String> =
            self.columns.iter().map(|(name, kind)| format!(", {} {}", ident(name), TYPES[*kind].0)).collect();
        let gone = if self.dropped { "gone int, " } else { "" };
        let drop = if self.dropped { "; alter table g drop column gone" } else { "" };
        let keys = ["", "; alter table g add primary key (id)", "; create index on g (id)"][self.keys];
        let arguments: Vec<String> =
            self.arguments.iter().map(|argument| format!(", {}", quote(argument))).collect();
        format!(
            "drop table if exists g; create table g ({gone}id int{}){drop}{keys}; \
             create trigger x {} insert or update or delete on g for each row execute function pgq.{}('q'{})",
            columns.concat(),
            if self.before { "before" } else { "after" },
            self.function,
            arguments.concat()
        )
    }

    fn statement(&self, number: usize, change: &Change) -> String {
        let literal = |column: usize, value: Option<usize>| {
            value.map_or("null".to_owned(), |value| quote(TYPES[self.columns[column].1].1[value]))
        };
        match change {
            Change::Insert(values) => {
                let values: Vec<String> = (0..self.columns.len())
                    .map(|column| format!(", {}", literal(column, values[column])))
                    .collect();
                format!("insert into g values ({number}{})", values.concat())
            }
            Change::Update(sets) => {
                let mut columns: Vec<_> =
                    sets.iter().filter(|(column, _)| *column < self.columns.len()).collect();
                columns.sort_by_key(|(column, _)| *column);
                columns.dedup_by_key(|(column, _)| *column);
                let sets: Vec<String> = columns
                    .iter()
                    .map(|(column, value)| {
                        format!(", {} = {}", ident(self.columns[*column].0), literal(*column, *value))
                    })
                    .collect();
                format!("update g set id = id{}", sets.concat())
            }
            Change::Delete => "delete from g".to_owned(),
        }
    }
}

#[test]
fn generated_tables_give_the_same_events() {
    let pair = RefCell::new(Pair::create());
    let (events, errors) = (Cell::new(0), Cell::new(0));
    let cases = check_generated(GENERATED, &case(), |case| {
        let mut pair = pair.borrow_mut();
        let create = case.create();
        pair.setup(&create);
        for (number, change) in case.changes.iter().enumerate() {
            let statement = case.statement(number, change);
            for outcome in pair.check(&create, &[&statement]) {
                events.set(events.get() + outcome.data().len());
                errors.set(errors.get() + usize::from(outcome.error().is_some()));
            }
        }
        Ok(())
    });
    let (events, errors) = (events.get(), errors.get());
    let enough = events > 2 * cases as usize && errors > cases as usize / 8;
    assert!(enough, "{events} events, {errors} errors");
}
