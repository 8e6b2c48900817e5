//! The failed events of a consumer.

use super::*;

const LOGIN: &str = "metrics_user = u\nmetrics_password = p\n";

/// Returns a page that requires the login.
fn protected(ticker: &Ticker, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic dTpw\r\n\r\n");
    let answer = ticker.send(request.as_bytes());
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    answer
}

fn scene(lines: &str, count: i64) -> (Ticker, String) {
    let ticker = start(Kind::Own, lines, |client| {
        create(client, "mailer", "welcome");
        fail(client, "mailer", "welcome", count, "550 no such user <b>");
    });
    let path = format!("/failed?db={}&queue=mailer&consumer=welcome", ticker.scene.database.name());
    (ticker, path)
}

#[test]
fn the_data_is_shown_to_those_with_a_password_only() {
    let (ticker, path) = scene("", 1);
    let shown = page(&ticker, &path);
    assert!(shown.contains("1 failed event") && shown.contains("type &lt;b&gt;"), "{shown}");
    assert!(shown.contains("Reasons and data are hidden"), "{shown}");
    for secret in ["550 no such user", "data &lt;b&gt;", "extra &lt;b&gt;"] {
        assert!(!shown.contains(secret), "{secret}: {shown}");
    }

    let (ticker, path) = scene(LOGIN, 1);
    let shown = protected(&ticker, &path);
    assert!(shown.contains("data &lt;b&gt; 1") && shown.contains("1: extra &lt;b&gt;"), "{shown}");
    assert!(shown.contains("550 no such user &lt;b&gt;") && !shown.contains("are hidden"), "{shown}");
}

#[test]
fn many_failed_events_are_shown_page_by_page() {
    let (ticker, path) = scene(LOGIN, 120);
    let rows = |shown: &str| shown.matches("data-title=\"Data\"").count();
    let next = |shown: &str| {
        let links = links(shown);
        links.into_iter().find(|link| link.contains("after=")).map(|link| format!("/{link}"))
    };
    let first = protected(&ticker, &path);
    assert!(first.contains("120 failed events") && first.contains("data &lt;b&gt; 50"), "{first}");
    let second = protected(&ticker, &next(&first).expect("a link"));
    assert!(second.contains("data &lt;b&gt; 51") && second.contains("data &lt;b&gt; 100"), "{second}");
    let third = protected(&ticker, &next(&second).expect("a link"));
    assert_eq!([&first, &second, &third].map(|shown| rows(shown)), [50, 50, 20]);
    assert_eq!(next(&third), None);
}

#[test]
fn pages_change_nothing() {
    let (mut ticker, path) = scene(LOGIN, 2);
    protected(&ticker, &path);
    let post = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic dTpw\r\nContent-Length: 0\r\n\r\n"
    );
    assert!(ticker.send(post.as_bytes()).starts_with("HTTP/1.1 405 "));
    let count = pgq::admin::count_failed_events(&mut ticker.scene.client, "mailer", "welcome");
    assert_eq!(count.expect("counted"), 2);
}
