//! The syntax, compared with libpq's.

use std::cell::RefCell;
use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::libpq::Libpq;
use crate::database::conninfo::keywords::KEYWORDS;
use crate::database::conninfo::options::Options;
use crate::database::conninfo::{keyword_value, uri};

#[test]
fn handwritten_strings_have_the_values_of_libpq() {
    let mut libpq = Libpq::start();
    for text in PAIRS.iter().chain(URIS) {
        assert_eq!(ours(text), theirs(&mut libpq, text), "`{text}`");
    }
}

#[test]
fn generated_pairs_have_the_values_of_libpq() {
    let word =
        select(&["host", "port", "password", "sslmode", "requiressl", "ssl", "no such", "ü", "1", ""][..]);
    let value = prop_oneof![
        word.clone().prop_map(str::to_owned),
        "'[a-z '\\\\\\\\]{0,6}'",
        "[ -~]{0,8}",
        "[a-z\\\\\\\\' ü]{0,6}"
    ];
    let equals = select(&["=", "=", "=", " = ", "\t=\u{b}", "\n=\r\u{c}", ""][..]);
    let pair = (word, equals, value).prop_map(|(word, equals, value)| format!("{word}{equals}{value}"));
    let separator = select(&[" ", " ", " ", "\n", "", "'", "\u{a0}"][..]);
    compare(vec((pair, separator), 0..4).prop_map(|pairs| concat(&pairs)));
}

#[test]
fn generated_uris_have_the_values_of_libpq() {
    let piece = select(
        &[
            "a",
            "b1",
            ":",
            ":",
            "@",
            "/",
            "?",
            ",",
            ",",
            "[",
            "]",
            "[::1]",
            "%2F",
            "%2f",
            "%",
            "%zz",
            "%00",
            "%C3%BC",
            "ü",
            "=",
            "&",
            "&",
            "host=",
            "sslmode=require",
            "ssl=true",
            "ssl=false",
            "requiressl=1",
            "dbname=x",
            "no=1",
            "5432",
            "%20",
        ][..],
    );
    let prefix = select(&["postgresql://", "postgres://", "postgresql:", "Postgres://"][..]);
    let strategy = (prefix, vec(piece, 0..9));
    compare(strategy.prop_map(|(prefix, pieces)| format!("{prefix}{}", pieces.concat())));
}

fn concat(pairs: &[(String, &str)]) -> String {
    pairs.iter().map(|(pair, separator)| format!("{pair}{separator}")).collect()
}

fn compare(strategy: impl Strategy<Value = String>) {
    let libpq = RefCell::new(Libpq::start());
    let config = Config { cases: 4000, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let result = runner.run(&strategy, |text| {
        prop_assert_eq!(ours(&text), theirs(&mut libpq.borrow_mut(), &text));
        Ok(())
    });
    result.unwrap_or_else(|failure| panic!("{failure}"));
}

fn ours(text: &str) -> Option<BTreeMap<String, String>> {
    let options = uri::strip_prefix(text).map_or_else(|| keyword_value::parse(text), uri::parse).ok()?;
    Some(given(&options))
}

pub(super) fn given(options: &Options) -> BTreeMap<String, String> {
    let value = |keyword: &str| Some((keyword.to_owned(), options.get(keyword)?.to_owned()));
    KEYWORDS.iter().filter_map(|(keyword, _)| value(keyword)).collect()
}

fn theirs(libpq: &mut Libpq, text: &str) -> Option<BTreeMap<String, String>> {
    let values = libpq.parse(text).ok()?;
    // This crate requires UTF-8, libpq does not.
    values.values().all(|value| !value.contains(char::REPLACEMENT_CHARACTER)).then_some(values)
}

const PAIRS: &[&str] = &[
    "",
    "  \t\n\u{b}\u{c}\r ",
    "host=h port=1",
    "host = h\tport\n=\r1",
    "host='a b' user='it\\'s' password='\\\\'",
    "host='a'port=1",
    "host=a'b'c",
    "password=a\\ b\\\\c\\",
    "password=",
    "password= user=u",
    "password='' user=''",
    "user=u user=v",
    "host",
    "host port=1",
    "=",
    "=x",
    "host==x",
    "host='a",
    "host='a\\'",
    "host=a b=c",
    "HOST=a",
    "bogus=1",
    "tty=1",
    "requiressl=1",
    "requiressl=0",
    "requiressl=",
    "requiressl=1 sslmode=disable",
    "ssl=true",
    "dbname='postgresql://h/db'",
    "dbname='host=a'",
    "sourcedb",
    " postgresql://h/db",
    "password=ü\u{a0}x user=y",
    "sslmode=perhaps port=abc",
];

const URIS: &[&str] = &[
    "postgresql://",
    "postgres://",
    "postgresql:///",
    "postgresql:///db",
    "postgresql://h",
    "postgresql://h/",
    "postgresql://h:5/",
    "postgresql://h:",
    "postgresql://:5",
    "postgresql://u@",
    "postgresql://@h",
    "postgresql://:p@h",
    "postgresql://u:@h",
    "postgresql://u:p:q@h",
    "postgresql://u:p@q@h",
    "postgresql://u:p/q@h",
    "postgresql://u:p?q@h",
    "postgresql://u%40v:p%3A%2f@h%2Fx:%31/d%2Fb?user=%75",
    "postgresql://h1:1,h2:2/db",
    "postgresql://h1,h2/db",
    "postgresql://h1:1,,:3/db",
    "postgresql://,",
    "postgresql://h%2Ch:1%2C2",
    "postgresql://[::1]",
    "postgresql://[::1]:5/db",
    "postgresql://[::1],[::2]:6?port=7",
    "postgresql://[fe80::1%25eth0]/",
    "postgresql://[]",
    "postgresql://[::1",
    "postgresql://[::1]x",
    "postgresql://[::1]@h",
    "postgresql://%2Fvar%2Frun/db",
    "postgresql:///db?host=/tmp&port=5",
    "postgresql://h?",
    "postgresql://h?&",
    "postgresql://h?sslmode",
    "postgresql://h?sslmode=a=b",
    "postgresql://h?sslmode=require&",
    "postgresql://h?sslmode=require&&port=1",
    "postgresql://h?ssl=true",
    "postgresql://h?ssl=1",
    "postgresql://h?%73sl=%74rue",
    "postgresql://h?requiressl=1",
    "postgresql://h?bogus=1",
    "postgresql://h?user=a@b",
    "postgresql://h/db?host=",
    "postgresql://h/a/b?application_name=x/y",
    "postgresql://h/db#x",
    "postgresql://h%",
    "postgresql://h%4",
    "postgresql://h%4g",
    "postgresql://h%00",
    "postgresql://h?host=%0",
    "postgresql://h?ho%zzst=a",
    "postgresql:/h",
    "postgresql:h",
    "POSTGRESQL://h",
    "postgresqls://h",
];
