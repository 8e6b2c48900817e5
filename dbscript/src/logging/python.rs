//! Python as the reference of comparisons.

use std::process::Command;

/// Runs a script with arguments, in a time zone, and returns what it prints.
pub(super) fn python(script: &str, arguments: &[&str], zone: &str) -> String {
    let output = Command::new("/usr/bin/python3")
        .args(["-W", "ignore", "-c", script])
        .args(arguments)
        .env("TZ", zone)
        .env("PYTHONIOENCODING", "utf-8")
        .output()
        .expect("python3 is installed, see scripts/setup");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}
