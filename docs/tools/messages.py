#!/usr/bin/env python3
"""Checks that the messages of the page on troubleshooting are messages of the programs.

Usage: docs/tools/messages.py

A message is a heading of the page in backticks, in which `…` stands for a part that varies. One literal in the sources
has to contain it.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/src/troubleshooting.md"
FOLDERS = ("dbscript/src", "pgq/src", "pgq/sql", "pgq_ext/src", "pgq_ext/sql", "examples")
HEADING = re.compile(r"^### (`+) ?(.+?) ?\1$", re.M)


def sources() -> str:
    """Returns the sources, in which literals that span lines are joined."""
    files = (file for folder in FOLDERS for file in (ROOT / folder).rglob("*") if file.suffix in (".rs", ".sql"))
    text = "\n".join(file.read_text(encoding="utf-8") for file in sorted(files))
    return re.sub(r"\\\n\s*", "", text)


def pattern(message: str) -> str:
    return r'[^"\n]*?'.join(re.escape(part) for part in message.split("…"))


def main():
    text, messages = sources(), [found[2] for found in HEADING.finditer(PAGE.read_text(encoding="utf-8"))]
    if not messages:
        sys.exit(f"messages.py: no messages in {PAGE}")
    wrong = [message for message in messages if not re.search(pattern(message), text)]
    if wrong:
        sys.exit("\n".join(["messages.py: not in the sources:", *wrong]))
    print(f"{len(messages)} messages are those of the programs")


if __name__ == "__main__":
    main()
