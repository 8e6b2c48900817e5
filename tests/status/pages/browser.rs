//! The pages in a browser.

use serde_json::{Value, json};

use super::*;
use crate::support::browser::{Browser, ENTER};

/// A name without a place to break the line.
fn long() -> String {
    "long_name_".repeat(12)
}

pub(super) fn open(ticker: &Ticker, path: &str) -> Browser {
    let browser = Browser::start();
    browser.open(&format!("http://127.0.0.1:{}{path}", ticker.port));
    browser
}

/// Returns the text that the page shows.
pub(super) fn text(browser: &Browser) -> String {
    let shown = browser.run("return document.querySelector('main')?.innerText");
    shown.as_str().unwrap_or_default().to_owned()
}

#[track_caller]
pub(super) fn wait_for_text(browser: &Browser, expected: &str) {
    wait_for(expected, || text(browser).contains(expected));
}

/// Turns the pages of `many` queues, and types a filter that one of them matches.
pub(super) fn turns_pages_and_filters(ticker: &Ticker, many: i64) {
    let browser = open(ticker, "/");
    wait_for_text(&browser, &format!("rows 1 to 100 of {many}"));
    browser.run("document.querySelector('.pages a[href*=\"page=2\"]').click()");
    wait_for_text(&browser, &format!("rows 101 to 200 of {many}"));
    browser.type_into("#filter", &format!("queue {many}{ENTER}"));
    let names =
        "return [...document.querySelectorAll('td[data-title=Queue] a')].map((link) => link.textContent)";
    wait_for("one queue", || browser.run(names) == json!([format!("queue {many}")]));
    assert_eq!(browser.messages(), [""; 0]);
}

#[test]
fn a_page_refreshes_itself_without_losing_its_place() {
    let mut ticker = start(Kind::Own, "", |client| {
        create(client, HOSTILE, HOSTILE);
        for number in 0..60 {
            pgq::admin::create_queue(client, &format!("queue {number}")).expect("created");
        }
    });
    let browser = open(&ticker, "/");
    wait_for_text(&browser, "window.broken = 1");
    // The position, the focus and the text of the filter stay, and so does the page itself.
    browser.run(
        "window.marker = 1; window.scrollTo(0, 300); document.getElementById('filter').value = 'typed'; \
         document.querySelector('main th a').focus({preventScroll: true})",
    );
    let before = browser.run("return [window.scrollY, document.activeElement.getAttribute('href')]");
    assert_eq!(before[0], 300, "the page is long enough: {before}");
    pgq::admin::create_queue(&mut ticker.scene.client, "added later").expect("created");
    wait_for_text(&browser, "added later");
    let after = browser.run("return [window.scrollY, document.activeElement.getAttribute('href')]");
    assert_eq!(after, before);
    let kept = browser.run("return [window.marker, document.getElementById('filter').value, window.broken]");
    assert_eq!(kept, json!([1, "typed", null]));
    // A heading sorts.
    browser.run("document.querySelector('th a[href*=\"sort=-queue\"]').click()");
    wait_for("the other order", || browser.run("return location.search") == "?sort=-queue");
    wait_for_text(&browser, "added later");
    let first = "return document.querySelector('td[data-title=Queue] a').textContent";
    assert_eq!(browser.run(first), "queue 9");
    assert_eq!(browser.messages(), [""; 0]);
    // The log does contain violations.
    browser.run("document.body.insertAdjacentHTML('beforeend', '<p style=\"color: red\">')");
    wait_for("a message", || {
        browser.messages().iter().any(|message| message.contains("Content Security Policy"))
    });
}

#[test]
fn a_ticker_that_is_gone_is_reported_until_it_returns() {
    let mut ticker = start(Kind::Own, "", |client| create(client, "mailer", "welcome"));
    let browser = open(&ticker, "/");
    wait_for_text(&browser, "mailer");
    let state = || browser.run("return document.getElementById('refresh').textContent");
    assert_eq!(state(), "");
    ticker.stop();
    wait_for("the failure", || state().as_str().is_some_and(|state| state.starts_with("not refreshed: ")));
    wait_for_text(&browser, "mailer");
    ticker.start_again();
    wait_for("the next refresh", || state() == "");
}

#[test]
fn pages_fit_a_narrow_screen_and_follow_the_dark_mode() {
    let ticker = start(Kind::Own, "metrics_user = u\nmetrics_password = p\n", |client| {
        create(client, &long(), &long());
        fail(client, &long(), &long(), 3, &"no_place_to_break".repeat(20));
    });
    let browser = Browser::start();
    let (database, name) = (ticker.scene.database.name(), long());
    for path in [
        "/".to_owned(),
        format!("/queue?db={database}&name={name}"),
        format!("/failed?db={database}&queue={name}&consumer={name}"),
    ] {
        browser.emulate("Emulation.clearDeviceMetricsOverride", &json!({}));
        browser.open(&format!("http://u:p@127.0.0.1:{}{path}", ticker.port));
        wait_for_text(&browser, &name);
        for width in [320, 360, 768, 1280] {
            let screen =
                json!({"width": width, "height": 640, "deviceScaleFactor": 1, "mobile": width < 700});
            browser.emulate("Emulation.setDeviceMetricsOverride", &screen);
            let widths = browser.run("return [window.innerWidth, document.documentElement.scrollWidth]");
            let [inner, content] = [0, 1].map(|at| widths[at].as_i64().expect("a number"));
            assert!(inner == width && content <= width, "{path}: {width}: {widths}");
        }
        let [light, dark] = ["light", "dark"].map(|scheme| colours(&browser, scheme));
        assert_ne!(light[0], dark[0], "{path}");
        assert_ne!(light[1], dark[1], "{path}");
        assert_eq!(browser.messages(), [""; 0], "{path}");
    }
}

/// Returns the colours of the ground and of the text.
fn colours(browser: &Browser, scheme: &str) -> Value {
    let feature = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
    browser.emulate("Emulation.setEmulatedMedia", &feature);
    browser.run("const body = getComputedStyle(document.body); return [body.backgroundColor, body.color]")
}

#[test]
fn without_scripts_a_page_is_loaded_again() {
    let mut ticker = start(Kind::Own, "", |client| create(client, "mailer", "welcome"));
    let browser = Browser::start();
    browser.emulate("Emulation.setScriptExecutionDisabled", &json!({"value": true}));
    browser.open(&format!("http://127.0.0.1:{}/", ticker.port));
    wait_for_text(&browser, "mailer");
    pgq::admin::create_queue(&mut ticker.scene.client, "added later").expect("created");
    wait_for_text(&browser, "added later");
}
