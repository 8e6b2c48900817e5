//! `config_format = 2`: `${name}` and `${section:name}`, side by side with Skytools, and in programs.

use std::fs;
use std::path::Path;

use dbscript::{Config, Key};
use nix::sys::signal::Signal;

use super::Place;
use super::compare::compare;
use super::peer::Peer;
use crate::support::programs::{Running, errors};
use crate::support::wait_for;

#[track_caller]
fn check(peer: &mut Peer, text: &str, set: &[(&str, &str)]) {
    if let Err(what) = compare(peer, text.as_bytes(), set) {
        panic!("{text:?}: {what}");
    }
}

#[test]
fn references_are_those_of_skytools() {
    let mut peer = Peer::start();
    #[rustfmt::skip]
    let values = [
        "", "$", "$$", "$$$", "$$$$", "100$", "100%", "%%", "%(a)s", "$a", "${", "${}", "${a", "${a}", "${A}", "${ a }",
        "${x}", "${none}", "$${a}", "$$${a}", "${a}${a}", "${a}$", "${a\n b}", "${b}", "${c}", "${d}", "${{a}", "${a}}",
        "$(a)", "${t:a}", "${t:A}", "${T:a}", "${t:b}", "${t:none}", "${none:a}", "${s:a}", "${DEFAULT:a}",
        "${DEFAULT:e}", "${t:e}", "${:a}", "${a:}", "${t:a:b}", "${t:loop}", "${t:s}", "${job_name}", "${JOB_NAME}.pid",
        "${config_dir}/${config_file}", "${host_name}", "${service_name}", "${config_format}", "${t:job_name}", "é${a}$$",
        "${t :a}", "${t: a}", "${f}", "a%", "%s",
    ];
    for value in values {
        let more = "a = A\nb = ${a}$$\nc = ${d}\nd = ${c}\nf = ${t:f}";
        let other = "[t]\na = B\nb = <${a}${e}>\nloop = ${s:x}\ns = ${s:a}\nf = ${s:f}";
        for format in ["[s]\nconfig_format = 2", "[DEFAULT]\nCONFIG_FORMAT : 2\ne = E${a}\n[s]"] {
            check(&mut peer, &format!("{format}\nx = {value}\n{more}\n{other}\n"), &[]);
            check(&mut peer, &format!("{format}\nx = {value}\n{more}\n{other}\n"), &[("c", "C")]);
            let set = value.trim().replace("\n ", "\n");
            check(&mut peer, &format!("{format}\n{more}\n"), &[("X", &set)]);
        }
    }
}

#[test]
fn chains_of_references_are_as_deep_as_in_skytools() {
    let mut peer = Peer::start();
    for length in 1..14 {
        for end in ["end", "$$", "$", "", "${v0}"] {
            let links: String = (0..length).map(|at| format!("v{at} = ${{v{}}}\n", at + 1)).collect();
            check(&mut peer, &format!("[s]\nconfig_format = 2\n{links}v{length} = {end}\n"), &[]);
            let links: String = (0..length)
                .map(|at| format!("[t{at}]\nconfig_format = 2\nv = ${{t{}:v}}\n", at + 1))
                .collect();
            check(&mut peer, &format!("{links}[t{length}]\nconfig_format = 2\nv = {end}\n"), &[]);
        }
    }
}

#[test]
fn errors_name_file_section_and_key() {
    let read = |value: &str| {
        let text = format!("[s]\nconfig_format = 2\nx = {value}\n[t]\na = ${{t:a}}\n");
        let config = Config::from_text(Path::new("dir/x.ini"), &text, &["s"], &[]).expect("read");
        config.get(&Key::optional("x", "")).expect_err(value).to_string()
    };
    for (value, why) in [
        ("${nope}", "key x: `${nope}` is not set"),
        ("${t:nope}", "key x: `${t:nope}` is not set"),
        ("${no:a}", "key x: `${no:a}` is not set"),
        ("${x}", "key x: `${x}` refers to itself, or is nested more than 10 values deep"),
        ("${t:a}", "key x: `${t:a}` refers to itself, or is nested more than 10 values deep"),
        ("5$", "key x: a `$` must be followed by `$`, `{name}` or `{section:name}`; `$$` is one dollar sign"),
    ] {
        assert_eq!(read(value), format!("{why} (section [s] of `dir/x.ini`)"));
    }
    let endless: String =
        (1..9).map(|at| format!("v{at} = {}\n", format!("${{v{}}}", at + 1).repeat(10))).collect();
    let text = format!("[s]\nconfig_format = 2\nx = ${{v1}}\n{endless}v9 = x\n");
    let config = Config::from_text(Path::new("x.ini"), &text, &["s"], &[]).expect("read");
    let error = config.get(&Key::optional("x", "")).expect_err("endless").to_string();
    assert!(error.contains("makes the value too long"), "{error}");
}

#[test]
fn a_program_reads_and_reloads_such_a_file() {
    let place = Place::create();
    let write = |what: &str| {
        let text = format!(
            "[DEFAULT]\nconfig_format = 2\nbase = job\n[run_sql]\ndb = dbname={}\nlogfile = ${{base}}.log\n\
             loop_delay = 0.05\npidfile = ${{job_name}}.pid\nsql = insert into seen (what) values ('${{words:what}} %% $$')\n\
             [words]\nwhat = {what}\n",
            place.database.name()
        );
        fs::write(place.path("job.ini"), text).expect("writable");
    };
    write("one");
    let mut running = Running::start(&mut place.command());
    place.wait_seen("one %% $");
    write("two");
    running.signal(Signal::SIGHUP);
    place.wait_seen("two %% $");
    write("${nope}");
    running.signal(Signal::SIGHUP);
    wait_for("the refusal", || place.log().contains("`${nope}` is not set"));
    assert!(place.log().contains("key sql: ") && place.log().contains("section [run_sql] of `job.ini`"));
    assert!(!place.log().contains("unknown key"), "{}", place.log());
    running.signal(Signal::SIGINT);
    assert_eq!(running.wait(), Some(0));
}

#[test]
fn overrides_of_the_format_are_refused_and_others_are_in_the_files_format() {
    let place = Place::create();
    place.write("sql = select 1\nloop_delay = 0\nconfig_format = 2\nname = one");
    let run = |switches: &[&str]| place.command().args(switches).output().expect("it starts");
    assert!(run(&["--set", "sql=insert into seen (what) values ('${name}%(x)s')"]).status.success());
    assert_eq!(place.seen(), ["one%(x)s"]);
    place.write("sql = select 1\nloop_delay = 0");
    for switches in [&["--set", "config_format=2"][..], &["--ini", "--set", "config_format=2"]] {
        let output = run(switches);
        assert_eq!(output.status.code(), Some(2));
        assert!(errors(&output).contains("config_format"), "{}", errors(&output));
    }
}
