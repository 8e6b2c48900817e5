//! Intended differences between this project and Skytools in reading a file. Each has a reason, and its test fails when
//! the difference disappears.

use std::path::Path;

use dbscript::{Config, Error, Key};
use serde_json::Value;

use super::peer::Peer;

/// The results of both for key `x` in section `[s]`.
struct Both {
    ours: Result<Config, Error>,
    theirs: Value,
}

impl Both {
    fn read(text: &str, set: &[(&str, &str)]) -> Both {
        Both::read_as("peer.ini", text, set)
    }

    fn read_as(file: &str, text: &str, set: &[(&str, &str)]) -> Both {
        let set: Vec<_> = set.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let file = Path::new(file);
        let theirs = Peer::start().read_as(file, text.as_bytes(), &set);
        Both { ours: Config::from_text(file, text, &["s"], &set), theirs }
    }

    /// Returns the value that Skytools reads with the given function.
    fn theirs(&self, way: &str) -> Option<&Value> {
        self.theirs["value"]["s"]["value"]["x"].get(way)?.get("value")
    }

    /// Returns the value that this project reads.
    fn ours<T>(&self, way: impl FnOnce(&Config, &Key) -> Result<T, Error>) -> Option<T> {
        way(self.ours.as_ref().ok()?, &Key::optional("x", "")).ok()
    }
}

#[test]
fn a_byte_order_mark_is_no_text() {
    // Some editors write it, and nobody sees it.
    let both = Both::read("\u{feff}[s]\nx = 1", &[]);
    assert_eq!((both.theirs("get"), both.ours(Config::get)), (None, Some("1".to_owned())));
}

#[test]
fn a_nul_character_is_refused() {
    // No path, name or connection string can hold it.
    let both = Both::read("[s]\nx = a\0b", &[]);
    assert_eq!((both.theirs("get"), both.ours(Config::get)), (Some(&"a\0b".into()), None));
}

#[test]
fn an_override_of_the_format_is_refused() {
    // Skytools reads it before any override, so the override would do nothing.
    let both = Both::read("[s]\nx = ${job_name}", &[("config_format", "2")]);
    assert_eq!((both.theirs("get"), both.ours(Config::get)), (Some(&"${job_name}".into()), None));
    assert!(both.ours.expect_err("refused").to_string().contains("--set cannot change config_format"));
}

#[test]
fn a_stray_percent_sign_in_an_override_is_reported_when_the_key_is_read() {
    // Then the message names section and key, as for a value in the file.
    let both = Both::read("[s]\n", &[("x", "100%")]);
    assert!(both.theirs["value"]["s"]["error"].as_str().is_some_and(|error| error.starts_with("ValueError")));
    let error = both.ours.expect("read").get(&Key::optional("x", "")).expect_err("stray").to_string();
    assert_eq!(
        error,
        "key x: a `%` must be followed by `%` or `(name)s`; `%%` is one percent sign (section [s] of `peer.ini`)"
    );
}

#[test]
fn a_percent_sign_in_the_files_name_stands_for_itself() {
    // Skytools does not start with such a file.
    let both = Both::read_as("100%.ini", "[s]\nx = %(job_name)s", &[]);
    assert_eq!((both.theirs("get"), both.ours(Config::get)), (None, Some("100%".to_owned())));
}

#[test]
fn the_folder_of_a_file_in_the_current_folder_is_a_dot() {
    // `%(config_dir)s/log` is a file beside it, and not `/log`.
    let both = Both::read("[s]\nx = %(config_dir)s/log", &[]);
    assert_eq!(
        (both.theirs("get"), both.ours(Config::get)),
        (Some(&"/log".into()), Some("./log".to_owned()))
    );
}

#[test]
fn numbers_have_64_bits_and_plain_digits() {
    // No key needs more.
    for number in ["18446744073709551616", "٣"] {
        let both = Both::read(&format!("[s]\nx = {number}"), &[]);
        assert!(both.theirs("int").is_some(), "{number}");
        assert_eq!(both.ours(Config::parsed::<u64>), None, "{number}");
    }
    let both = Both::read("[s]\nx = 16E", &[]);
    assert!(both.theirs("size").is_some());
    assert_eq!(both.ours(Config::size), None);
}

#[test]
fn the_home_folder_of_an_unknown_user_is_an_error() {
    // Nobody means a file in a folder that is called `~name`.
    let both = Both::read("[s]\nx = ~no-such-user/log", &[]);
    assert_eq!((both.theirs("file"), both.ours(Config::file)), (Some(&"~no-such-user/log".into()), None));
}

#[test]
fn a_required_key_must_not_be_empty() {
    // An empty name or connection string would be taken for another, and fail later.
    let both = Both::read("[s]\nx =", &[]);
    assert_eq!(both.theirs("get"), Some(&"".into()));
    let error = both.ours.expect("read").get(&Key::required("x", "")).expect_err("empty").to_string();
    assert_eq!(error, "config value not set: x (section [s] of `peer.ini`)");
}

#[test]
fn a_value_that_grows_without_end_is_refused() {
    // Ten lines of ten references are ten thousand million; Skytools begins to build them.
    let text: String =
        (1..9).map(|at| format!("v{at} = {}\n", format!("%(v{})s", at + 1).repeat(10))).collect();
    let ours = Config::from_text(Path::new("x.ini"), &format!("[s]\nx = %(v1)s\n{text}v9 = x"), &["s"], &[]);
    let error = ours.expect("read").get(&Key::optional("x", "")).expect_err("endless").to_string();
    assert!(error.contains("makes the value too long"), "{error}");
}
