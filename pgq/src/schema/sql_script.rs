//! SQL scripts that install a part of a schema and record their release in the database.

/// Includes files of `sql/`, given without the folder and the extension.
macro_rules! files {
    ($($name:literal),* $(,)?) => { &[$(include_str!(concat!("../../sql/", $name, ".sql"))),*] };
}
pub(super) use files;

/// SQL files that are run together. The script records its name, release and fingerprint in a comment and a function.
pub(super) struct SqlScript {
    /// The beginning of the comment.
    pub(super) name: &'static str,
    /// The number of the release. A script replaces lower releases only.
    pub(super) release: u32,
    /// The object that has the comment.
    pub(super) object: &'static str,
    /// The function, with parentheses, that returns the text of the comment. A dump may omit the comment, and users may
    /// change it.
    pub(super) function: &'static str,
    /// The files, in the order in which they are run.
    pub(super) files: &'static [&'static str],
}

/// The installed release compared with a script's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Age {
    Older,
    Same,
    Newer,
}

impl SqlScript {
    /// Returns the statements, which can be run again, also over an older release.
    pub(super) fn sql(&self) -> String {
        let sql = self.files.join("\n");
        let mark = self.mark(&sql);
        let (object, function) = (self.object, self.function);
        let (schema, name) = function.trim_end_matches("()").split_once('.').unwrap_or(("pgq", function));
        format!(
            "{sql}\n\
             -- These two identify the installed release.\n\
             create or replace function {function} returns text language sql immutable \
                 set search_path = pg_catalog, pg_temp as $$ select '{mark}' $$;\n\
             select pgq._plain_rights('{schema}', '^{name}$');\n\
             revoke all on function {function} from public;\n\
             comment on {object} is '{mark}';\n"
        )
    }

    /// Compares the release in an object's comment with this script; `None` for a comment of another origin.
    pub(super) fn age(&self, comment: &str) -> Option<Age> {
        let release: u32 =
            comment.strip_prefix(self.name)?.strip_prefix(", release ")?.split_once(',')?.0.parse().ok()?;
        Some(match release {
            newer if newer > self.release => Age::Newer,
            _ if comment == self.mark(&self.files.join("\n")) => Age::Same,
            _ => Age::Older,
        })
    }

    /// Returns the names after `begin` in lines that begin with that text, without their schemas.
    fn names(&self, begin: &str) -> Vec<&'static str> {
        let lines = self.files.iter().flat_map(|file| file.lines());
        let names = lines.filter_map(|line| line.strip_prefix(begin)?.split(['(', ' ', ';']).next());
        names.map(|name| name.rsplit_once('.').map_or(name, |(_, name)| name)).collect()
    }

    /// Returns the names of the functions and procedures that the script creates.
    pub(super) fn functions(&self) -> Vec<&'static str> {
        let kinds = ["function", "procedure"];
        kinds.iter().flat_map(|kind| self.names(&format!("create or replace {kind} "))).collect()
    }

    /// Returns the names of the tables, sequences and indexes that the script creates.
    pub(super) fn relations(&self) -> Vec<&'static str> {
        let kinds = ["table", "sequence", "index", "unique index"];
        kinds.iter().flat_map(|kind| self.names(&format!("create {kind} if not exists "))).collect()
    }

    /// Makes the comment: name, release, and a fingerprint of the statements.
    fn mark(&self, sql: &str) -> String {
        let hash = sql.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
        });
        format!("{}, release {}, {hash:016x}", self.name, self.release)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_comment_contains_the_age() {
        let script = SqlScript {
            name: "A part",
            release: 2,
            object: "schema x",
            function: "x.f()",
            files: &["select 1;", "select 2;"],
        };
        let sql = script.sql();
        let comment = sql.lines().last().and_then(|line| line.split('\'').nth(1)).expect("a comment");
        assert_eq!(script.age(comment), Some(Age::Same));
        assert_eq!(script.age("A part, release 2, 0123456789abcdef"), Some(Age::Older));
        assert_eq!(script.age("A part, release 1, 0123456789abcdef"), Some(Age::Older));
        assert_eq!(script.age("A part, release 3, 0123456789abcdef"), Some(Age::Newer));
        assert_eq!(script.age("A part, release x, 0"), None);
        assert_eq!(script.age("A party, release 2, 0"), None);
        assert_eq!(script.age("somebody's queues"), None);
    }
}
