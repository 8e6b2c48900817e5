//! The sample config file that `--ini` prints, made from the keys.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::config::ini;
use crate::config::key::{Key, Presence};
use crate::error::Error;
use crate::text::wrap::wrap;

const WIDTH: usize = 76;

/// Renders a file with every key of `keys`: set to its default, commented out if it has none, and empty if it is
/// required. Values in `set` replace these. Values of `set` whose names are no keys come last, since other values may
/// refer to them.
///
/// # Errors
///
/// A usage error that names a key of `set` if no file can contain the key with its value.
pub(crate) fn render(section: &str, keys: &[Key], set: &[(String, String)]) -> Result<String, Error> {
    let mut given: BTreeMap<String, &str> =
        set.iter().map(|(name, value)| (name.to_lowercase(), value.as_str())).collect();
    if given.get("config_format").is_some_and(|format| *format != "1") {
        return Err(Error::usage(
            "the sample file is in config_format 1; to use another format, change key and values in the file",
        ));
    }
    check(&given)?;
    let mut text = format!("[{section}]\n");
    for key in keys {
        text.push('\n');
        for line in wrap(key.doc, WIDTH) {
            let _ = writeln!(text, "# {line}");
        }
        let names: Vec<&str> = key.names().filter(|name| given.contains_key(*name)).collect();
        match (names.first().and_then(|name| given.get(*name)), key.value) {
            (Some(value), _) => text.push_str(&line(key.name, value)),
            (None, Presence::Default(value)) => text.push_str(&line(key.name, value)),
            (None, Presence::Required) => text.push_str(&line(key.name, "")),
            (None, Presence::Optional) => {
                let _ = writeln!(text, "#{} =", key.name);
            }
        }
        for name in names {
            given.remove(name);
        }
    }
    if !given.is_empty() {
        text.push_str("\n# Set by --set.\n");
    }
    text.extend(given.iter().map(|(name, value)| line(name, value)));
    Ok(text)
}

/// Returns the line that sets a key, with its continuation lines.
fn line(name: &str, value: &str) -> String {
    let value = value.lines().map(ini::strip).collect::<Vec<_>>().join("\n    ");
    format!("{name} = {value}").trim_end().to_owned() + "\n"
}

/// Checks that each value, read back from a file of its own, is the same except for white space. A name with a colon is
/// not, for example, nor a value with a line that begins with `#`.
fn check(given: &BTreeMap<String, &str>) -> Result<(), Error> {
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    for (name, value) in given {
        let sections = ini::read(&format!("[s]\n{}", line(name, value))).unwrap_or_default();
        let read = sections.get("s").and_then(|keys| keys.get(name));
        if read.is_none_or(|read| words(read) != words(value)) {
            return Err(Error::usage(format!("no config file can contain `{name}` with the value of --set")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_there_with_its_meaning() {
        let keys = [
            Key::required("src_db", "Source database."),
            Key::with_default("loop_delay", "1.0", "Seconds to sleep."),
            Key::optional("pidfile", "Pidfile."),
            Key::required("queue_name", "Queue.").or_named(&["pgq_queue_name"]),
        ];
        let set = [("PGQ_queue_name".to_owned(), "q".to_owned())];
        let expected = "[mover]\n\n# Source database.\nsrc_db =\n\n# Seconds to sleep.\nloop_delay = 1.0\n\
                        \n# Pidfile.\n#pidfile =\n\n# Queue.\nqueue_name = q\n";
        assert_eq!(render("mover", &keys, &set).expect("valid"), expected);
    }

    fn pairs(set: &[(&str, &str)]) -> Vec<(String, String)> {
        set.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn overrides_come_back_as_they_were_given() {
        let keys = [Key::with_default("sql", "select 1", "Statement."), Key::optional("pidfile", "Pidfile.")];
        let set = pairs(&[
            ("SQL", "select 2"),
            ("sql", "select '100%%'\n  from x\n\n  [a] = b"),
            ("pidfile", "%(base)s/x.pid"),
            ("base", "/tmp"),
        ]);
        let text = render("s", &keys, &set).expect("valid");
        assert!(text.ends_with("\n# Set by --set.\nbase = /tmp\n"), "{text}");
        let keys = &ini::read(&text).expect("valid")["s"];
        assert_eq!(keys["sql"], "select '100%%'\nfrom x\n\n[a] = b");
        assert_eq!(keys["pidfile"], "%(base)s/x.pid");
        assert_eq!(keys.len(), 3);
    }

    #[test]
    fn values_that_no_file_can_contain_are_refused() {
        for (name, value) in
            [("sql", "select 1\n# + 2"), ("a:b", "c"), ("#a", "b"), ("[a]", "b"), ("a", "\0"), ("a\nb", "c")]
        {
            let error = render("s", &[], &pairs(&[(name, value)])).expect_err(name);
            assert_eq!(
                error.to_string(),
                format!("no config file can contain `{name}` with the value of --set")
            );
        }
    }
}
