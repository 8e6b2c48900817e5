//! The overview: databases, queues, consumers.

use maud::{Markup, html};
use pgq::status::{Level, Limits, Status};

use super::super::history::History;
use super::super::reader::Result;
use super::super::reading::{DatabaseReading, Reading};
use super::address::{Address, of_database};
use super::consumers::{self, ConsumerRow, Scope};
use super::layout;
use super::queues::{self, QueueRow};
use super::text::{list, name, several};

/// Makes the page.
pub(super) fn page(reading: &Reading, history: &History, address: &Address) -> Markup {
    let database = address.get("db");
    let is_chosen = |reading: &&DatabaseReading| database.is_empty() || reading.name == database;
    let databases: Vec<&DatabaseReading> = reading.databases.iter().filter(is_chosen).collect();
    let path = html! {
        @if !database.is_empty() { a href=(of_database(database).to_string()) { (name(database)) } }
    };
    let main = html! {
        p.time { "Read at " (reading.time.format("%H:%M:%S UTC")) }
        div.databases { @for database in &databases { (card(database)) } }
        @if databases.is_empty() { p.alarm { "no database; the ticker has not reached any yet" } }
        (tables(&databases, history, address))
    };
    layout::page("Overview", path, layout::search(address), main)
}

/// Makes the tables of the queues and the consumers that match the filter.
fn tables(databases: &[&DatabaseReading], history: &History, address: &Address) -> Markup {
    let filter = address.get("filter").to_lowercase();
    let matches = |name: &str| name.to_lowercase().contains(&filter);
    let (mut queues, mut consumers) = (Vec::new(), Vec::new());
    for (database, status) in databases.iter().filter_map(|database| Some((&*database.name, read(database)?)))
    {
        for queue in &status.queues {
            let is_match = matches(&queue.name);
            let rows = queue.consumers.iter().filter(|consumer| is_match || matches(&consumer.name));
            let before = consumers.len();
            consumers.extend(rows.map(|consumer| ConsumerRow { database, queue, consumer, history }));
            if is_match || consumers.len() > before {
                queues.push(QueueRow { database, queue });
            }
        }
    }
    let scope = if databases.len() > 1 { Scope::Databases } else { Scope::Database };
    html! {
        section {
            h2 { (several(queues.len(), "queue")) }
            (queues::table(queues, address, scope == Scope::Databases))
        }
        section {
            h2 { (several(consumers.len(), "consumer")) }
            (consumers::table(consumers, address, scope))
        }
    }
}

fn read(database: &DatabaseReading) -> Option<&Status> {
    database.status.as_ref().ok()
}

/// Shows a database: versions, tickers, and whatever needs attention.
fn card(database: &DatabaseReading) -> Markup {
    let level = level(&database.status);
    html! {
        section.database {
            h2 {
                a href=(of_database(&database.name).to_string()) { (name(&database.name)) } " "
                span class={ "level " (level.to_lowercase()) } { (level) }
            }
            @match &database.status {
                Ok(status) => { (facts(status)) },
                Err(failure) => { p.alarm { "cannot be read: " (name(&failure.text)) } },
            }
        }
    }
}

/// Returns the verdict of `pgqadm check` with its default limits, or `AWAY`.
fn level(status: &Result<Status>) -> String {
    match status {
        Ok(status) => Limits::default().check(status).level.to_string(),
        Err(_) => "AWAY".to_owned(),
    }
}

fn facts(status: &Status) -> Markup {
    let consumers = status.queues.iter().map(|queue| queue.consumers.len()).sum();
    let kind = status.schema.map(|kind| format!(" ({kind})")).unwrap_or_default();
    let verdict = Limits::default().check(status);
    html! {
        p {
            "PostgreSQL " (name(&status.server_version)) ", PgQ " (name(&status.pgq_version)) (kind) ", "
            (several(status.queues.len(), "queue")) ", " (several(consumers, "consumer"))
        }
        @if verdict.level != Level::Ok { p.alarm { (name(&verdict.text)) } }
        (list("tickers", &tickers(status)))
        (list("holders", &holders(status)))
        (list("problems", &status.problems()))
    }
}

fn tickers(status: &Status) -> Vec<String> {
    match status.tickers.as_slice() {
        [] => vec!["no ticker holds the lock of the leader".to_owned()],
        tickers => tickers.iter().map(ToString::to_string).collect(),
    }
}

/// Returns a line for each cause that holds up a rotation, and for each old snapshot.
fn holders(status: &Status) -> Vec<String> {
    let rotations = status.queues.iter().flat_map(|queue| {
        let causes = queue.rotation.held_up_by.iter();
        causes.map(|cause| format!("rotation of {} is held up by {cause}", queue.name))
    });
    let snapshots = status.old_snapshots.iter().filter(|snapshot| snapshot.is_notable());
    rotations.chain(snapshots.map(|snapshot| format!("dead rows are kept by {snapshot}"))).collect()
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{away, consumer, queue, reading, status};
    use super::*;

    fn shown(query: &str) -> String {
        let mut held = queue("<b>\"&", vec![consumer("slow & late", 90)]);
        held.rotation.held_up_by = vec![pgq::status::RotationBlocker::Ticker];
        let reading = reading(vec![
            ("two", Ok(status(vec![held, queue("quiet", vec![consumer("quick", 1)])]))),
            ("one", away("db: no <route>")),
        ]);
        let mut history = History::default();
        history.add(&reading);
        page(&reading, &history, &Address::new("./", query)).into_string()
    }

    #[test]
    fn a_database_that_is_away_is_shown_beside_the_others() {
        let shown = shown("");
        assert!(
            shown.contains("AWAY</span></h2><p class=\"alarm\">cannot be read: db: no &lt;route&gt;</p>"),
            "{shown}"
        );
        assert!(shown.contains("<h2>2 queues</h2>") && shown.contains("<h2>2 consumers</h2>"), "{shown}");
        assert!(shown.find("AWAY") < shown.find("WARNING"), "{shown}");
        assert_eq!(shown.matches("<svg class=\"chart\"").count(), 2);
    }

    #[test]
    fn names_are_escaped_and_causes_are_listed() {
        let shown = shown("");
        assert!(!shown.contains("<b>") && shown.contains("&lt;b&gt;&quot;&amp;</a>"), "{shown}");
        assert!(shown.contains("href=\"queue?db=two&amp;name=%3Cb%3E%22%26\""), "{shown}");
        assert!(shown.contains("rotation of &lt;b&gt;&quot;&amp; is held up by the ticker"), "{shown}");
    }

    #[test]
    fn the_filter_and_the_database_restrict_the_tables() {
        for (query, queues, consumers) in [
            ("filter=QUI", "1 queue", "1 consumer"),
            ("filter=late", "1 queue", "1 consumer"),
            ("filter=nothing", "0 queues", "0 consumers"),
            ("db=two", "2 queues", "2 consumers"),
            ("db=one", "0 queues", "0 consumers"),
        ] {
            let shown = shown(query);
            let heads = [queues, consumers].map(|head| format!("<h2>{head}</h2>"));
            assert!(heads.iter().all(|head| shown.contains(head)), "{query}: {shown}");
            assert_eq!(shown.contains("no &lt;route&gt;"), query != "db=two", "{query}");
        }
        let shown = shown("filter=%22%3E%3Cb%3E&sort=-lag");
        assert!(shown.contains("value=\"&quot;&gt;&lt;b&gt;\""), "{shown}");
        assert!(shown.contains("<input type=\"hidden\" name=\"sort\" value=\"-lag\">"), "{shown}");
    }
}
