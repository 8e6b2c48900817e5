"""The SQL functions of a database with the own schema, and the comments above them in the sources."""

import json
import os
import re
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DATABASE = "reference"
FOLDERS = ("pgq/sql", "pgq_ext/sql")
DEFINITION = re.compile(r"((?:^--.*\n)+)^create or replace (?:function|procedure) ([\w.]+)\(", re.M)
INTERNAL = re.compile(r"^(_|tg_)")
# A reader of the sources finds these there, a reader of the book elsewhere.
SOURCE_ONLY = re.compile(r" ?\(DESIGN\.md, D\d+(?: and D\d+)*\)")
ARGUMENTS = "Arguments and errors: see trigger_begin.sql."
ARGUMENTS_PAGE = "[Read the data of events](../how-to/payload.md#events-of-triggers) lists the arguments."
QUERY = """
    select coalesce(json_agg(f order by f.name, f.arguments), '[]') from (
        select p.proname as name, pg_get_function_arguments(p.oid) as arguments,
            pg_get_function_result(p.oid) as result,
            array(select distinct coalesce(r.rolname, 'public')
                from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
                left join pg_roles r on r.oid = a.grantee
                where a.privilege_type = 'EXECUTE' and a.grantee <> p.proowner) as roles
        from pg_proc p join pg_namespace n on n.oid = p.pronamespace
        where n.nspname = '{schema}') f
"""


@contextmanager
def installed():
    """Creates a database with the schemas for as long as the context lasts."""
    run("createdb", DATABASE)
    try:
        with tempfile.NamedTemporaryFile("w", suffix=".ini") as file:
            file.write(f"[pgqadm]\ndb = dbname={DATABASE}\n")
            file.flush()
            run("pgqadm", file.name, "install", "--schema", "own")
            run("pgqadm", file.name, "create", "orders")
            run("pgqadm", file.name, "register", "orders", "billing")
        yield
    finally:
        run("dropdb", "--force", DATABASE)


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
    if done.returncode != 0:
        sys.exit(f"catalogue.py: `{' '.join(command)}` failed: {done.stderr}")
    return done.stdout


def comments() -> dict[str, list[str]]:
    """Returns the comments above the functions, by name; overloads may have several."""
    found: dict[str, list[str]] = {}
    for file in sorted(file for folder in FOLDERS for file in (ROOT / folder).rglob("*.sql")):
        for comment, name in DEFINITION.findall(file.read_text(encoding="utf-8")):
            lines = [line.removeprefix("--").removeprefix(" ") for line in comment.rstrip("\n").split("\n")]
            found.setdefault(name, []).append("\n".join(lines).strip())
    return found


def functions(schema: str) -> str:
    """Returns a section for each function of a schema that is not internal."""
    described, sections = comments(), {}
    for function in json.loads(run("psql", "-XAtqc", QUERY.format(schema=schema), DATABASE)):
        if not INTERNAL.match(function["name"]):
            sections.setdefault(function["name"], []).append(function)
    undescribed = [name for name in sections if f"{schema}.{name}" not in described]
    if undescribed or not sections:
        sys.exit(f"catalogue.py: functions of {schema} without a comment in the sources: {undescribed}")
    texts = {name: described[f"{schema}.{name}"] for name in sections}
    return "\n\n".join(
        section(f"{schema}.{name}", overloads, texts[name])
        for name, overloads in sections.items()
        if not any("Internal." in text for text in texts[name])
    )


def section(name: str, overloads: list[dict], texts: list[str]) -> str:
    signatures = "\n".join(
        f"{name}({function['arguments']})" + (f" returns {function['result']}" if function["result"] else "")
        for function in overloads
    )
    roles = sorted({role for function in overloads for role in function["roles"]})
    granted = ", ".join(f"`{role}`" for role in roles) or "the owner alone"
    return f"### {name}\n\n```sql\n{signatures}\n```\n\n{description(texts)}\n\nExecuted by: {granted}."


def description(texts: list[str]) -> str:
    text = "\n\n".join(dict.fromkeys(texts))
    text = SOURCE_ONLY.sub("", text).replace(ARGUMENTS, ARGUMENTS_PAGE)
    # An indented paragraph of a comment is a list of names, and no code with the colours of another language.
    return re.sub(r"\n\n((?: {2,}.*(?:\n|\Z))+)", lambda found: f"\n\n```text\n{found[1].rstrip()}\n```\n", text)
