//! Config files and overrides: whatever is read or refused, nothing panics, hangs or grows without end.
//!
//! The input is a file's text; what follows the first NUL character is the value of an override.

#![no_main]

use std::path::Path;

use dbscript::{Config, Error, ErrorKind, Key};
use libfuzzer_sys::fuzz_target;

const KEYS: [Key; 3] = [Key::required("a", ""), Key::optional("b", ""), Key::with_default("c", "%(a)s", "")];

fuzz_target!(|text: &str| {
    let (text, value) = text.split_once('\0').unwrap_or((text, "%(b)s"));
    let set = [("a".to_owned(), value.to_owned())];
    match Config::from_text(Path::new("x.ini"), text, &["s", "t"], &set) {
        Ok(config) => KEYS.iter().for_each(|key| read(&config, key)),
        Err(error) => check(&error, "`x.ini`"),
    }
});

fn read(config: &Config, key: &Key) {
    let named = |result: Result<(), Error>| {
        if let Err(error) = result {
            check(&error, "section [");
        }
    };
    named(config.get(key).map(drop));
    named(config.get_opt(key).map(drop));
    named(config.parsed::<i64>(key).map(drop));
    named(config.parsed::<f64>(key).map(drop));
    named(config.boolean(key).map(drop));
    named(config.seconds(key).map(drop));
    named(config.size(key).map(drop));
    named(config.list(key).map(drop));
    named(config.file(key).map(drop));
    named(config.job_name().map(drop));
}

fn check(error: &Error, place: &str) {
    assert!(error.kind() == ErrorKind::Usage && error.to_string().contains(place), "{error}");
}
