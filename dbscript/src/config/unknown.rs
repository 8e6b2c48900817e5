//! Undeclared keys: misspelled ones in the file, and forgotten ones in the program.

use std::collections::BTreeSet;

use super::{Config, FORMAT};
use crate::config::interpolate::{self, Syntax};
use crate::config::key::{Key, Presence};
use crate::text::suggestion::suggest;

impl Config {
    /// Returns the keys of the section and of the overrides that the program does not declare and no other value
    /// refers to, each with the most similar declared name.
    ///
    /// Keys of `[DEFAULT]` are omitted, since they may belong to other programs.
    pub(crate) fn unknown(&self) -> Vec<(String, Option<&'static str>)> {
        let declared = self.declared.as_deref().unwrap_or_default();
        let referred = self.referred(declared);
        let is_declared = |key: &str| {
            key == FORMAT || declared.iter().flat_map(Key::names).any(|name| name.eq_ignore_ascii_case(key))
        };
        let keys: BTreeSet<&String> = self.values.keys().chain(self.set.keys()).collect();
        keys.into_iter()
            .filter(|key| !is_declared(key) && !referred.contains(*key))
            .map(|key| (key.clone(), suggest(key, declared.iter().flat_map(Key::names))))
            .collect()
    }

    /// Returns the names that any value or default refers to.
    fn referred(&self, declared: &[Key]) -> BTreeSet<String> {
        let values = self.places().into_iter().flat_map(|place| place.values()).map(String::as_str);
        let defaults = declared.iter().filter_map(|key| match key.value {
            Presence::Default(default) => Some(default),
            Presence::Optional | Presence::Required => None,
        });
        let others = self.others.values().flat_map(|section| section.values()).map(String::as_str);
        let in_file = values.chain(others).flat_map(|text| interpolate::references(self.syntax, text));
        let in_program = defaults.flat_map(|text| interpolate::references(Syntax::Percent, text));
        in_file.chain(in_program).collect()
    }

    /// Returns the key as the program has declared it, possibly with another default.
    pub(super) fn declared(&self, key: &Key) -> Key {
        let all = self.declared.as_deref().unwrap_or_default();
        all.iter().find(|declared| declared.name == key.name).copied().unwrap_or(*key)
    }

    /// Panics in a debug build if the program reads a key that it has not declared. The sample file would lack such a
    /// key, and a file with the key would cause a warning.
    pub(super) fn check_declared(&self, key: &Key) {
        let all = self.declared.as_ref();
        let is_declared = all.is_none_or(|all| all.iter().any(|declared| declared.name == key.name));
        debug_assert!(is_declared, "key `{}` is read but not declared with `Program::keys`", key.name);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const DB: Key = Key::required("db", "Database.");
    const PIDFILE: Key = Key::with_default("pidfile", "%(base)s/x.pid", "Pidfile.");
    const QUEUE: Key = Key::required("pgq_queue_name", "Queue.").or_named(&["queue_name"]);

    fn config(text: &str, set: &[(&str, &str)]) -> Config {
        let set: Vec<_> = set.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let config = Config::from_text(Path::new("x.ini"), text, &["s"], &set).expect("valid");
        config.declare(vec![DB, PIDFILE, QUEUE])
    }

    fn check(text: &str, expected: &[(&str, Option<&str>)]) {
        let unknown = config(text, &[]).unknown();
        let unknown: Vec<_> = unknown.iter().map(|(key, nearest)| (key.as_str(), *nearest)).collect();
        assert_eq!(unknown, expected, "{text}");
    }

    #[test]
    fn unknown_keys_come_with_the_nearest_name() {
        check(
            "[s]\npgq_queue_nmae = x\nqueue_nam = x\nodd_one_out = 1\nx = 1\nbd = 1\n",
            &[
                ("bd", Some("db")),
                ("odd_one_out", None),
                ("pgq_queue_nmae", Some("pgq_queue_name")),
                ("queue_nam", Some("queue_name")),
                ("x", None),
            ],
        );
    }

    #[test]
    fn known_are_old_names_and_what_values_or_defaults_refer_to() {
        check("[s]\nDB = %(name)s\nname = x\nbase = /x\nqueue_name = q\nconfig_format = 1\n", &[]);
    }

    #[test]
    fn a_declared_default_wins() {
        let key = Key::optional("pidfile", "Pidfile.");
        assert_eq!(
            config("[s]\nbase = /x\n", &[]).get_opt(&key).expect("valid").as_deref(),
            Some("/x/x.pid")
        );
    }

    #[test]
    fn other_sections_are_not_read_and_overrides_are() {
        check("[DEFAULT]\na = 1\n[s]\ndb = x\n[t]\nb = 1\n", &[]);
        assert_eq!(config("[s]\nbd = 1", &[("BD", "2")]).unknown(), [("bd".to_owned(), Some("db"))]);
    }

    #[test]
    #[cfg(debug_assertions)]
    #[should_panic(expected = "key `secret_switch` is read but not declared")]
    fn a_key_that_is_not_declared_cannot_be_read() {
        let _ = config("[s]\n", &[]).get_opt(&Key::optional("secret_switch", ""));
    }
}
