//! The pages that `metrics_listen` of the ticker serves for browsers.

mod access;
mod browser;
mod failed;

use super::programs::Scene;
use super::serving::Ticker;
use super::*;
use crate::support::amount::pick;
use crate::support::wait_for;

/// A name that would break out of markup, of an attribute or of an address.
const HOSTILE: &str = "<script>window.broken = 1</script>\"'&?#/+% 日本\u{202e}";
/// The beginning of that name as markup must contain it.
const ESCAPED: &str = "&lt;script&gt;window.broken = 1&lt;/script&gt;&quot;'&amp;?#/+% 日本\\u{202e}";

/// Starts a ticker of a database that `prepare` fills.
fn start(kind: Kind, lines: &str, prepare: impl FnOnce(&mut Client)) -> Ticker {
    let mut scene = Scene::create(kind);
    prepare(&mut scene.client);
    Ticker::start_in(scene, lines)
}

/// Returns the body of a page.
#[track_caller]
fn page(ticker: &Ticker, path: &str) -> String {
    let (status, body) = ticker.get(path);
    assert_eq!(status, "HTTP/1.1 200 OK", "{path}: {body}");
    body
}

/// Creates a paused queue, so that its values stay, with a consumer.
fn create(client: &mut Client, queue: &str, consumer: &str) {
    queues::create(client, queue);
    pgq::admin::register_consumer(client, queue, consumer).expect("registered");
    client.execute("select pgq.set_queue_config($1, 'ticker_paused', 'true')", &[&queue]).expect("set");
}

/// Fails events of a queue's consumer.
fn fail(client: &mut Client, queue: &str, consumer: &str, count: i64, reason: &str) {
    client
        .execute(
            "select count(pgq.insert_event($1, 'type <b>', 'data <b> ' || n, 'extra <b>', null, null, null)) \
             from generate_series(1, $2::int8) n",
            &[&queue, &count],
        )
        .expect("inserted");
    client.execute("select pgq.set_queue_config($1, 'ticker_paused', 'false')", &[&queue]).expect("set");
    queues::tick(client, queue);
    client.execute("select pgq.set_queue_config($1, 'ticker_paused', 'true')", &[&queue]).expect("set");
    let next = "select pgq.next_batch($1, $2)";
    let batch: i64 = client.query_one(next, &[&queue, &consumer]).expect("a batch").get(0);
    let fail = "select count(pgq.event_failed($1, ev_id, $2)) from pgq.get_batch_events($1)";
    let failed: i64 = client.query_one(fail, &[&batch, &reason]).expect("failed").get(0);
    assert_eq!(failed, count);
    client.execute("select pgq.finish_batch($1)", &[&batch]).expect("finished");
}

/// Returns the addresses of links, as a browser reads them.
fn links(page: &str) -> Vec<String> {
    let links = page.split("<a href=\"").skip(1).filter_map(|rest| rest.split('"').next());
    links.map(|link| link.replace("&amp;", "&")).collect()
}

#[test]
fn a_page_shows_the_facts_of_the_status() {
    for kind in [Kind::Own, Kind::Extension] {
        let mut ticker = start(kind, "", |client| {
            create(client, "mailer", "welcome");
            queues::insert(client, "mailer", 1, 3);
        });
        let status = read(&mut ticker.scene.client);
        // On the extension, the first event of a new queue does not count.
        let new = status.queues[0].new_events.expect("a number");
        assert_eq!(new, if kind == Kind::Own { 3 } else { 2 });
        // The maintenance of the start may still finish a rotation.
        let overdue =
            "update pgq.queue set queue_switch_time = now() - interval '1 day', queue_switch_step2 = null";
        let held_up = "rotation of mailer is held up by maintenance";
        let mut overview = String::new();
        wait_for("the cause and a chart", || {
            ticker.scene.client.batch_execute(overdue).expect("set");
            overview = page(&ticker, "/");
            overview.contains(held_up) && overview.contains("<svg class=\"chart\"")
        });
        for fact in [
            format!("PostgreSQL {}", status.server_version),
            format!("PgQ {} ({kind})", status.pgq_version),
            format!("<span title=\"{new}\">{new}</span>"),
            "rotation held up".to_owned(),
            "paused".to_owned(),
            "CRITICAL".to_owned(),
            "Ticker: process ".to_owned(),
        ] {
            assert!(overview.contains(&fact), "{fact}: {overview}");
        }
        let database = ticker.scene.database.name();
        let queue = page(&ticker, &format!("/queue?db={database}&name=mailer"));
        for fact in ["Rotation is held up by", "500 events or", "rotation is due", ">welcome<"] {
            assert!(queue.contains(fact), "{fact}: {queue}");
        }
        for (path, text) in [
            (format!("/queue?db={database}&name=none"), "queue `none` does not exist"),
            ("/queue?db=none&name=mailer".to_owned(), "database `none` is not served"),
            (format!("/failed?db={database}&queue=none&consumer=x"), "`none`"),
            ("/failed?db=none&queue=x&consumer=x".to_owned(), "database `none` is not served"),
        ] {
            let (status, body) = ticker.get(&path);
            assert_eq!(status, "HTTP/1.1 404 Not Found", "{path}");
            assert!(body.contains(text), "{path}: {body}");
        }
    }
}

#[test]
fn hostile_names_are_text() {
    let ticker = start(Kind::Own, "", |client| {
        create(client, HOSTILE, HOSTILE);
        fail(client, HOSTILE, HOSTILE, 1, HOSTILE);
    });
    let overview = page(&ticker, "/?filter=%3Cscript%3E");
    let link = |page: &str, to: &str| links(page).into_iter().find(|link| link.starts_with(to));
    let queue = page(&ticker, &format!("/{}", link(&overview, "queue?").expect("a link to the queue")));
    let failed = page(&ticker, &format!("/{}", link(&queue, "failed?").expect("a link to the events")));
    for (page, times) in [(&overview, 3), (&queue, 2), (&failed, 2)] {
        assert!(page.matches(ESCAPED).count() >= times, "{page}");
        assert!(!page.contains("<script>") && !page.contains("<b>"), "{page}");
        assert_eq!(page.matches("<script").count(), 1, "{page}");
        assert!(page.contains("<script src=\"refresh.js\" defer></script>"), "{page}");
    }
    assert!(failed.contains("type &lt;b&gt;"), "{failed}");
}

/// Returns names of queues in the order in which a page shows them.
fn order(page: &str, names: &[&'static str]) -> Vec<&'static str> {
    let place = |name: &&str| page.find(&format!(">{name}</a></td>"));
    let mut shown: Vec<_> = names.iter().copied().filter(|name| place(name).is_some()).collect();
    shown.sort_by_key(place);
    shown
}

#[test]
fn columns_sort_and_the_filter_restricts() {
    let ticker = start(Kind::Own, "", |client| {
        for (queue, events) in [("alpha", 2), ("beta", 3), ("gamma", 1)] {
            create(client, queue, &format!("of_{queue}"));
            queues::insert(client, queue, 1, events);
        }
    });
    let names = ["alpha", "beta", "gamma"];
    for (query, expected) in [
        ("", vec!["alpha", "beta", "gamma"]),
        ("?sort=-queue", vec!["gamma", "beta", "alpha"]),
        ("?sort=new", vec!["beta", "alpha", "gamma"]),
        ("?sort=-new", vec!["gamma", "alpha", "beta"]),
        ("?sort=new&filter=A", vec!["beta", "alpha", "gamma"]),
        ("?sort=new&filter=l", vec!["alpha"]),
        ("?filter=OF_g", vec!["gamma"]),
        ("?db=none", vec![]),
    ] {
        let shown = page(&ticker, &format!("/{query}"));
        assert_eq!(order(&shown, &names), expected, "{query}: {shown}");
    }
    // A heading keeps the filter.
    let shown = page(&ticker, "/?filter=l");
    assert!(links(&shown).iter().any(|link| link == "./?filter=l&sort=new"), "{shown}");
}

#[test]
fn thousands_of_queues_are_shown_page_by_page() {
    let many = pick(3_000, 10_000);
    // Paused copies, which share the tables of the first one, since tables take minutes to create.
    let columns = "queue_ntables, queue_cur_table, queue_rotation_period, queue_switch_step1, queue_switch_step2, \
         queue_switch_time, queue_event_seq, queue_tick_seq, queue_data_pfx";
    let copy = format!(
        "insert into pgq.queue (queue_name, queue_ticker_paused, {columns}) \
         select 'queue ' || n, true, {columns} from pgq.queue, generate_series(2, {many}) n \
         where queue_name = 'first'"
    );
    let ticker = start(Kind::Own, "", |client| {
        queues::create(client, "first");
        client.batch_execute(&copy).expect("copied");
    });
    let rows = |page: &str| page.matches("<td class=\"name\" data-title=\"Queue\">").count();
    let shown = page(&ticker, "/");
    assert_eq!(rows(&shown), 100);
    assert!(shown.contains(&format!("rows 1 to 100 of {many}")), "{shown}");
    assert!(shown.len() < 300_000, "{}", shown.len());
    let last = page(&ticker, &format!("/?page={}", many / 100));
    assert_eq!(rows(&last), 100);
    assert!(last.contains(&format!("rows {} to {many} of {many}", many - 99)), "{last}");
    let found = page(&ticker, &format!("/?filter=QUEUE+{many}"));
    assert_eq!((rows(&found), found.contains("class=\"pages\"")), (1, false), "{found}");
    browser::turns_pages_and_filters(&ticker, many);
}

#[test]
fn a_database_that_is_away_is_shown_beside_the_others() {
    let other = Database::create("away");
    let server = other.server();
    let mut client = other.client();
    queues::install_as(&mut client, Kind::Own);
    drop(client);
    let scene = Scene::create(Kind::Own);
    let (here, away) = (scene.database.name().to_owned(), other.name().to_owned());
    let ticker = Ticker::start_in(
        scene,
        &format!(
            "base_connstr = host={} port={} user=postgres\ndatabase_list = {here}, {away}\n\
             check_period = 0.2\nexception_sleep = 0.1\n",
            server.socket_dir().display(),
            server.port()
        ),
    );
    let levels = || page(&ticker, "/").matches("AWAY").count();
    let is_shown = |name: &str| page(&ticker, "/").contains(&format!(">{name}</a>"));
    wait_for("both databases", || is_shown(&here) && is_shown(&away) && levels() == 0);
    let browser = browser::open(&ticker, "/");
    let connections = |are_allowed: &str| {
        let change = format!("alter database {away} allow_connections {are_allowed}");
        let mut admin = server.client("postgres");
        admin.batch_execute(&change).expect("altered");
        let end = "select pg_terminate_backend(pid) from pg_stat_activity where datname = $1";
        admin.execute(end, &[&away]).expect("ended");
    };
    connections("false");
    wait_for("its absence", || levels() == 1);
    let shown = page(&ticker, "/");
    assert!(shown.contains("cannot be read: ") && shown.contains("not currently accepting"), "{shown}");
    assert!(shown.contains(&format!(">{here}</a>")) && shown.contains(&format!(">{away}</a>")), "{shown}");
    browser::wait_for_text(&browser, "cannot be read: ");
    browser::wait_for_text(&browser, &here);
    let (status, body) = ticker.get(&format!("/queue?db={away}&name=x"));
    assert_eq!(status, "HTTP/1.1 503 Service Unavailable");
    assert!(body.contains("cannot be read"), "{body}");
    connections("true");
    wait_for("its return", || levels() == 0);
    wait_for("its return in the browser", || !browser::text(&browser).contains("cannot be read: "));
    assert_eq!(browser.messages(), [""; 0]);
}
