//! The arguments of the triggers, valid and invalid.

use super::{FUNCTIONS, Pair};
use crate::support::amount::pick;

const TABLE: &str = "create table t (id int primary key, nm text, n numeric, b bool, ts timestamp);";

const FRESH: &str = "drop trigger if exists x on t; delete from t; insert into t values (1, 'a', 1.5, true, '2020-01-02 03:04:05')";

const CHANGES: [&str; 9] = [
    "insert into t values (2, null, 2, false, null)",
    "update t set nm = 'z' where id = 1",
    "update t set nm = nm where id = 1",
    "update t set nm = null, n = 1.50 where id = 1",
    "update t set n = 1.500, b = null",
    "update t set id = 5 where id = 1",
    "update t set id = 5, nm = 'q', n = 7 where id = 1",
    "delete from t where id = 1",
    "truncate t",
];

/// Compares all functions with one list of arguments.
fn check_arguments(pair: &mut Pair, when: &str, level: &str, arguments: &str, statements: &[&str]) {
    for function in FUNCTIONS {
        let clause = format!("{when} on t for each {level} execute function pgq.{function}({arguments})");
        check_trigger(pair, &clause, statements);
    }
}

fn check_trigger(pair: &mut Pair, clause: &str, statements: &[&str]) {
    pair.setup(FRESH);
    pair.setup(&format!("create trigger x {clause}"));
    pair.check(clause, statements);
}

/// Compares the functions with lists of arguments; the short form takes the functions in turn.
fn check_rows(arguments: &[&str]) {
    let mut pair = Pair::create();
    pair.setup(TABLE);
    for (number, arguments) in arguments.iter().enumerate() {
        let step = pick(FUNCTIONS.len(), 1);
        for function in FUNCTIONS.iter().skip(number % step).step_by(step) {
            let clause = format!(
                "after insert or update or delete on t for each row execute function pgq.{function}({arguments})"
            );
            check_trigger(&mut pair, &clause, &CHANGES);
        }
    }
}

#[test]
fn columns_are_ignored_and_keys_are_chosen() {
    check_rows(&[
        "'q'",
        "'q', 'ignore=nm'",
        "'q', 'ignore=nosuch'",
        "'q', 'ignore='",
        "'q', 'ignore=id'",
        "'q', 'ignore=nm,n'",
        "'q', 'ignore=nm n,'",
        "'q', 'ignore= nm'",
        "'q', 'ignore=NM'",
        "'q', 'ignore=\"nm\"'",
        "'q', 'ignore=n|nm'",
        "'q', 'ignore=n.nm'",
        "'q', 'ignore=nmx'",
        "'q', 'ignore=nm', 'ignore=n'",
        "'q', 'ignore=n,nm,b,ts'",
        "'q', 'ignore=id,n,nm,b,ts'",
        "'q', 'pkey=nm'",
        "'q', 'pkey=nm,id'",
        "'q', 'pkey=id, n'",
        "'q', 'pkey=id n'",
        "'q', 'pkey=id,,nm'",
        "'q', 'pkey=,n'",
        "'q', 'pkey= '",
        "'q', 'pkey='",
        "'q', 'pkey=nosuch'",
        "'q', 'pkey=b'",
        "'q', 'pkey=nm', 'pkey=n'",
        "'q', 'pkey=n', 'ignore=n'",
    ]);
}

#[test]
fn backups_and_refusals() {
    check_rows(&[
        "'q', 'backup'",
        "'q', 'backup', 'ignore=n'",
        "'q', 'backup', 'pkey=n,nm'",
        "'q', 'backup', 'ev_extra2=nm'",
        "'q', 'ev_extra2=nm', 'backup'",
        "'q', 'deny'",
        "'q', 'deny', 'ignore=n,nm'",
        "'q', 'deny', 'when=false'",
        "'q', 'deny', 'pkey='",
        "'q', 'deny', 'foo'",
        "'q', 'deny', 'SKIP'",
    ]);
}

#[test]
fn wrong_arguments_are_refused() {
    check_rows(&[
        "",
        "'nosuch'",
        "null",
        "''",
        "'q', 'foo'",
        "'q', 'skip'",
        "'q', 'SKIP'",
        "'q', 'SKIP', 'pkey='",
        "'q', 'Backup'",
        "'q', 'backup '",
        "'q', ''",
        "'q', 'q'",
        "'q', 'ev_time=1'",
        "'q', 'ev_id=1'",
        "'q', 'ev_retry=1'",
        "'q', 'ev_extra5=1'",
        "'q', 'ev_extra=1'",
        "'q', 'EV_TYPE=1'",
        "'q', 'ev_type =1'",
        "'q', 'colname=id'",
        "'q', 'IGNORE=nm'",
        "'q', 'ignore = nm'",
        "'q', 'ignore'",
        "'q', 'when'",
        "'q', 'a\"b,{c}\\ ''d'",
        "'nosuch', 'when=false'",
    ]);
}

/// Arguments with expressions of every kind, wrong ones included.
const EXPRESSIONS: &[&str] = &[
    "'q', 'when=id=1'",
    "'q', 'when=id = 2'",
    "'q', 'when=false'",
    "'q', 'when=b'",
    "'q', 'when=b,b'",
    "'q', 'when=nm is null or nm <> ''z'''",
    "'q', 'when=exists (select 1 from t where n = 2)'",
    "'q', 'when=id = 2', 'when=id=3'",
    "'q', 'ev_type=''t''||id'",
    "'q', 'ev_type=1', 'ev_type=2'",
    "'q', 'ev_data=nm'",
    "'q', 'ev_data=null'",
    "'q', 'ev_extra1=nm', 'ev_extra2=b', 'ev_extra3=ts', 'ev_extra4=1+1'",
    "'q', 'ev_type='",
    "'q', 'ev_extra1= '",
    "'q', 'ev_extra3=''nm'''",
    "'q', 'ev_extra3=''it''''s nm''||nm'",
    "'q', 'ev_extra3=E''\\'' nm''||nm'",
    "'q', 'ev_extra3=$q$nm$q$'",
    "'q', 'ev_extra3=$$nm$$||id'",
    "'q', 'ev_extra3=/*nm*/ id -- nm'",
    "'q', 'ev_extra3=(select nm from t where t.id = 1)'",
    "'q', 'ev_extra3=nm, id'",
    "'q', 'ev_extra3=length(nm)+id*n'",
    "'q', 'ev_extra3=nm::varchar(1)'",
    "'q', 'ev_extra3=nm::char(9)'",
    "'q', 'ev_extra3=''10.0.0.1''::inet'",
    "'q', 'ev_extra3=pg_typeof(nm)'",
    "'q', 'ev_extra3=pg_typeof(n)'",
    "'q', 'ev_extra3=row(id,nm,''a \"b\\'')'",
    "'q', 'ev_extra3=array[nm,''a \"b'']'",
    "'q', 'ev_extra3=''a,b'''",
    "'q', 'ev_extra3='''''",
    "'q', 'ev_extra3=b'",
    "'q', 'ev_extra3=(select 1 where false)'",
    "'q', 'ev_extra3=current_setting(''search_path'')'",
    "'q', 'ev_extra3=generate_series(1, 1)'",
    "'q', 'ev_extra3=nm; select 1'",
    "'q', 'when=false', 'backup'",
    "'q', 'ignore=n,nm', 'when=id > 0', 'ev_type=nm'",
];

#[test]
fn expressions_choose_events_and_fill_their_fields() {
    check_rows(EXPRESSIONS);
}

#[test]
fn wrong_expressions_fail() {
    check_rows(&[
        "'q', 'when='",
        "'q', 'when=null'",
        "'q', 'when=5'",
        "'q', 'when=''t''::text'",
        "'q', 'when=null::bool'",
        "'q', 'when=nosuch'",
        "'q', 'when=1 +'",
        "'q', 'when=true where false'",
        "'q', 'when=1/0=1'",
        "'q', 'when=false', 'ev_type=1/0'",
        "'q', 'when=false', 'ev_type=nosuch'",
        "'q', 'ev_extra3=tg_op'",
        "'q', 'ev_extra3=new.nm'",
        "'q', 'ev_extra3=old.nm'",
        "'q', 'ev_extra3=t.nm'",
        "'q', 'ev_extra3=n.nm'",
        "'q', 'ev_extra3=\"nm\"'",
        "'q', 'ev_extra3=NM'",
        "'q', 'ev_extra3=nosuch(nm)'",
        "'q', 'ev_extra3=generate_series(1, 2)'",
        "'q', 'ev_extra3=1 where false'",
        "'q', 'ev_extra3=$1'",
        "'q', 'ev_extra3=*'",
    ]);
}

#[test]
fn changes_are_left_out_by_skip() {
    let mut pair = Pair::create();
    pair.setup(TABLE);
    for arguments in [
        "'q'",
        "'q', 'SKIP'",
        "'q', 'SKIP', 'when=id = 2'",
        "'q', 'SKIP', 'ignore=nm'",
        "'q', 'SKIP', 'backup'",
        "'q', 'SKIP', 'deny'",
        "'q', 'SKIP', 'pkey='",
        "'q', 'SKIP', 'pkey=', 'foo'",
    ] {
        let statements: Vec<&str> =
            CHANGES.iter().flat_map(|change| [*change, "copy t to '/dev/null'"]).collect();
        check_arguments(&mut pair, "before insert or update or delete", "row", arguments, &statements);
    }
}

#[test]
fn statements_are_refused_but_truncate() {
    let mut pair = Pair::create();
    pair.setup(TABLE);
    for arguments in [
        "",
        "'q'",
        "'nosuch'",
        "'q', 'foo'",
        "'q', 'SKIP'",
        "'q', 'deny'",
        "'q', 'backup'",
        "'q', 'backup', 'SKIP'",
        "'q', 'backup', 'deny'",
        "'q', 'pkey=nm'",
        "'q', 'pkey='",
        "'q', 'pkey=nm', 'backup'",
        "'q', 'pkey=nm', 'ignore=nm'",
        "'q', 'ignore=nm'",
        "'q', 'ignore=nm', 'backup'",
        "'q', 'when=true'",
        "'q', 'when=true', 'pkey='",
        "'q', 'ev_extra4=1'",
    ] {
        for moment in ["before", "after"] {
            let when = format!("{moment} insert or update or delete or truncate");
            check_arguments(&mut pair, &when, "statement", arguments, &CHANGES);
        }
    }
}
