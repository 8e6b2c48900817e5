//! Errors that functions in the database raise: the message is logged; the other fields may contain data of rows.

use dbscript::BoxError;

use super::{failure, quoted};
use crate::support::Database;

/// Returns the log after a function has raised an error with a SQLSTATE, a message, a detail and a hint.
fn raised(state: &str, message: &str) -> String {
    let (message, secret) = (quoted(message), quoted("order of secret"));
    let setup = format!(
        "create function refuse() returns int language plpgsql as $x$ begin
             raise exception using errcode = '{state}', message = {message}, detail = {secret}, hint = {secret};
         end $x$"
    );
    failure(&setup, "select refuse()")
}

#[test]
fn a_log_shows_the_message_that_a_function_raises_and_no_more() {
    for state in ["P0001", "23514", "42501", "55000", "0A000", "XX000"] {
        let text = raised(state, "order 5 is refused");
        assert!(text.contains(&format!("ERROR {state}: order 5 is refused")), "{text}");
        assert!(!text.contains("secret"), "{text}");
    }
}

#[test]
fn a_log_shows_the_beginning_of_a_long_message() {
    let text = raised("P0001", &"é".repeat(100_000));
    assert!(text.contains("ERROR P0001: éé") && text.contains("éé…"), "{}", &text[..200]);
    let longest = text.lines().map(str::len).max();
    assert!(longest < Some(3000), "{longest:?}");
}

#[test]
fn hints_of_the_server_and_of_the_queues_functions_are_logged() {
    let text = failure("create table t (amount int)", "select amont from t");
    assert!(text.contains("42703") && text.contains("Perhaps you meant to reference the column"), "{text}");
}

#[test]
fn a_panic_at_an_error_of_the_server_shows_no_row() {
    let database = Database::create("escaping");
    let mut client = database.client();
    client.batch_execute("create table t (a text check (a <> 'secret'), b int)").expect("created");
    for (sql, message) in [
        ("insert into t (a) values ('secret')", "E23514), message: \"new row for relation"),
        ("insert into t (b) select x::int from (values ('secret')) v (x)", "E22P02), …"),
    ] {
        let mut insert = || -> Result<(), BoxError> {
            client.execute(sql, &[]).expect("inserted");
            Ok(())
        };
        let error = dbscript::catch_panic(&mut insert).expect_err("it panics");
        let line = dbscript::describe(&*error);
        assert!(
            line.starts_with("panic") && line.contains(": inserted: ") && line.contains(message),
            "{line}"
        );
        assert!(!line.contains("secret"), "{line}");
        assert!(dbscript::describe_in_full(&*error).contains("secret"));
    }
}
