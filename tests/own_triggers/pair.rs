//! Two databases, one with the triggers of the extension, one with this project's.

use pgq::schema::Kind;
use postgres::{Client, SimpleQueryMessage};

use crate::support::{Database, queues, templates};

/// The result of a statement: the number of rows, or the error's code and message; then the events.
#[derive(Debug, PartialEq)]
pub(super) struct Outcome {
    answer: Result<u64, (String, String)>,
    events: queues::Rows,
}

/// A database with the extension's triggers and one with this project's.
pub(super) struct Pair {
    extension: Client,
    own: Client,
    databases: [Database; 2],
}

impl Pair {
    /// Creates both, with a queue `q`.
    pub(super) fn create() -> Pair {
        let [(first, mut extension), (second, mut own)] =
            [Kind::Extension, Kind::Own].map(|kind| templates::installed(kind, "triggers"));
        for client in [&mut extension, &mut own] {
            client.batch_execute("select pgq.create_queue('q')").expect("the queue is new");
        }
        Pair { extension, own, databases: [first, second] }
    }

    /// Runs a script on both, and panics unless it succeeds.
    #[track_caller]
    pub(super) fn setup(&mut self, script: &str) {
        for client in [&mut self.extension, &mut self.own] {
            client.batch_execute(script).unwrap_or_else(|error| panic!("{error:?}: {script}"));
        }
    }

    /// Runs statements one by one on both, and compares their results. Returns the outcomes.
    #[track_caller]
    pub(super) fn check(&mut self, context: &str, statements: &[&str]) -> Vec<Outcome> {
        statements.iter().map(|statement| self.check_one(context, statement)).collect()
    }

    /// Runs a statement under this project's triggers only.
    pub(super) fn own(&mut self, statement: &str) -> Outcome {
        outcome(&mut self.own, statement)
    }

    /// Returns the rows of two columns that both databases have.
    pub(super) fn common(&mut self, select: &str) -> Vec<[String; 2]> {
        let [own, mut extension] = [&mut self.own, &mut self.extension].map(|client| {
            let rows = client.query(select, &[]).unwrap_or_else(|error| panic!("{error:?}: {select}"));
            rows.iter().map(|row| [0, 1].map(|column| row.get(column))).collect::<Vec<_>>()
        });
        extension.retain(|row| own.contains(row));
        extension
    }

    /// Runs a script on both in a session of its own.
    #[track_caller]
    pub(super) fn elsewhere(&mut self, script: &str) {
        self.each(|_, other, _| {
            other.batch_execute(script).unwrap_or_else(|error| panic!("{error:?}: {script}"));
        });
    }

    /// Does something on each, the extension first, with the session of the pair and two new ones.
    pub(super) fn each<T>(&mut self, act: impl Fn(&mut Client, &mut Client, &mut Client) -> T) -> [T; 2] {
        let [extension, own] = &self.databases;
        [(&mut self.extension, extension), (&mut self.own, own)]
            .map(|(client, database)| act(client, &mut database.client(), &mut database.client()))
    }

    #[track_caller]
    fn check_one(&mut self, context: &str, statement: &str) -> Outcome {
        let expected = outcome(&mut self.extension, statement);
        let actual = outcome(&mut self.own, statement);
        assert_eq!(actual, expected, "left: own, right: the extension\n{context}\n{statement}");
        actual
    }

    /// Replaces all triggers of a table by one, without comparing.
    #[track_caller]
    pub(super) fn trigger(&mut self, table: &str, clause: &str) {
        self.setup(&format!(
            "drop trigger if exists x on {table}; create trigger x {}",
            clause.replace("TABLE", table)
        ));
    }
}

impl Outcome {
    /// Returns the events' `ev_type` and `ev_data`.
    pub(super) fn data(&self) -> Vec<(&str, &str)> {
        self.events
            .iter()
            .map(|event| (event[0].as_deref().unwrap_or("null"), event[1].as_deref().unwrap_or("null")))
            .collect()
    }

    /// Returns the error's message.
    pub(super) fn error(&self) -> Option<&str> {
        self.answer.as_ref().err().map(|(_, message)| message.as_str())
    }
}

/// Runs a statement, and takes the events out of the queue.
pub(super) fn outcome(client: &mut Client, statement: &str) -> Outcome {
    let answer = match client.simple_query(statement) {
        Ok(messages) => Ok(messages
            .iter()
            .filter_map(|message| match message {
                SimpleQueryMessage::CommandComplete(count) => Some(*count),
                _ => None,
            })
            .sum()),
        Err(error) => {
            let error = error.as_db_error().unwrap_or_else(|| panic!("{error:?}: {statement}"));
            Err((error.code().code().to_owned(), error.message().to_owned()))
        }
    };
    let take = "with taken as (delete from pgq.event_1_0 returning *) \
                select ev_type, ev_data, ev_extra1, ev_extra2, ev_extra3, ev_extra4 from taken order by ev_id";
    let rows = client.query(take, &[]).unwrap_or_else(|error| panic!("{error:?}: {statement}"));
    let events = rows.iter().map(|row| (0..6).map(|column| row.get(column)).collect()).collect();
    Outcome { answer, events }
}
