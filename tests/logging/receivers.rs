//! Handlers that send to sockets, side by side with Skytools.

use std::io::Read;
use std::net::UdpSocket;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::process::Command;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::log_db::{database, lines};
use super::{Job, LINES};
use crate::support::programs::{errors, succeed};

const RECEIVE_LIMIT: Duration = Duration::from_secs(60);

/// Makes a job whose only handler is of a class.
fn job(class: &str, args: &str) -> Job {
    let job = Job::create("use_skylog = 2");
    job.write(
        "skylog.ini",
        &format!(
            "[loggers]\nkeys = root\n[handlers]\nkeys = sent\n[formatters]\nkeys = line\n\
             [logger_root]\nlevel = NOTSET\nhandlers = sent\n\
             [formatter_line]\nformat = %(service_name)s/%(job_name)s: %(message)s\n\
             [handler_sent]\nclass = {class}\nargs = {args}\nformatter = line\n"
        ),
    );
    job
}

/// Runs the program and Skytools with the same files; returns the messages that each has sent.
fn both(job: &Job, mut received: impl FnMut(&mut Command) -> Vec<Vec<u8>>) -> [Vec<Vec<u8>>; 2] {
    let switches = ["-v", "-v"];
    [received(&mut job.command(&switches)), received(&mut job.skytools(&switches))]
}

/// Runs a command and returns the datagrams that `receive` gets meanwhile, one for each line.
fn collect(command: &mut Command, mut receive: impl FnMut(&mut [u8]) -> usize + Send) -> Vec<Vec<u8>> {
    thread::scope(|scope| {
        let receiver = scope.spawn(move || {
            let mut buffer = [0; 2048];
            let datagrams = (0..LINES.lines().count()).map(|_| {
                let length = receive(&mut buffer);
                buffer[..length].to_vec()
            });
            datagrams.collect()
        });
        succeed(command);
        receiver.join().expect("all datagrams")
    })
}

fn udp() -> (UdpSocket, u16) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port is free");
    socket.set_read_timeout(Some(RECEIVE_LIMIT)).expect("a limit");
    let port = socket.local_addr().expect("bound").port();
    (socket, port)
}

fn over_udp(class: &str, args: impl Fn(u16) -> String) -> [Vec<Vec<u8>>; 2] {
    let (socket, port) = udp();
    let job = job(class, &args(port));
    both(&job, |command| collect(command, |buffer| socket.recv(buffer).expect("a datagram")))
}

fn texts(datagrams: &[Vec<u8>]) -> Vec<String> {
    datagrams.iter().map(|datagram| String::from_utf8(datagram.clone()).expect("UTF-8")).collect()
}

/// Sets fields that cannot be the same to null, after checking that they are there.
fn without(mut object: Value, fields: &[&str]) -> Value {
    for field in fields {
        assert!(!object[field].is_null(), "{field} is not in {object}");
        object[field] = Value::Null;
    }
    object
}

#[test]
fn the_log_server_gets_the_json_that_skytools_sends() {
    let sent = over_udp("skylog.UdpLogServerHandler", |port| format!("('localhost', {port})"));
    let [ours, theirs] = sent.map(|datagrams| -> Vec<Value> {
        let objects = datagrams.iter().map(|datagram| serde_json::from_slice(datagram).expect("JSON"));
        objects.map(|object| without(object, &["timestamp"])).collect()
    });
    assert_eq!(ours, theirs);
    assert_eq!(ours[1]["level"], "WARN");
    assert_eq!(ours[1]["message"], "log_lines/job: ünïcödé 🐍 中文");
    assert_eq!(ours[0]["properties"]["application"], "job");
}

#[test]
fn the_log_server_gets_valid_json_for_any_name() {
    let (socket, port) = udp();
    let job = job("skylog.UdpLogServerHandler", &format!("('127.0.0.1', {port})"));
    let mut command = job.command(&["-v", "-v", "--set", "job_name=a \"b\" \\ c"]);
    for datagram in collect(&mut command, |buffer| socket.recv(buffer).expect("a datagram")) {
        let object: Value = serde_json::from_slice(&datagram).expect("JSON");
        assert_eq!(object["properties"]["application"], "a \"b\" \\ c");
    }
}

/// Decodes hexadecimal arguments and prints each as a line of JSON.
const DECODE: &str = "
import json, sys
from skytools import tnetstrings
for text in sys.argv[1:]:
    print(json.dumps(tnetstrings.loads(bytes.fromhex(text))))
";

fn decoded(datagrams: &[Vec<u8>]) -> Vec<Value> {
    let hex = |datagram: &Vec<u8>| datagram.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let mut python = Command::new("/usr/bin/python3");
    let output = succeed(python.args(["-c", DECODE]).args(datagrams.iter().map(hex)));
    let lines = String::from_utf8(output.stdout).expect("UTF-8");
    lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn tnetstrings_are_those_of_skytools() {
    let sent = over_udp("skylog.UdpTNetStringsHandler", |port| format!("('127.0.0.1', {port})"));
    let [ours, theirs] = sent.map(|datagrams| decoded(&datagrams));
    assert_eq!(ours[0]["name"], "pgq::consumer");
    for (ours, theirs) in ours.into_iter().zip(theirs) {
        let fields =
            |object: &Value| object.as_object().expect("a dictionary").keys().cloned().collect::<Vec<_>>();
        assert_eq!(fields(&ours), fields(&theirs));
        // A name is a module here, and a job there.
        let depends = ["created", "msecs", "name"];
        assert_eq!(without(ours, &depends), without(theirs, &depends));
    }
}

#[test]
fn syslog_over_udp_gets_the_bytes_that_python_sends() {
    for class in ["handlers.SysLogHandler", "skylog.SysLogHandler", "skylog.SysLogHostnameHandler"] {
        for facility in [",", ", 'local3'", ", handlers.SysLogHandler.LOG_DAEMON"] {
            let sent = over_udp(class, |port| format!("(('127.0.0.1', {port}){facility})"));
            let [ours, theirs] = sent.map(|datagrams| texts(&datagrams));
            assert_eq!(ours, theirs, "{class} {facility}");
            assert!(ours[0].ends_with("log_lines/job: it failed: 100% of %(name)s and {0} are lost\0"));
        }
    }
}

#[test]
fn a_local_syslog_gets_the_bytes_that_python_sends() {
    for class in ["handlers.SysLogHandler", "skylog.SysLogHandler", "skylog.SysLogHostnameHandler"] {
        let job = job(class, "('log.sock', 'daemon')");
        let socket = UnixDatagram::bind(job.path("log.sock")).expect("the folder is new");
        socket.set_read_timeout(Some(RECEIVE_LIMIT)).expect("a limit");
        let sent = both(&job, |command| collect(command, |buffer| socket.recv(buffer).expect("a datagram")));
        let [ours, theirs] = sent.map(|datagrams| texts(&datagrams));
        assert_eq!(ours, theirs, "{class}");
        assert_eq!(ours.len(), LINES.lines().count());
    }
}

#[test]
fn a_local_syslog_with_streams_gets_the_bytes_that_python_sends() {
    let job = job("skylog.SysLogHandler", "('log.sock',)");
    let listener = UnixListener::bind(job.path("log.sock")).expect("the folder is new");
    let sent = both(&job, |command| {
        succeed(command);
        let mut stream = Vec::new();
        listener.accept().expect("it has connected").0.read_to_end(&mut stream).expect("readable");
        vec![stream]
    });
    let [ours, theirs] = sent.map(|stream| texts(&stream));
    assert_eq!(ours, theirs);
    assert_eq!(ours[0].matches('\0').count(), LINES.lines().count());
}

#[test]
fn the_sample_file_reaches_everything() {
    let (database, mut client) = database();
    let (socket, port) = udp();
    let job = Job::create("use_skylog = 2");
    let sample = include_str!("../../dbscript/skylog.ini");
    let sample = sample.replace("dbname=logdb", &database.conninfo()).replace("6666", &port.to_string());
    job.write("skylog.ini", &sample);
    let stderr = errors(&job.run(&["-v"]));
    let levels = |text: &str| text.lines().filter_map(|line| line.split(' ').nth(1)).collect::<String>();
    assert!(levels(&stderr).starts_with("ERRORWARNINGINFO"), "{stderr}");
    assert!(job.read("log/job.log").contains(" ERROR it failed"));
    let ours = lines(&mut client);
    assert_eq!(ours[0], "ERROR job it failed: 100% of %(name)s and {0} are lost");
    assert_eq!(ours.len(), 4, "{ours:?}");
    let mut buffer = [0; 2048];
    let messages = (0..5).map(|_| {
        let length = socket.recv(&mut buffer).expect("a datagram");
        let object: Value = serde_json::from_slice(&buffer[..length]).expect("JSON");
        object["message"].as_str().expect("a string").to_owned()
    });
    assert_eq!(messages.last().as_deref(), Some("details"));
}

#[test]
fn receivers_that_are_not_there_cost_their_messages_and_one_line_at_most() {
    let (socket, port) = udp();
    drop(socket);
    for (class, args) in [
        ("skylog.UdpLogServerHandler", format!("('127.0.0.1', {port})")),
        ("skylog.UdpTNetStringsHandler", format!("('no-such-host.invalid', {port})")),
        ("skylog.SysLogHandler", "('no.sock',)".to_owned()),
        ("handlers.SysLogHandler", format!("(('no-such-host.invalid', {port}),)")),
    ] {
        let received = errors(&job(class, &args).run(&[]));
        let expected = usize::from(args.contains("no-such-host"));
        assert_eq!(received.lines().count(), expected, "{class}: {received}");
        assert_eq!(
            received.matches("do not reach the log receiver `no-such-host.invalid`").count(),
            expected
        );
    }
}

#[test]
fn arguments_that_make_no_sense_are_named() {
    let check = |class: &str, args: &str, expected: &str| {
        job(class, args).refuse(2, &["skylog.ini", "[handler_sent]", "key args", expected]);
    };
    check("skylog.UdpLogServerHandler", "('localhost',)", "`port` must be a port");
    check("skylog.UdpLogServerHandler", "(514, 'localhost')", "`host` must be a string");
    check("skylog.UdpTNetStringsHandler", "('localhost', 99999)", "`port` cannot be 99999");
    check("handlers.SysLogHandler", "('localhost', 514)", "`facility` must be a facility");
    check("handlers.SysLogHandler", "(('localhost', 514), 'nope')", "`facility` must be a facility");
    check("handlers.SysLogHandler", "(('localhost',),)", "`address` must be a path, or host and port");
    check("handlers.SysLogHandler", "(('localhost', 0),)", "`address` cannot have port 0");
    check(
        "handlers.SysLogHandler",
        "(('localhost', 514), 1, handlers.socket.SOCK_STREAM)",
        "`socktype` cannot",
    );
    check("skylog.LogDBHandler", "()", "`connect_string` is missing");
    check("skylog.LogDBHandler", "('nonsense',)", "`connect_string` is invalid: invalid connection string");
}
