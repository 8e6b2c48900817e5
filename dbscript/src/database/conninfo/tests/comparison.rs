//! Comparison of completed connection strings with those of libpq.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use tempfile::TempDir;

use super::libpq::{Answer, Libpq};
use super::parse_with;
use super::syntax::given;
use crate::database::conninfo::complete;
use crate::database::conninfo::environment::Environment;

/// libpq with a separate home folder. No server listens at the addresses of these tests.
pub(super) struct Comparison {
    libpq: Libpq,
    defaults: BTreeMap<String, String>,
    home: TempDir,
}

impl Comparison {
    pub(super) fn new() -> Comparison {
        let mut libpq = Libpq::start();
        let defaults = libpq.open("host=/nowhere", &[("HOME", "/nowhere")]).expect("valid");
        Comparison { libpq, defaults, home: tempfile::tempdir().expect("a temporary folder") }
    }

    pub(super) fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.home.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("the folder is writable");
        fs::write(&path, content).expect("the folder is writable");
        fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("it is this test's file");
        path
    }

    /// Checks that both refuse, or both accept and connect to the same place with the same values.
    #[track_caller]
    fn check(&mut self, text: &str, variables: &[(&str, &str)]) -> bool {
        let home = self.home.path().display().to_string();
        let mut env = vec![("HOME", home.as_str()), ("PGSYSCONFDIR", &home)];
        env.extend_from_slice(variables);
        let theirs = self.libpq.open(text, &env);
        let ours = ours(text, &env);
        let what = format!("`{text}` with {variables:?}\nours: {ours:?}\nlibpq: {theirs:?}");
        assert_eq!(ours.is_ok(), theirs.is_ok(), "{what}");
        let (Ok(ours), Ok(mut theirs)) = (ours, theirs) else { return false };
        // libpq reports an empty port unchanged, and does not report the service's and the fallback name.
        theirs.entry("PQport".to_owned()).and_modify(|port| *port = default_port(port));
        theirs.extend(
            ["service", "fallback_application_name"]
                .map(|keyword| (keyword.to_owned(), ours.get(keyword).cloned().unwrap_or_default())),
        );
        for (keyword, value) in &ours {
            assert_eq!(Some(value), theirs.get(keyword), "{keyword}: {what}");
        }
        let is_compared =
            |keyword: &&String| ours.contains_key(*keyword) || DERIVED.contains(&keyword.as_str());
        for keyword in theirs.keys().filter(|keyword| !is_compared(keyword)) {
            let default = self.defaults.get(keyword).map_or("", String::as_str);
            assert_eq!(theirs[keyword], default, "{keyword}: {what}");
        }
        true
    }

    #[track_caller]
    pub(super) fn accepts(&mut self, text: &str, variables: &[(&str, &str)]) {
        assert!(self.check(text, variables), "both refuse `{text}`");
    }

    #[track_caller]
    pub(super) fn refuses(&mut self, text: &str, variables: &[(&str, &str)]) {
        assert!(!self.check(text, variables), "both accept `{text}`");
    }
}

/// Returns the values that libpq would report: the given ones, and the place of the last attempt.
fn ours(text: &str, env: &[(&str, &str)]) -> Answer {
    let target = parse_with(text, env).map_err(|error| error.to_string())?;
    let variable = |name: &str| {
        let found = env.iter().rev().find(|(variable, _)| *variable == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    let mut options = super::super::given(text).expect("it was parsed");
    complete(&mut options, &Environment::new(&variable)).expect("it was parsed");
    let mut values: BTreeMap<_, _> = given(&options).into_iter().collect();
    values.retain(|keyword, value| {
        !value.is_empty() || !["user", "dbname", "passfile"].contains(&keyword.as_str())
    });
    let last = target.hosts.last().expect("there is a host");
    let name = |name: Option<&str>| name.unwrap_or_default().to_owned();
    values.extend([
        ("PQport".to_owned(), last.port.to_string()),
        ("PQuser".to_owned(), name(target.common.get_user())),
        ("PQdb".to_owned(), name(target.common.get_dbname())),
        ("PQpass".to_owned(), name(last.password.as_deref())),
    ]);
    // An address replaces a folder, which is not a host name.
    if last.hostaddr.is_none() {
        values.insert("PQhost".to_owned(), last.to_string());
    }
    Ok(values)
}

fn default_port(port: &str) -> String {
    let port = port.trim();
    if port.is_empty() { "5432" } else { port }.to_owned()
}

/// Values that libpq derives.
const DERIVED: [&str; 4] = ["user", "dbname", "passfile", "PQhost"];
