//! `--ini`: every program prints a file that it starts with.

use std::fs;
use std::process::Command;

use super::Place;
use super::peer::Peer;
use crate::support::programs::{Pair, SOURCE_QUEUE, TARGET_QUEUE, command, errors, succeed};

/// A program, what its file must set, and its arguments.
struct Program {
    name: &'static str,
    required: Vec<(&'static str, String)>,
    arguments: &'static [&'static str],
}

impl Program {
    /// Every program of `examples/` that reads a config file.
    fn all(pair: &Pair) -> [Program; 7] {
        let [source, target] = [&pair.source, &pair.target].map(|name| format!("dbname={name}"));
        let queue = || SOURCE_QUEUE.to_owned();
        let program = |name, required, arguments| Program { name, required, arguments };
        [
            program("run_sql", vec![("db", source.clone()), ("sql", "select 1".to_owned())], &[]),
            program("pgqadm", vec![("db", source.clone())], &["ticker"]),
            program("greeter", vec![("db", source.clone()), ("pgq_queue_name", queue())], &[]),
            program("team_greeter", vec![("db", source.clone()), ("pgq_queue_name", queue())], &[]),
            program(
                "slow_greeter",
                vec![("db", source.clone()), ("pgq_queue_name", queue()), ("command", "true".to_owned())],
                &[],
            ),
            program(
                "name_file",
                vec![
                    ("db", source.clone()),
                    ("pgq_queue_name", queue()),
                    ("local_tracking_file", "job.tick".to_owned()),
                    ("name_file", "names".to_owned()),
                ],
                &[],
            ),
            program(
                "queue_mover",
                vec![
                    ("src_db", source),
                    ("dst_db", target),
                    ("pgq_queue_name", queue()),
                    ("dst_queue_name", TARGET_QUEUE.to_owned()),
                ],
                &[],
            ),
        ]
    }

    fn command(&self, pair: &Pair) -> Command {
        command(self.name, pair.folder.path())
    }

    /// Returns the sample with `set` filled in.
    fn sample(&self, pair: &Pair, set: &[(&str, String)]) -> String {
        let mut command = self.command(pair);
        command.arg("--ini").args(set.iter().map(|(key, value)| format!("--set={key}={value}")));
        String::from_utf8(succeed(&mut command).stdout).expect("text")
    }

    /// Makes the command for one round with a file.
    fn round(&self, pair: &Pair, sample: &str) -> Command {
        fs::write(pair.folder.path().join("job.ini"), sample).expect("writable");
        let mut command = self.command(pair);
        command.args(["--set", "loop_delay=-1", "job.ini"]).args(self.arguments);
        command
    }
}

/// Returns the keys that a sample sets or shows as comments.
fn keys(sample: &str) -> Vec<&str> {
    let lines = sample.lines().filter(|line| !line.starts_with("# "));
    lines.filter_map(|line| Some(line.trim_start_matches('#').split_once(" =")?.0)).collect()
}

#[test]
fn a_program_starts_with_its_sample_once_it_is_filled_in() {
    let pair = Pair::create();
    for program in Program::all(&pair) {
        let empty = program.sample(&pair, &[]);
        let output = program.round(&pair, &empty).output().expect("starts");
        let first = program.required[0].0;
        assert_eq!(output.status.code(), Some(2));
        assert!(errors(&output).contains(&format!("config value not set: {first}")), "{}", errors(&output));

        let by_hand = program.required.iter().fold(empty, |text, (key, value)| {
            let (from, to) = (format!("\n{key} =\n"), format!("\n{key} = {value}\n"));
            assert!(text.contains(&from), "{text}");
            text.replace(&from, &to)
        });
        assert_eq!(by_hand, program.sample(&pair, &program.required));
        let log = errors(&succeed(&mut program.round(&pair, &by_hand)));
        assert!(!log.contains("WARNING") && !log.contains("ERROR"), "{}: {log}", program.name);
    }
}

#[test]
fn skytools_reads_the_sample_alike() {
    let pair = Pair::create();
    let mut peer = Peer::start();
    for program in Program::all(&pair) {
        let sample = program.sample(&pair, &program.required);
        let read = peer.read(sample.as_bytes(), &[]);
        for (key, value) in &program.required {
            assert_eq!(&read["value"][program.name]["value"][key]["get"]["value"], value, "{sample}");
        }
        super::compare::compare(&mut peer, sample.as_bytes(), &[]).unwrap_or_else(|what| panic!("{what}"));
    }
}

/// That no other key is read, a program built for tests checks itself: it panics when it reads a key that is not
/// among those from which the sample is made.
#[test]
fn every_key_of_the_sample_is_read() {
    let pair = Pair::create();
    for program in Program::all(&pair) {
        let sample = program.sample(&pair, &program.required);
        assert!(keys(&sample).len() >= 9, "{sample}");
        for key in keys(&sample) {
            let mut command = program.round(&pair, &sample);
            let output = command.args(["--set", &format!("{key}=%(nope)s")]).output().expect("starts");
            let line = errors(&output);
            assert_eq!(output.status.code(), Some(2), "{} with {key}: {line}", program.name);
            assert!(line.contains(&format!("key {key}: `%(nope)s` is not set")), "{}: {line}", program.name);
        }
    }
}

#[test]
fn overrides_are_filled_in_so_that_they_mean_the_same() {
    let place = Place::create();
    let mut program = command("run_sql", place.folder.path());
    let sql = "insert into seen (what)\n    select '100%% of %(part)s'\n\n  -- [x] = y\n  where true";
    program.arg("--ini").args(["--set", &format!("db=dbname={}", place.database.name())]);
    program.args(["--set", &format!("SQL={sql}"), "--set", "part=a;b#c", "--set", "loop_delay=-1"]);
    fs::write(place.path("job.ini"), succeed(&mut program).stdout).expect("writable");
    let output = succeed(&mut place.command());
    assert!(!errors(&output).contains("WARNING"), "{}", errors(&output));
    assert_eq!(place.seen(), ["100% of a;b#c"]);

    let mut program = command("run_sql", place.folder.path());
    let output = program.args(["--ini", "--set", "sql=select 1\n# + 1"]).output().expect("starts");
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(errors(&output), "run_sql: no config file can contain `sql` with the value of --set\n");
    assert!(output.stdout.is_empty());
}
