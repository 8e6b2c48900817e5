//! This project reads the same from generated files as Skytools.

use std::cell::{Cell, RefCell};

use proptest::prelude::*;

use super::compare::compare;
use super::peer::Peer;
use crate::support::amount::check_generated;

/// How many files are generated.
const GENERATED: [u32; 2] = [500, 4000];

#[rustfmt::skip]
const KEYS: [&str; 14] = [
    "a", "b", "A", "c d", "job_name", "x.y.a", "x.*.b", "*.*.a", "İ", "[k", "[]", "%", "config_dir", "",
];

/// The parts of generated values.
#[rustfmt::skip]
const PIECES: [&str; 35] = [
    "%(a)s", "%(B)s", "%(c d)s", "%(job_name)s", "%(none)s", "%%", "%", "1", "-", "_", "1_000", ".5", "e3", "inf",
    "yes", "OFF", ",", ":", "=", "#", ";", "[t]", "~", "~root", "/", " ", "k", "MB", " B", "\u{85}", "\u{2028}",
    "\u{1d}", "\u{b}", "é", "x",
];

fn line() -> impl Strategy<Value = String> {
    let space = prop::sample::select(vec!["", "", "", " ", "  ", "\t", "\u{a0}", "\u{1c}", "\u{3000} "]);
    let key = prop::sample::select(&KEYS);
    let delimiter = prop::sample::select(vec!["=", ":", " = ", " : ", "\u{1f}=\t", ":=", "", "  "]);
    let piece = prop::sample::select(&PIECES);
    let value = prop::collection::vec(piece, 0..5).prop_map(|pieces| pieces.concat());
    let option = (key, delimiter, value.clone())
        .prop_map(|(key, delimiter, value)| format!("{key}{delimiter}{value}"));
    let header =
        prop::sample::select(vec!["[s]", "[t]", "[DEFAULT]", "[ s ]", "[s", "[u]]", "[v] x", "[w] = ]"]);
    let content = prop_oneof![
        8 => option,
        3 => value,
        2 => header.prop_map(str::to_owned),
        1 => Just(String::new()),
        1 => prop::sample::select(vec!["# c", ";c", "#"]).prop_map(str::to_owned),
        1 => "[^\0]{0,12}",
    ];
    let end = prop::sample::select(vec!["\n", "\n", "\n", "\r\n", "\r"]);
    (space, content, end).prop_map(|(space, content, end)| format!("{space}{content}{end}"))
}

fn file() -> impl Strategy<Value = String> {
    let start =
        prop::sample::select(vec!["[s]\n", "[s]\n", "[s]\n", "[s]\na=1\n", "[DEFAULT]\na = x\n[s]\n", ""]);
    let lines = prop::collection::vec(line(), 0..8).prop_map(|lines| lines.concat());
    // A file that begins with this differs on purpose.
    (start, lines)
        .prop_map(|(start, lines)| format!("{start}{lines}").trim_start_matches('\u{feff}').to_owned())
}

#[test]
fn generated_files() {
    let peer = RefCell::new(Peer::start());
    let accepted = Cell::new(0);
    let set = vec![None, Some(("a", "%(b)s")), Some(("A", "2")), Some(("x.y.b", "%%")), Some(("c d", "%"))];
    let cases = check_generated(GENERATED, &(file(), prop::sample::select(set)), |(text, set)| {
        let set: Vec<_> = set.into_iter().collect();
        let read = compare(&mut peer.borrow_mut(), text.as_bytes(), &set).map_err(TestCaseError::fail)?;
        accepted.set(accepted.get() + u32::from(read));
        Ok(())
    });
    assert!(accepted.get() > cases / 4, "only {} of {cases} files are valid", accepted.get());
}
