//! Properties: no input makes the reader of config files panic, and every error names its cause.

use crate::error::ErrorKind;
use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestRunner};

use super::*;
use crate::config::ini_template;
use crate::error::describe;
use crate::run::description::Description;
use crate::run::parse::parse;

const KEYS: [Key; 3] =
    [Key::required("a", "A."), Key::optional("b", "B."), Key::with_default("x.c", "%(a)s", "C.")];

/// Runs a property on generated values, always the same ones unless `PROPTEST_RNG_SEED` says otherwise.
fn check<S: Strategy>(values: S, property: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    let fixed = if config.rng_seed == RngSeed::Random { RngSeed::Fixed(1) } else { config.rng_seed };
    if let Err(failure) = TestRunner::new(ProptestConfig { rng_seed: fixed, ..config }).run(&values, property)
    {
        panic!("{failure}");
    }
}

fn value() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "%(a)s", "%(B)s", "%(", ")s", "%", "%%", "1", "_", ".", "e", "-", "~", "/", ",", ":", "\n ", " ",
        "K", "yes",
    ]);
    prop_oneof![
        prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat()),
        "\\PC{0,20}",
        any::<String>(),
    ]
}

fn text() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        4 => ("[ab]|x\\.c| *", value()).prop_map(|(key, value)| format!("{key}={value}\n")),
        1 => Just("[s]\n".to_owned()),
        1 => any::<String>(),
    ];
    prop::collection::vec(line, 0..6).prop_map(|lines| format!("[s]\n{}", lines.concat()))
}

fn set() -> impl Strategy<Value = Vec<(String, String)>> {
    prop::collection::vec((prop_oneof!["[abAB]", any::<String>()], value()), 0..3)
}

/// Fails unless an error is one of usage, on one line, that names all of `names`.
fn check_error<T>(result: Result<T, Error>, names: &[&str]) -> Result<(), TestCaseError> {
    let Err(error) = result else { return Ok(()) };
    let line = describe(&error);
    prop_assert!(error.kind() == ErrorKind::Usage && line.lines().count() == 1, "{line}");
    for name in names {
        prop_assert!(line.contains(name), "`{name}` is not in: {line}");
    }
    Ok(())
}

fn check_reads(config: &Config) -> Result<(), TestCaseError> {
    for key in &KEYS {
        let place = [key.name(), "section [s]", "`dir/x.ini`"];
        check_error(config.get_opt(key), &place)?;
        check_error(config.get(key), &place)?;
        check_error(config.parsed::<i64>(key), &place)?;
        check_error(config.parsed_opt::<f64>(key), &place)?;
        check_error(config.boolean(key), &place)?;
        check_error(config.seconds(key), &place)?;
        check_error(config.size(key), &place)?;
        check_error(config.list(key), &place)?;
        check_error(config.file(key), &place)?;
    }
    check_error(config.job_name(), &["job_name", "section [s]", "`dir/x.ini`"])
}

#[test]
fn files_and_overrides_are_read_or_refused_by_name() {
    check((text(), set()), |(text, set)| {
        match Config::from_text(Path::new("dir/x.ini"), &text, &["s"], &set) {
            Ok(config) => {
                let config = config.declare(KEYS.to_vec());
                config.unknown();
                check_reads(&config)
            }
            Err(error) => {
                let place =
                    if error.to_string().contains("config_format") { "section [s]" } else { ": line " };
                check_error(Err::<(), _>(error), &["`dir/x.ini`", place])
            }
        }
    });
}

#[test]
fn an_escaped_value_is_the_value() {
    check(any::<String>(), |text| {
        let expanded = interpolate::expand(&text.replace('%', "%%"), &|_| None);
        prop_assert_eq!(expanded, Ok(text));
        Ok(())
    });
}

#[test]
fn a_sample_file_gives_overrides_back() {
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    check(set(), |set| {
        let Ok(text) = ini_template::render("s", &KEYS, &set) else { return Ok(()) };
        let sections = ini::read(&text).map_err(TestCaseError::fail)?;
        let last: BTreeMap<String, &String> =
            set.iter().map(|(name, value)| (name.to_lowercase(), value)).collect();
        for (name, value) in last {
            let read = sections["s"].get(&name).ok_or_else(|| TestCaseError::fail(format!("no {name}")))?;
            prop_assert_eq!(words(read), words(value));
        }
        Ok(())
    });
}

#[test]
fn overrides_are_split_or_refused() {
    check(prop_oneof!["[a-c ]{0,3}=\\PC*", "\\PC*"], |pair| {
        let given = format!("--set={pair}");
        let Ok(switches) = parse(&Description::new("x"), ["x".into(), given.into()]) else { return Ok(()) };
        match switches.set() {
            Ok(set) => {
                prop_assert!(set.iter().all(|(name, value)| pair.contains(name) && pair.contains(value)))
            }
            Err(error) => check_error(Err::<(), _>(error), &["--set must be PARAM=VAL"])?,
        }
        Ok(())
    });
}
