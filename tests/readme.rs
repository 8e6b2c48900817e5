//! The examples in README.md and in the book are those of the project.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::Signal;
use pgq::testing::force_tick;
use pgq::{Batch, BoxError, Consumer, Event, Outcome, Worker};

use crate::support::programs::{Running, command, succeed};
use crate::support::{queues, wait_for};

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn the_consumer_in_the_readme_is_the_example() {
    let example = read("examples/greeter.rs");
    let code = example.split_once("\n\n").expect("a comment, then code").1;
    assert!(read("README.md").contains(&format!("```rust,no_run\n{code}```")));
    assert!(code.lines().count() <= 25);
}

#[test]
fn the_readme_is_short() {
    let readme = read("README.md");
    let words = readme.split_whitespace().count();
    assert!(readme.lines().count() <= 250 && words <= 1_300, "{words} words");
}

#[test]
fn the_links_of_the_documents_lead_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for document in
        ["README.md", "CONTRIBUTING.md", "SECURITY.md", "MIGRATING.md", "CHANGELOG.md", "DESIGN.md"]
    {
        let text = read(document);
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
        let files = targets.filter(|target| !target.is_empty() && !target.contains("://"));
        for file in files {
            assert!(root.join(file).exists(), "{document}: {file}");
        }
    }
}

#[test]
fn the_program_without_queues_is_short() {
    assert!(read("examples/run_sql.rs").lines().count() < 40);
}

#[test]
fn every_example_has_a_row_in_the_book() {
    let page = read("docs/src/reference/examples.md");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    for entry in fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("readable").path();
        let is_program = path.extension().is_some_and(|extension| extension == "rs") || path.is_dir();
        if !is_program {
            continue;
        }
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        assert!(page.contains(&format!("| `{name}`")), "{name} has no row");
    }
}

/// Returns the pages of the book.
fn pages(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let paths: Vec<PathBuf> = entries.map(|entry| entry.expect("readable").path()).collect();
    let (folders, files): (Vec<_>, Vec<_>) = paths.into_iter().partition(|path| path.is_dir());
    let files = files.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    files.chain(folders.iter().flat_map(|folder| pages(folder))).collect()
}

/// Returns the config files in a text, each with its section and its keys.
fn config_files(text: &str) -> Vec<(&str, Vec<&str>)> {
    let mut files: Vec<(&str, Vec<&str>)> = Vec::new();
    let mut is_within = false;
    for line in text.lines().map(str::trim) {
        let section = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        match (section, line.split_once(" = ")) {
            (Some(section), _) => files.push((section, Vec::new())),
            (None, Some((key, _))) if is_within => {
                files.last_mut().expect("the section is there").1.push(key);
            }
            _ => {}
        }
        is_within = section.is_some() || is_within && line.contains(" = ");
    }
    files
}

#[test]
fn config_files_in_the_documentation_have_only_keys_of_their_programs() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sections = Vec::new();
    for path in [vec![root.join("README.md")], pages(&root.join("docs/src"))].concat() {
        let text = fs::read_to_string(&path).expect("readable");
        for (section, keys) in config_files(&text) {
            let program = match section {
                "mailer_daemon" => "mailer",
                // The consumer of the tutorial.
                "billing" => "greeter",
                // The sections of pgbouncer's file.
                "databases" | "pgbouncer" => continue,
                program => program,
            };
            let sample = succeed(command(program, folder.path()).arg("--ini"));
            let sample = String::from_utf8_lossy(&sample.stdout).into_owned();
            for key in keys {
                let is_known = sample.lines().any(|line| {
                    let line = line.trim_start_matches('#');
                    line.split_once(" =").is_some_and(|(found, _)| found == key)
                });
                assert!(is_known, "{}: [{section}] {key}", path.display());
            }
            sections.push(section.to_owned());
        }
    }
    for section in ["pgqadm", "queue_mover", "jetstream_mover", "team_greeter", "mailer_daemon"] {
        assert!(sections.iter().any(|found| found == section), "{section}: {sections:?}");
    }
}

#[test]
fn the_consumer_greets_every_event_once() {
    let (database, mut client) = queues::database("greeter", "names");
    client.batch_execute("create table greeting (name text)").expect("created");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let ini = format!("[greeter]\ndb = dbname={}\nqueue_name = names\nloop_delay = 0.05\n", database.name());
    fs::write(folder.path().join("greeter.ini"), ini).expect("writable");
    let mut greeter = Running::start(command("greeter", folder.path()).arg("greeter.ini"));
    wait_for("the greeter to register", || {
        client.query("select * from pgq.get_consumer_info('names')", &[]).expect("readable").len() == 1
    });
    queues::insert(&mut client, "names", 0, 50);
    let tick = queues::tick(&mut client, "names");
    wait_for("the batch", || queues::position(&mut client, "names", "greeter") == (tick, None));
    let row = client.query_one("select count(*), count(distinct name) from greeting", &[]).expect("readable");
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (50, 50));
    greeter.signal(Signal::SIGINT);
    assert_eq!(greeter.wait(), Some(0));
}

/// Retries every event once.
struct Later;

impl Consumer for Later {
    fn process_event(&mut self, event: &Event, _batch: &mut Batch<'_>) -> Result<Outcome, BoxError> {
        Ok(if event.retry() > 0 { Outcome::Done } else { Outcome::Retry(Duration::ZERO) })
    }
}

#[test]
fn a_retry_is_seen_as_the_guide_shows() {
    let (database, mut client) = queues::database("guide", "mailer");
    pgq::admin::register_consumer(&mut client, "mailer", "welcome").expect("registered");
    pgq::insert_event(&mut client, "mailer", "w", "Kristo").expect("inserted");
    let drain = || Worker::new(&database.conninfo(), "mailer", "welcome").drain(Later).expect("drained");
    force_tick(&mut client, "mailer").expect("ticked");
    assert_eq!(drain().count("count"), 1);
    assert_eq!(pgq::ticker::retry_events(&mut client).expect("returned"), 1);
    force_tick(&mut client, "mailer").expect("ticked");
    assert_eq!(drain().count("count"), 1);
}
