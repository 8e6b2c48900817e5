//! Access to the pages, and the headers that protect them.

use data_encoding::BASE64;

use super::*;
use crate::support::programs::errors;

/// Sends a request with more headers, and returns the status code and the whole answer.
fn ask(ticker: &Ticker, path: &str, headers: &str) -> (u16, String) {
    let answer = ticker.send(format!("GET {path} HTTP/1.1\r\n{headers}\r\n").as_bytes());
    let code = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
    (code.unwrap_or_else(|| panic!("{answer}")), answer)
}

fn basic(login: &str) -> String {
    format!("Host: localhost\r\nAuthorization: Basic {}\r\n", BASE64.encode(login.as_bytes()))
}

const PROTECTED: [&str; 7] =
    ["/", "/queue?db=x&name=y", "/failed", "/metrics", "/style.css", "/refresh.js", "/nothing"];

#[test]
fn a_password_protects_everything_but_the_signs_of_life() {
    let ticker = Ticker::start(Kind::Own, "metrics_user = operator\nmetrics_password = s3cret:ü\n");
    for path in PROTECTED {
        for headers in ["Host: localhost\r\n", &basic("operator:wrong"), &basic("other:s3cret:ü")] {
            let (code, answer) = ask(&ticker, path, headers);
            assert_eq!(code, 401, "{path}: {headers}");
            assert!(answer.contains("www-authenticate: Basic realm=\"pgq\""), "{answer}");
            assert!(!answer.contains("s3cret"), "{answer}");
        }
        assert_ne!(ask(&ticker, path, &basic("operator:s3cret:ü")).0, 401, "{path}");
    }
    assert_eq!(ask(&ticker, "/", &basic("operator:s3cret:ü")).0, 200);
    // A reverse proxy may pass its own name on.
    let named = basic("operator:s3cret:ü").replace("localhost", "example.org");
    assert_eq!(ask(&ticker, "/", &named).0, 200);
    for path in ["/live", "/ready"] {
        assert_eq!(ask(&ticker, path, "Host: localhost\r\n").0, 200, "{path}");
    }
}

#[test]
fn a_user_without_a_password_is_wrong_usage() {
    let scene = Scene::create(Kind::Own);
    for (set, expected) in [
        (vec!["metrics_user=operator"], "metrics_user and metrics_password must be set together"),
        (vec!["metrics_password=s3cret"], "metrics_user and metrics_password must be set together"),
        (vec!["metrics_user=a:b", "metrics_password=s3cret"], "metrics_user must not contain a colon"),
    ] {
        let mut command = scene.pgqadm(&["ticker"]);
        let output = command.args(set.iter().flat_map(|set| ["--set", *set])).output().expect("starts");
        assert_eq!(output.status.code(), Some(2), "{set:?}");
        let errors = errors(&output);
        assert!(errors.contains(expected) && !errors.contains("s3cret"), "{errors}");
    }
}

/// A page of another site whose name resolves to the loopback address could otherwise read the answers.
#[test]
fn a_loopback_listener_answers_no_other_host_name() {
    let ticker = Ticker::start(Kind::Own, "");
    for host in ["localhost", "127.0.0.1:9187", "[::1]"] {
        assert_eq!(ask(&ticker, "/", &format!("Host: {host}\r\n")).0, 200, "{host}");
    }
    for path in PROTECTED {
        let (code, answer) = ask(&ticker, path, "Host: rebound.example.org\r\n");
        assert_eq!(code, 403, "{path}");
        assert!(answer.contains("unknown host name"), "{answer}");
        assert_eq!(ask(&ticker, path, "Host: localhost\r\nHost: example.org\r\n").0, 403, "{path}");
    }
    assert_eq!(ask(&ticker, "/ready", "Host: rebound.example.org\r\n").0, 200);
}

#[test]
fn every_answer_has_the_headers_of_a_page_that_loads_nothing_from_elsewhere() {
    let ticker = start(Kind::Own, "", |client| create(client, "q", "c"));
    for (path, kind) in [
        ("/", "text/html; charset=utf-8"),
        ("/nothing", "text/plain; charset=utf-8"),
        ("/style.css", "text/css; charset=utf-8"),
        ("/refresh.js", "text/javascript; charset=utf-8"),
        ("/icon.svg", "image/svg+xml"),
        ("/metrics", "text/plain; version=0.0.4; charset=utf-8"),
    ] {
        let (_, answer) = ask(&ticker, path, "Host: localhost\r\n");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a body");
        for header in [
            format!("content-type: {kind}"),
            "content-security-policy: default-src 'none'; script-src 'self'; style-src 'self'; ".to_owned(),
            "x-content-type-options: nosniff".to_owned(),
            "referrer-policy: no-referrer".to_owned(),
            "cache-control: no-store".to_owned(),
        ] {
            assert!(head.contains(&header), "{path}: {header}: {head}");
        }
        let body = body.replace("http://www.w3.org/2000/svg", "");
        for foreign in ["style=\"", "onclick", "://"] {
            assert!(!body.contains(foreign), "{path}: {foreign}: {body}");
        }
    }
}

#[test]
fn a_port_alone_is_one_of_the_loopback_address() {
    let ticker = Ticker::start(Kind::Own, "");
    let port = crate::support::server::free_port();
    ticker.reload(&format!("metrics_listen = {port}\nmetrics_user = u\nmetrics_password = p\n"));
    let connected = |host: &str| std::net::TcpStream::connect((host, port)).is_ok();
    wait_for("the other port", || connected("127.0.0.1"));
    assert!(!connected("127.0.0.2"));
    let log = || std::fs::read_to_string(ticker.scene.folder.path().join("job.log")).unwrap_or_default();
    assert!(!log().contains("without a password"), "{}", log());
    ticker.reload(&format!("metrics_listen = 0.0.0.0:{port}\n"));
    wait_for("the warning", || {
        log().contains(&format!("0.0.0.0:{port} serves the status without a password"))
    });
    wait_for("all addresses", || connected("127.0.0.2"));
}

/// The password of a connection string is on no page, whether the database can be read or not.
#[test]
fn pages_contain_no_password_of_a_connection_string() {
    let scene = Scene::create(Kind::Own);
    let ini = "[pgqadm]\ndb = host=127.0.0.1 port=1 dbname=somedb user=u password=s3cret\n";
    let ticker = Ticker::start_unready(scene, ini);
    wait_for("the database", || ticker.get("/").1.contains("somedb"));
    for path in ["/", "/queue?db=somedb&name=x", "/failed?db=somedb&queue=x&consumer=y", "/metrics"] {
        let (_, body) = ticker.get(path);
        assert!(body.contains("somedb") && !body.contains("s3cret"), "{path}: {body}");
    }
}
