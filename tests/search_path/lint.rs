//! Every statement of the crates and the programs names functions, types and tables of the catalogue with its schema.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::support;

/// Words of the grammar that resemble functions, or types that the grammar resolves under any search path.
const SYNTAX: [&str; 33] = [
    "coalesce",
    "exists",
    "extract",
    "greatest",
    "least",
    "nullif",
    "array",
    "any",
    "all",
    "in",
    "values",
    "cast",
    "position",
    "substring",
    "overlay",
    "trim",
    "row",
    "not",
    "and",
    "or",
    "on",
    "using",
    "as",
    "interval",
    "bigint",
    "integer",
    "boolean",
    "numeric",
    "timestamp",
    "double",
    "char",
    "time",
    "bit",
];
/// Files whose strings are no statements of the project: texts of help, tests, and the server that tests use.
const SPARED: [&str; 4] = ["guide", "readme.rs", "commands.rs", "tests.rs"];

pub(super) fn files(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if SPARED.contains(&name.as_str()) || name.contains("tests") {
            continue;
        } else if path.is_dir() {
            files(&path, ending, found);
        } else if name.ends_with(ending) {
            found.push(path);
        }
    }
}

/// Returns the string literals of a source file.
pub(super) fn literals(source: &str) -> Vec<String> {
    let code: String = source
        .split("#[cfg(test)]")
        .next()
        .unwrap_or_default()
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n");
    let (mut found, mut text, mut inside) = (Vec::new(), String::new(), false);
    let mut chars = code.chars().peekable();
    while let Some(c) = chars.next() {
        match (inside, c) {
            (true, '\\') => {
                if chars.next() == Some('\n') {
                    text.push(' ');
                }
            }
            (true, '"') => {
                found.push(std::mem::take(&mut text));
                inside = false;
            }
            (true, c) => text.push(c),
            (false, '\'') if chars.peek() == Some(&'"') => {
                chars.next();
            }
            (false, '"') => inside = true,
            (false, _) => {}
        }
    }
    found
}

/// Distinguishes a statement, or a piece of one, from a message.
fn is_statement(text: &str) -> bool {
    let begins = [
        "select ",
        "insert into",
        "update ",
        "delete from",
        "with ",
        "case when",
        "left join",
        "left outer",
        "where ",
    ];
    text.contains("pg_catalog.")
        || text.contains("::")
        || begins.iter().any(|word| text.trim_start().starts_with(word))
}

/// Leaves out functions that set their search path themselves.
fn without_pinned(sql: &str) -> String {
    let mut parts = sql.split("create or replace function");
    let mut left = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (head, _) = part.split_once("as $$").unwrap_or((part, ""));
        let rest = if head.contains("set search_path") {
            part.split_once("\n$$;").map_or("", |(_, rest)| rest)
        } else {
            part
        };
        left.push_str(rest);
    }
    left
}

/// Splits a statement into words and signs, without comments and quoted text.
fn tokens(sql: &str) -> Vec<String> {
    let lines = sql.lines().map(|line| line.split("--").next().unwrap_or_default());
    let (mut found, mut word, mut quoted): (Vec<String>, String, bool) = (Vec::new(), String::new(), false);
    for c in lines.collect::<Vec<_>>().join("\n").chars().chain([' ']) {
        if c == '\'' {
            quoted = !quoted;
        } else if quoted {
            continue;
        } else if c.is_ascii_alphanumeric() || c == '_' {
            word.push(c);
            continue;
        }
        if !word.is_empty() {
            found.push(std::mem::take(&mut word));
        }
        found.push(c.to_string());
    }
    found
}

/// Returns the names without a schema.
fn open_names(
    sql: &str,
    functions: &BTreeSet<String>,
    types: &BTreeSet<String>,
    tables: &BTreeSet<String>,
) -> Vec<String> {
    let tokens = tokens(sql);
    let sign = |at: usize| tokens.get(at).map_or("", String::as_str);
    let spoken = |at: usize| {
        tokens[..at].iter().rev().map(|token| token.trim()).find(|token| !token.is_empty()).unwrap_or("")
    };
    let mut found = Vec::new();
    for (at, word) in tokens.iter().enumerate() {
        let before = if at == 0 { "" } else { sign(at - 1) };
        if before == "."
            || SYNTAX.contains(&word.as_str())
            || !word.starts_with(|c: char| c.is_ascii_lowercase())
        {
            continue;
        }
        let follows = sign(at + 1);
        let is_cast = before == ":" && at > 1 && sign(at - 2) == ":";
        let is_call = follows == "("
            && functions.contains(word)
            && !["function", "index", "table", "into"].contains(&spoken(at));
        let is_table = tables.contains(word) && follows != "." && ["from", "join", ","].contains(&spoken(at));
        if is_call || is_table || (is_cast && types.contains(word)) {
            found.push(word.clone());
        }
    }
    found
}

fn names(select: &str) -> BTreeSet<String> {
    let mut client = support::shared().client("postgres");
    client.query(select, &[]).expect("names").iter().map(|row| row.get(0)).collect()
}

#[test]
fn all_names_of_the_catalogue_are_given_with_its_schema() {
    let functions =
        names("select distinct proname::text from pg_proc where pronamespace = 'pg_catalog'::regnamespace");
    let types = names(
        "select typname::text from pg_type where typnamespace = 'pg_catalog'::regnamespace and typrelid = 0",
    );
    let tables = names(
        "select relname::text from pg_class where relnamespace = 'pg_catalog'::regnamespace and relkind in ('r', 'v')",
    );
    let check = |text: &str| open_names(text, &functions, &types, &tables);
    // The check detects its targets.
    assert_eq!(
        check("select now(), x::text from pg_class, pg_catalog.pg_proc where pg_catalog.left('now(')"),
        ["now", "text", "pg_class"]
    );

    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut sources, mut scripts) = (Vec::new(), Vec::new());
    for folder in ["pgq/src", "pgq_ext/src", "dbscript/src", "examples"] {
        files(&root.join(folder), ".rs", &mut sources);
    }
    for folder in ["pgq/sql", "pgq_ext/sql"] {
        files(&root.join(folder), ".sql", &mut scripts);
    }
    assert!(sources.len() > 100 && scripts.len() > 90);
    let mut open = Vec::new();
    for path in &sources {
        let source = fs::read_to_string(path).expect("a source");
        for text in literals(&source).iter().filter(|text| is_statement(text)) {
            open.extend(check(text).iter().map(|name| format!("{}: `{name}` in `{text}`", path.display())));
        }
    }
    for path in &scripts {
        let script = fs::read_to_string(path).expect("a script");
        open.extend(
            check(&without_pinned(&script)).iter().map(|name| format!("{}: `{name}`", path.display())),
        );
    }
    assert!(open.is_empty(), "without a schema:\n{}", open.join("\n"));
}
