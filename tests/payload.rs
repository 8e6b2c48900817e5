//! Urlencoded fields, as Skytools' own functions write and read them.

use std::cell::{Cell, RefCell};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use pgq::payload::{Fields, urldecode, urlencode};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::amount::check_generated;

/// How many maps and how many texts are generated in a run.
const GENERATED: [u32; 2] = [500, 4000];

type Pairs = Vec<(String, Option<String>)>;

/// A running process of Python.
struct Peer {
    process: Child,
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Peer {
    fn start() -> Peer {
        let mut process = Command::new("/usr/bin/python3")
            .args(["-X", "utf8", "-W", "ignore", "-c", include_str!("payload/peer.py")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 is there: scripts/setup installs python3-skytools");
        let requests = process.stdin.take();
        let answers = BufReader::new(process.stdout.take().expect("a pipe"));
        Peer { process, requests, answers }
    }

    /// Returns an object with `value` or `error`.
    fn ask(&mut self, request: &Value) -> Value {
        writeln!(self.requests.as_mut().expect("open"), "{request}").expect("the process reads");
        let mut answer = String::new();
        self.answers.read_line(&mut answer).expect("the process answers");
        serde_json::from_str(&answer).expect("an answer")
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.requests = None;
        // It ends with its input.
        let _ = self.process.wait();
    }
}

/// Text in which every character of one byte is likely.
fn text() -> impl Strategy<Value = String> {
    let ascii = (0..128_u8).prop_map(char::from);
    let character =
        prop_oneof![4 => ascii, 1 => prop::sample::select(vec!['é', '日', '🐘', '\u{200b}', '\u{85}'])];
    prop::collection::vec(character, 0..8).prop_map(String::from_iter)
}

/// Text of the characters that have a meaning for decoding.
fn encoded() -> impl Strategy<Value = String> {
    let pieces = vec![
        "=", "&", "+", "%", "%4", "%41", "%C3%A9", "%c3", "%26", "%00", "%zz", "%+1", "a", "B", "é", " ",
    ];
    let piece = prop_oneof![
        3 => prop::sample::select(vec!["=", "&", "a", "b"]),
        1 => prop::sample::select(pieces)
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

fn owned(fields: &Fields<'_>) -> Pairs {
    fields.iter().map(|(name, value)| (name.to_owned(), value.map(str::to_owned))).collect()
}

#[test]
fn generated_fields_are_written_as_skytools_writes_them() {
    let peer = RefCell::new(Peer::start());
    let fields = prop::collection::vec((text(), prop::option::of(text())), 0..6);
    check_generated(GENERATED, &fields, |pairs| {
        let fields: Fields<'_> = pairs.iter().map(|(name, value)| (name, value.as_ref())).collect();
        let answer = peer.borrow_mut().ask(&json!({ "fields": pairs }));
        prop_assert_eq!(&json!({ "value": fields.urlencode() }), &answer);
        prop_assert_eq!(fields.urlencode(), urlencode(owned(&fields)));
        let text = fields.urlencode();
        let again = urldecode(&text).map_err(|error| TestCaseError::fail(format!("{error:?}")))?;
        // A NULL without a name leaves no trace.
        let nameless = (String::new(), None);
        let expected: Pairs = owned(&fields).into_iter().filter(|field| *field != nameless).collect();
        prop_assert_eq!(owned(&again), expected);
        Ok(())
    });
}

#[test]
fn generated_texts_are_read_as_skytools_reads_them() {
    let peer = RefCell::new(Peer::start());
    let (valid, wrong) = (Cell::new(0), Cell::new(0));
    let cases = check_generated(GENERATED, &prop_oneof![3 => encoded(), 1 => text()], |text| {
        let answer = peer.borrow_mut().ask(&json!({ "text": text }));
        match urldecode(&text) {
            Ok(fields) => {
                prop_assert_eq!(&json!(owned(&fields)), &answer["value"][0], "{}", answer);
                if text.is_ascii() && !text.contains('%') {
                    prop_assert_eq!(&json!(fields.to_string()), &answer["value"][1]);
                }
                valid.set(valid.get() + 1);
            }
            Err(error) => {
                prop_assert!(
                    error.kind() == pgq::ErrorKind::Payload && answer.get("error").is_some(),
                    "{:?}: {}",
                    error,
                    answer
                );
                wrong.set(wrong.get() + 1);
            }
        }
        Ok(())
    });
    assert!(valid.get() > cases / 4 && wrong.get() > cases / 20, "{valid:?} {wrong:?}");
}
