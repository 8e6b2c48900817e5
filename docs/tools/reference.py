#!/usr/bin/env python3
"""Fills the reference pages of a copied book in, from the programs and from a database.

Usage: docs/tools/reference.py FOLDER, in an environment in which `psql` reaches a server, and with the programs on the path

A page has these directives, each on a line of its own:

    {{#help pgqadm}}                the output of --help
    {{#commands pgqadm}}            the same of each command that has a --help of its own
    {{#keys mailer - greeter}}      the keys of a program that another one does not have with the same default and meaning
    {{#functions pgq}}              the functions of a schema that are not internal
    {{#metrics}}                    the metrics that a ticker serves
"""

import re
import subprocess
import sys
from pathlib import Path

import catalogue
import scrape

DIRECTIVE = re.compile(r"^\{\{#(help|commands|keys|functions|metrics)(?: (.+))?\}\}$", re.M)
KEY = re.compile(r"^((?:# .*\n)+)(#?)(\w+) =(.*)$", re.M)
COMMAND = re.compile(r"^  ([a-z][\w-]*)", re.M)


def printed(program: str, *arguments: str) -> str:
    """Returns the standard output of a program."""
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"reference.py: `{program} {' '.join(arguments)}` failed: {done.stderr}")
    return done.stdout


def code(text: str) -> str:
    return f"```text\n{text.strip()}\n```"


def cell(text: str) -> str:
    """Returns a text as a cell of a table."""
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").strip()


def help_text(program: str) -> str:
    return code(printed(program, "--help"))


def commands(program: str) -> str:
    """Returns the help of each command, unless it is that of the program."""
    general = printed(program, "--help")
    names = dict.fromkeys(COMMAND.findall(general[general.index("Commands:") :]))
    texts = {name: printed(program, name, "--help") for name in names if name != "help"}
    return "\n\n".join(f"### {name}\n\n{code(text)}" for name, text in texts.items() if text != general)


def sample_keys(program: str) -> dict[str, tuple[str, str]]:
    """Returns the keys of a program's sample file, each with its default and its meaning."""
    keys = {}
    for doc, comment, name, value in KEY.findall(printed(program, "--ini")):
        meaning = " ".join(line.removeprefix("# ") for line in doc.splitlines())
        keys[name] = ("" if comment else value.strip(), meaning)
    if not keys:
        sys.exit(f"reference.py: the sample file of {program} has no keys")
    return keys


def keys(argument: str) -> str:
    program, _, others = argument.partition(" - ")
    known = [pair for other in others.split() for pair in sample_keys(other).items()]
    rows = [
        f"| `{name}` | {f'`{cell(default)}`' if default else ''} | {cell(meaning)} |"
        for name, (default, meaning) in sample_keys(program).items()
        if (name, (default, meaning)) not in known
    ]
    return "\n".join(["| key | default | meaning |", "| --- | --- | --- |", *rows])


def metrics(_: str) -> str:
    rows = [
        f"| `{name}` | {', '.join(f'`{label}`' for label in labels)} | {cell(meaning)} |"
        for name, (labels, meaning) in scrape.metrics().items()
    ]
    return "\n".join(["| metric | labels | meaning |", "| --- | --- | --- |", *rows])


FILLERS = {
    "help": help_text,
    "commands": commands,
    "keys": keys,
    "functions": catalogue.functions,
    "metrics": metrics,
}


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    pages = sorted(Path(sys.argv[1]).rglob("*.md"))
    with catalogue.installed():
        for page in pages:
            text = page.read_text(encoding="utf-8")
            filled = DIRECTIVE.sub(lambda found: FILLERS[found[1]](found[2] or ""), text)
            if filled != text:
                page.write_text(filled, encoding="utf-8")


if __name__ == "__main__":
    main()
