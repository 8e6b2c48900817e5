//! The files of `contrib/` for service managers and containers.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::Place;
use crate::support::programs::{Running, command, program};
use crate::support::wait_for;

const UNITS: [(&str, &str); 2] = [("pgqadm-ticker", "pgqadm"), ("queue_mover", "queue_mover")];

fn contrib(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib").join(name)
}

fn read(name: &str) -> String {
    fs::read_to_string(contrib(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn analyze(arguments: &[&str], units: &[PathBuf]) -> Output {
    let mut command = Command::new("systemd-analyze");
    command.args(arguments).args(units).output().expect("`systemd-analyze` is installed: run `scripts/setup`")
}

/// Copies the units as instances, with the paths of the programs under test.
fn instances(folder: &Path) -> Vec<PathBuf> {
    let instance = |(unit, name): &(&str, &str)| {
        let text = read(&format!("systemd/{unit}@.service"));
        let installed = format!("ExecStart=/usr/local/bin/{name} ");
        assert!(text.contains(&installed), "{text}");
        let built = format!("ExecStart={} ", program(name).display());
        let path = folder.join(format!("{unit}@main.service"));
        fs::write(&path, text.replace(&installed, &built)).expect("writable");
        path
    };
    UNITS.iter().map(instance).collect()
}

#[test]
fn the_units_are_accepted_by_systemd() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let units = instances(folder.path());
    let output = analyze(&["verify", "--man=no"], &units);
    let received = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && received.is_empty(), "{received}");

    let broken = folder.path().join("broken@main.service");
    fs::write(&broken, "[Service]\nTpe=notify\nExecStart=/nonexistent\n").expect("writable");
    assert!(!analyze(&["verify", "--man=no"], &[broken]).stderr.is_empty(), "mistakes are seen");
}

/// Below 2.0 of 10, systemd rates the exposure as low.
#[test]
fn the_units_are_hardened() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let units = instances(folder.path());
    let output = analyze(&["security", "--offline=true", "--threshold=20", "--no-pager"], &units);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn the_units_start_the_programs_as_they_are_used() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (unit, name) in UNITS {
        let text = read(&format!("systemd/{unit}@.service"));
        let line = text.lines().find_map(|line| line.strip_prefix("ExecStart=")).expect("a command");
        let runtime = folder.path().to_string_lossy();
        let ini = folder.path().join(format!("{name}.ini"));
        fs::write(&ini, format!("[{name}]\n")).expect("writable");
        let line = line.replace("%t/%p-%i", &runtime).replace("/etc/pgq/%i.ini", &ini.to_string_lossy());
        let mut words = line.split(' ');
        assert_eq!(words.next(), Some(&*format!("/usr/local/bin/{name}")));
        // The arguments are right when the program reports only the settings that the file omits.
        let output = Command::new(program(name)).args(words).output().expect("starts");
        let text = String::from_utf8_lossy(&output.stderr);
        let place = format!("(section [{name}] of `{}`)", ini.display());
        assert!(text.contains("config value not set: ") && text.contains(&place), "{text}");
    }
}

#[test]
fn the_container_has_the_sources_and_the_program_that_it_starts() {
    let text = read("Containerfile");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let copied =
        text.lines().filter_map(|line| line.strip_prefix("COPY ")).filter(|line| !line.starts_with("--"));
    for line in copied {
        let mut words: Vec<&str> = line.split(' ').collect();
        words.pop();
        for source in words {
            symlink(root.join(source), folder.path().join(source)).expect("linked");
        }
    }
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--no-deps", "--offline", "--format-version=1"]).current_dir(folder.path());
    let output = cargo.output().expect("cargo starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata = String::from_utf8(output.stdout).expect("text");
    for name in ["pgqadm", "queue_mover"] {
        assert!(text.contains(&format!("--bin {name}")), "{name} is built");
        assert!(text.contains(&format!("target/release/{name} ")), "{name} is copied");
        assert!(metadata.contains(&format!("\"name\":\"{name}\"")), "{name} is a program");
    }
    assert!(text.contains("\nUSER 65532") && text.contains("\nSTOPSIGNAL SIGINT"));
}

/// The ticker itself reports whether it is alive, for every purpose of the file.
#[test]
fn the_container_is_probed_over_http() {
    let text = read("Containerfile");
    assert!(!text.contains("\nHEALTHCHECK") && text.contains("\nEXPOSE 9187\n"), "{text}");
    let line = text.lines().find_map(|line| line.strip_prefix("CMD ")).expect("a command");
    let words: Vec<String> = serde_json::from_str(line).expect("a list of words");
    let place = Place::create(super::KINDS[0]);
    let pgqd = format!("[pgqd]\nbase_connstr = {}\n", place.database.conninfo());
    let pgqadm = format!("[pgqadm]\ndb = {}\n", place.database.conninfo());
    for (file, text) in [("pgqd.ini", pgqd), ("pgqadm.ini", pgqadm)] {
        fs::write(place.path().join(file), text).expect("writable");
        let port = free_port();
        let words = words.iter().map(|word| {
            word.replace("/etc/pgq/pgqadm.ini", file).replace("0.0.0.0:9187", &format!("127.0.0.1:{port}"))
        });
        let mut ticker = command("pgqadm", place.path());
        let mut ticker = Running::start(ticker.args(words));
        wait_for("an answer", || lives(port));
        ticker.kill();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
    listener.local_addr().expect("bound").port()
}

fn lives(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    let mut answer = String::new();
    let request = b"GET /live HTTP/1.0\r\n\r\n";
    let answered = stream.write_all(request).and_then(|()| stream.read_to_string(&mut answer));
    answered.is_ok() && answer.starts_with("HTTP/1.0 200")
}
