//! Tests of connection strings, compared with libpq.

mod comparison;
mod completion;
mod keywords;
mod libpq;
mod syntax;

use super::{Target, parse};
use crate::error::Error;
use crate::error::ErrorKind;

/// Parses with only these variables. The last one of a name counts.
fn parse_with(text: &str, variables: &[(&str, &str)]) -> Result<Target, Error> {
    parse(text, |name| {
        let found = variables.iter().rev().find(|(variable, _)| *variable == name);
        found.map(|(_, value)| (*value).to_owned())
    })
}

fn line(error: &Error) -> String {
    crate::error::describe(error)
}

#[test]
fn a_target_is_shown_in_messages() {
    let check = |text: &str, expected: &str| {
        let env = [("PGHOST", "/sock"), ("PGPORT", "5433"), ("PGUSER", "u"), ("PGDATABASE", "d")];
        assert_eq!(parse_with(text, &env).expect(text).to_string(), expected);
    };
    check("dbname=sourcedb", "database `sourcedb` at `/sock` port 5433 as user `u`");
    check("host=h port=1 user=me password=s3cret", "database `d` at `h` port 1 as user `me`");
    check("postgresql://x:s3cret@h1:1,h2:2/db", "database `db` at `h1,h2` port 1,2 as user `x`");
    check("host=h1,h2", "database `d` at `h1,h2` port 5433 as user `u`");
}

#[test]
fn errors_name_the_keyword_and_where_it_was_set() {
    let check = |text: &str, env: &[(&str, &str)], expected: &str| {
        let error = parse_with(text, env).expect_err(text);
        assert!(error.kind() == ErrorKind::Usage, "{error:?}");
        assert_eq!(line(&error), expected);
    };
    let choices = "not one of disable, allow, prefer, require, verify-ca, verify-full";
    check("sslmode=maybe", &[], &format!("invalid value `maybe` of `sslmode`: {choices}"));
    check(
        "",
        &[("PGPORT", "x")],
        "invalid value `x` of `port` in the environment variable PGPORT: not a number from 1 to 65535",
    );
    check("hots=h", &[], "invalid connection string: unknown keyword `hots`");
    check("sourcedb", &[], "invalid connection string: missing `=` after `sourcedb`");
    check("host='h", &[], "invalid connection string: unterminated quoted value");
    check("host=a,b port=1,2,3", &[], "invalid connection string: 3 ports for 2 hosts");
    check("postgresql://h?hots=h", &[], "invalid connection URI: unknown parameter `hots`");
    check("host=\0", &[], "invalid connection string: it contains a zero byte");
}

#[test]
fn a_missing_service_is_not_a_usage_error() {
    let error =
        parse_with("service=x", &[("PGSERVICEFILE", "/dev/null")]).expect_err("there is no such service");
    assert!(error.kind() != ErrorKind::Usage, "{error:?}");
    assert_eq!(line(&error), "the definition of service `x` was not found");
}

#[test]
fn secrets_are_hidden() {
    for text in [
        "host=h password=s3 cret=x",
        "host=h password=s3 cret",
        "host=h sslpassword=s3 cret=x",
        "password='s3cret",
        "host=h password=s3cret sslmode=perhaps",
        "postgresql://u:s3/cret@h/db",
        "postgresql://u:3/cret@h/db",
        "postgresql://u:s3/x?cret=1@h/db",
        "postgresql://u:s3/x?port=cret@h:1/db",
        "postgresql://u:s3cret%@h/db",
        "postgresql://u:s3cret%00@h/db",
        "postgresql://u:s3cret%ff@h/db",
    ] {
        let error = parse_with(text, &[]).expect_err(text);
        assert!(!line(&error).contains("cret") && !line(&error).contains("s3"), "{error:?}");
    }
    let text = "host=h password=s3cret sslpassword=s3cret sslcert=/etc/passwd";
    let target = parse_with(text, &[]).expect("valid");
    assert!(!format!("{target:?}{target}").contains("s3cret"));
}
