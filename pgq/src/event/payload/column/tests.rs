//! Every type, and what is wrong with texts.

use crate::error::ErrorKind;
use std::collections::HashMap;

use serde::Deserialize;

use crate::event::payload::urldecode;

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Mood {
    Ok,
    Sad,
}

#[derive(Debug, Deserialize, PartialEq)]
struct Inner {
    a: Option<u8>,
}

#[derive(Debug, Deserialize, PartialEq)]
struct Id(i64);

#[derive(Debug, Deserialize, PartialEq)]
struct All<'a> {
    id: Id,
    small: i16,
    real: f64,
    yes: bool,
    no: Option<bool>,
    name: String,
    plain: &'a str,
    mood: Mood,
    inner: Inner,
    numbers: Vec<Option<i32>>,
    pair: (f64, f64),
    letter: char,
    nothing: Option<i32>,
    absent: Option<i32>,
}

#[test]
fn every_type_is_read() {
    let text = "id=9007199254740993&small=-3&real=-Infinity&yes=t&no=f&name=a+b%26&plain=x&mood=sad\
        &inner=%7b%22a%22%3a+1%7d&numbers=%7b1,NULL,-2%7d&pair=[1,2.5]&letter=%c3%a9&nothing&other=1";
    let all: All<'_> = urldecode(text).and_then(|fields| fields.deserialize()).expect("valid");
    let expected = All {
        id: Id(9_007_199_254_740_993),
        small: -3,
        real: f64::NEG_INFINITY,
        yes: true,
        no: Some(false),
        name: "a b&".to_owned(),
        plain: "x",
        mood: Mood::Sad,
        inner: Inner { a: Some(1) },
        numbers: vec![Some(1), None, Some(-2)],
        pair: (1.0, 2.5),
        letter: 'é',
        nothing: None,
        absent: None,
    };
    assert_eq!(all, expected);
}

#[test]
fn maps_take_any_field() {
    let map: HashMap<String, Option<String>> =
        urldecode("a=1&b").and_then(|fields| fields.deserialize()).expect("valid");
    assert_eq!(map, HashMap::from([("a".to_owned(), Some("1".to_owned())), ("b".to_owned(), None)]));
    let json: serde_json::Value = urldecode("a=1&b").and_then(|fields| fields.deserialize()).expect("valid");
    assert_eq!(json, serde_json::json!({"a": "1", "b": null}));
}

#[track_caller]
fn check_error<T: for<'de> Deserialize<'de> + std::fmt::Debug>(text: &str, expected: &str) {
    let error = urldecode(text).expect("valid").deserialize::<HashMap<String, T>>().expect_err(text);
    assert!(error.kind() == ErrorKind::Payload);
    assert_eq!(dbscript::describe_in_full(&error), format!("cannot read the fields: field `a`: {expected}"));
}

#[test]
fn errors_name_field_type_and_text() {
    check_error::<u8>("b=1&a=300", "expected u8, not `300`");
    check_error::<i32>("a", "expected i32, not NULL");
    check_error::<bool>("a=maybe", "expected a boolean, not `maybe`");
    check_error::<bool>("a=o", "expected a boolean, not `o`");
    check_error::<String>("a", "expected a string, not NULL");
    check_error::<Mood>("a=glad", "unknown variant `glad`, expected `ok` or `sad`");
    check_error::<Vec<u8>>("a=%7b%7b1%7d%7d", "expected a sequence, not `{{1}}`");
    check_error::<(u8, u8)>("a=%7b1,2,3%7d", "invalid length 3, expected 2 elements in sequence");
    check_error::<Inner>("a=%7b", "expected struct Inner, not `{`");
    check_error::<f32>(&format!("a={}", "é".repeat(61)), &format!("expected f32, not `{}…`", "é".repeat(60)));
}

#[test]
fn an_error_inside_of_a_field_names_the_inner_one() {
    let fields = urldecode("a=%7b%22a%22%3a300%7d").expect("valid");
    let error = fields.deserialize::<HashMap<String, Inner>>().expect_err("too large");
    let line = dbscript::describe_in_full(&error);
    assert_eq!(line, "cannot read the fields: field `a.a`: invalid value: integer `300`, expected u8");
    let line = dbscript::describe(&error);
    assert_eq!(line, "cannot read the fields: field `a.a`: invalid value: integer `…`, expected u8");
}

#[test]
fn booleans_are_read_as_postgresql_reads_them() {
    let read = |text: &str| {
        let fields = urldecode(text).expect("valid");
        fields.deserialize::<HashMap<String, bool>>().expect("a boolean")["a"]
    };
    for yes in ["t", "TRUE", "tr", "1", "Yes", "y", "on", "+true+"] {
        assert!(read(&format!("a={yes}")), "{yes}");
    }
    for no in ["f", "False", "0", "NO", "n", "off", "of"] {
        assert!(!read(&format!("a={no}")), "{no}");
    }
}

#[test]
fn bytes_are_hexadecimal() {
    #[derive(Debug, PartialEq)]
    struct Bytes(Vec<u8>);
    impl<'de> Deserialize<'de> for Bytes {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
            struct Visitor;
            impl serde::de::Visitor<'_> for Visitor {
                type Value = Bytes;
                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("bytes")
                }
                fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Bytes, E> {
                    Ok(Bytes(bytes))
                }
            }
            deserializer.deserialize_byte_buf(Visitor)
        }
    }
    let read = |text| urldecode(text).and_then(|fields| fields.deserialize::<HashMap<String, Bytes>>());
    let numbers = |text| urldecode(text).and_then(|fields| fields.deserialize::<HashMap<String, Vec<u8>>>());
    assert_eq!(
        numbers("a=%5cx00ff&b=%5cx&c=%7b1,2%7d").expect("valid"),
        HashMap::from([
            ("a".to_owned(), vec![0, 255]),
            ("b".to_owned(), vec![]),
            ("c".to_owned(), vec![1, 2])
        ])
    );
    assert_eq!(read("a=%5cx00ff").expect("valid")["a"], Bytes(vec![0, 255]));
    assert_eq!(read("a=%5cx").expect("valid")["a"], Bytes(vec![]));
    for wrong in ["a=00ff", "a=%5cx0", "a=%5cx0g", "a=%5cx%2b1", "a=%5cx%c3%a9"] {
        assert!(read(wrong).is_err(), "{wrong}");
    }
}
