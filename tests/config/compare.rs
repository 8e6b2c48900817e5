//! Compares the sections, keys, values and errors that Skytools and this project read from a file.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::PathBuf;

use dbscript::{Config, Error, Key};
use serde_json::Value;

use super::peer::Peer;

/// Fails if the two read a file differently; returns whether the file is valid.
pub(crate) fn compare(peer: &mut Peer, text: &[u8], set: &[(&str, &str)]) -> Result<bool, String> {
    let set: Vec<_> = set.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let theirs = peer.read(text, &set);
    let file = peer.file();
    let load = |section: &str| Config::load(&file, &[section], &set);
    let missing = load("\u{1}none").expect_err("there is no such section").to_string();
    let Some(sections) = theirs.get("value").and_then(Value::as_object) else {
        return if missing.contains("is missing; the file has") {
            Err(format!("read here, there {theirs}"))
        } else {
            Ok(false)
        };
    };
    let names: BTreeMap<&String, &Value> = sections.iter().collect();
    let listed: Vec<String> = names.keys().map(|name| format!("[{name}]")).collect();
    let listed = if listed.is_empty() { "no section".to_owned() } else { listed.join(", ") };
    if !missing.ends_with(&format!("is missing; the file has {listed}")) {
        return Err(format!("sections here: {missing}, there {listed}"));
    }
    // A percent sign in a name stands for itself here.
    for (name, values) in names.into_iter().filter(|(name, _)| !name.contains('%')) {
        compare_section(load(name), values).map_err(|what| format!("section [{name}]: {what}"))?;
    }
    Ok(true)
}

fn compare_section(ours: Result<Config, Error>, theirs: &Value) -> Result<(), String> {
    let Some(keys) = theirs.get("value").and_then(Value::as_object) else {
        let error = theirs["error"].to_string();
        // Skytools refuses such an override at once, this project when its key is read.
        let late = error.contains("invalid interpolation syntax");
        return if late || ours.is_err() { Ok(()) } else { Err(format!("read here, there {error}")) };
    };
    let ours = ours.map_err(|error| format!("only there: {error}"))?;
    keys.iter().try_for_each(|(key, theirs)| {
        compare_key(&ours, key, theirs).map_err(|what| format!("key `{key}`: {what}"))
    })
}

/// Compares one key, read in every way.
fn compare_key(ours: &Config, key: &str, theirs: &Value) -> Result<(), String> {
    let key = Key::optional(key.to_owned().leak(), "");
    let text = theirs["get"]["value"].as_str().unwrap_or_default();
    let wide = |value: &Value| value.as_str().is_some_and(|number| number.parse::<u64>().is_err());
    let foreign = text.chars().any(|c| c.is_numeric() && !c.is_ascii());

    same("get", ours.get(&key), &theirs["get"], |ours, theirs| theirs == ours.as_str())?;
    // Numbers of more than 64 bits, and digits of other scripts, are refused.
    if !foreign {
        let beyond = |value: &Value| value.as_str().is_some_and(|number| number.parse::<i64>().is_err());
        same_unless(beyond, "int", ours.parsed::<i64>(&key), &theirs["int"], |ours, theirs| {
            theirs == ours.to_string().as_str()
        })?;
        same("float", ours.parsed::<f64>(&key), &theirs["float"], |ours, theirs| {
            let theirs: f64 = theirs.as_str().and_then(|number| number.parse().ok()).unwrap_or(f64::MIN);
            theirs.total_cmp(ours).is_eq() || (theirs.is_nan() && ours.is_nan())
        })?;
    }
    same("boolean", ours.boolean(&key), &theirs["boolean"], |ours, theirs| theirs == ours)?;
    same("list", ours.list(&key), &theirs["list"], |ours, theirs| theirs == &Value::from(ours.clone()))?;
    // Python keeps `~user` if there is no such user.
    let unknown_user = |value: &Value| value.as_str().is_some_and(|path| path.starts_with('~'));
    same_unless(unknown_user, "file", ours.file(&key), &theirs["file"], |ours, theirs| {
        Some(ours.clone().unwrap_or_default()) == theirs.as_str().map(PathBuf::from)
    })?;
    same_unless(wide, "size", ours.size(&key), &theirs["size"], |ours, theirs| {
        theirs == ours.to_string().as_str()
    })
}

fn same<T: Debug>(
    what: &str,
    ours: Result<T, Error>,
    theirs: &Value,
    equal: impl FnOnce(&T, &Value) -> bool,
) -> Result<(), String> {
    same_unless(|_| false, what, ours, theirs, equal)
}

/// Compares two results; values of theirs that `refused` names are errors of ours.
fn same_unless<T: Debug>(
    refused: impl FnOnce(&Value) -> bool,
    what: &str,
    ours: Result<T, Error>,
    theirs: &Value,
    equal: impl FnOnce(&T, &Value) -> bool,
) -> Result<(), String> {
    let same = match (&ours, theirs.get("value")) {
        (Ok(ours), Some(theirs)) => equal(ours, theirs),
        (Err(error), Some(theirs)) => error.kind() == dbscript::ErrorKind::Usage && refused(theirs),
        (Ok(_), None) => false,
        (Err(error), None) => error.kind() == dbscript::ErrorKind::Usage,
    };
    if same { Ok(()) } else { Err(format!("{what} is {ours:?} here, there {theirs}")) }
}
