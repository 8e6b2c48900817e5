//! Operators that are found by the search path before it is set.

use std::fs;
use std::path::Path;

use super::lint::{files, literals};

/// Statements that run before the database's owner is checked, and functions that run under the caller's path.
const GUARDS: [&str; 3] =
    ["pgq/src/schema/trust.rs", "pgq/src/schema/search_path.rs", "dbscript/src/database/connect/pinned.rs"];

/// Returns the operators, and the words that stand for one, which are not named with their schema.
fn open_operators(sql: &str) -> Vec<String> {
    let mut found = Vec::new();
    let lines = sql.lines().map(|line| line.split("--").next().unwrap_or_default());
    let text = lines.collect::<Vec<_>>().join("\n");
    let plain: String = text.split('\'').step_by(2).collect::<Vec<_>>().join("''");
    for (at, piece) in plain.split("operator(").enumerate() {
        let piece = if at == 0 { piece } else { piece.split_once(')').map_or("", |(_, rest)| rest) };
        // Signs that resemble operators and are none.
        let mut rest = piece.to_owned();
        for syntax in
            [":=", "=>", "<<make>>", "errcode =", "found_rows =", "search_path =", "row_security =", "->"]
        {
            rest = rest.replace(syntax, " ");
        }
        found.extend(rest.chars().filter(|c| "=<>|+~@".contains(*c)).map(String::from));
        let words = rest.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ");
        let names = [" like ", " ilike ", " between ", " in ("];
        found.extend(names.iter().filter(|name| words.contains(**name)).map(|name| name.trim().to_owned()));
    }
    found
}

/// Returns the operators without a schema in the statements of [`GUARDS`].
fn open_in_guards(root: &Path) -> Vec<String> {
    let mut open = Vec::new();
    for guard in GUARDS {
        let source = fs::read_to_string(root.join(guard)).expect("a source");
        let statements = literals(&source).into_iter().filter(|text| text.contains("pg_catalog."));
        open.extend(statements.flat_map(|text| {
            open_operators(&text).into_iter().map(move |operator| format!("`{operator}` in `{text}`"))
        }));
    }
    open
}

#[test]
fn operators_are_named_in_full_where_no_path_is_set() {
    assert_eq!(open_operators("select a operator(pg_catalog.=) b, c || '=', d in (1)"), ["|", "|", "in ("]);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut open = open_in_guards(root);
    let mut scripts = Vec::new();
    for folder in ["pgq/sql/functions", "pgq/sql/triggers", "pgq/sql/coop", "pgq/sql/failed", "pgq_ext/sql"] {
        files(&root.join(folder), ".sql", &mut scripts);
    }
    let mut functions = 0;
    for path in scripts {
        let script = fs::read_to_string(&path).expect("a script");
        // The parts of a trigger's body.
        if path.parent().is_some_and(|folder| folder.ends_with("triggers"))
            && !script.contains("\n$$;")
            && !script.contains("do $$")
        {
            open.extend(
                open_operators(&script).into_iter().map(|name| format!("{}: `{name}`", path.display())),
            );
        }
        // Before the first function, the path is that of the installation.
        for function in script.split("create or replace function").skip(1) {
            let (head, body) = function.split_once("as $$").unwrap_or((function, ""));
            if head.contains("set search_path") {
                continue;
            }
            functions += 1;
            let body = body.split("\n$$;").next().unwrap_or_default();
            open.extend(open_operators(body).into_iter().map(|name| format!("{}: `{name}`", path.display())));
        }
    }
    assert!(functions > 15, "{functions}");
    assert!(open.is_empty(), "without a schema:\n{}", open.join("\n"));
}
