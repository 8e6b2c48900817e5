//! Runs after the other tests: no secret that they used is in anything that the programs wrote.

#[allow(dead_code, reason = "the other tests write what this one reads")]
#[path = "support/output.rs"]
mod output;

use std::fs;

#[test]
fn no_program_has_logged_a_secret() {
    let mut size = 0;
    let mut refused = 0;
    let mut received = Vec::new();
    let folder = output::folder();
    for entry in fs::read_dir(&folder).expect("the integration tests have run").flatten() {
        let bytes = fs::read(entry.path()).expect("readable");
        let text = String::from_utf8_lossy(&bytes);
        size += bytes.len();
        refused += text.matches("password authentication failed").count();
        received.extend(text.lines().filter(|line| line.contains(output::SECRET)).map(str::to_owned));
    }
    assert!(size > 10_000, "{size} bytes in {} are not what the tests write", folder.display());
    assert!(refused > 0, "the programs that were given wrong passwords have logged nothing");
    assert!(received.is_empty(), "{received:#?}");
}
