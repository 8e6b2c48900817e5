#!/usr/bin/env python3
"""Copies the book's pages into a folder, with the guides of the crate `pgq`, sections of other files and links to the
documentation of the crates filled in.

Usage: docs/tools/pages.py FOLDER

A page has these directives, each on a line of its own, and these links:

    {{#guide retries}}                      the guide pgq/src/guide/retries.md, without its title
    {{#section MIGRATING.md Switches}}      the section with this heading
    [`Batch::db`](pgq::Batch::db)           an item; in a guide `crate` is `pgq`
    [retries](crate::guide::retries)        the page that has this guide, or else the crate's page
"""

import os
import re
import shutil
import sys
from pathlib import Path

import rustdoc

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "docs/src"
GUIDES = ROOT / "pgq/src/guide"
DIRECTIVE = re.compile(r"^\{\{#(guide|section) (.+)\}\}$", re.M)
LINK = re.compile(r"\]\((crate|pgq|pgq_ext|dbscript)::([\w:]+(?:\(\))?)(#[\w-]+)?\)")
GUIDE_NAME = re.compile(r"`(?:pgq::)?guide::(\w+)`(?!\])")
# Guides whose end is in a file of its own, since it needs a feature of the crate.
CONTINUED = {"testing": ["testing/asynchronous"]}


class Book:
    """The pages, and the documentation of the crates to which they link."""

    def __init__(self, doc: Path):
        self.doc = doc
        self.guides = {}
        for page in SOURCE.rglob("*.md"):
            for kind, argument in DIRECTIVE.findall(page.read_text(encoding="utf-8")):
                if kind == "guide":
                    self.guides[argument] = page.relative_to(SOURCE)

    def render(self, page: Path) -> str:
        """Returns the text of a page."""
        text = DIRECTIVE.sub(lambda found: fill_in(*found.groups()), (SOURCE / page).read_text(encoding="utf-8"))
        text = LINK.sub(lambda found: f"]({self.target(page, *found.groups(''))})", text)
        return GUIDE_NAME.sub(lambda found: self.named_guide(page, found), text)

    def target(self, page: Path, crate: str, path: str, fragment: str) -> str:
        """Returns the address of an item, relative to a page."""
        crate = "pgq" if crate == "crate" else crate
        guide = self.guides.get(path.removeprefix("guide::")) if path.startswith("guide::") else None
        if guide:
            return relative(guide, page) + fragment
        return relative(Path("api") / rustdoc.address(self.doc, f"{crate}::{path}{fragment}"), page)

    def named_guide(self, page: Path, found: re.Match) -> str:
        guide = self.guides.get(found[1])
        return f"[{found[0]}]({relative(guide, page)})" if guide else found[0]


def relative(target: Path, page: Path) -> str:
    return os.path.relpath(target, page.parent)


def fill_in(kind: str, argument: str) -> str:
    """Returns the text that takes the place of a directive."""
    if kind == "guide":
        names = [argument, *CONTINUED.get(argument, [])]
        return "\n\n".join(guide((GUIDES / f"{name}.md").read_text(encoding="utf-8")) for name in names)
    file, heading = argument.split(" ", 1)
    return section((ROOT / file).read_text(encoding="utf-8"), heading)


def guide(text: str) -> str:
    """Returns a guide as a part of a page: without its title, one level lower, with the language of its examples."""
    text = re.sub(r"\A[A-Z][^.:`\[\n]*: (.)", lambda found: found[1].upper(), text.rstrip())
    lines, is_code = [], False
    for line in text.split("\n"):
        if line.startswith("```"):
            is_code = not is_code
            info = line[3:]
            if is_code and info in ("", "no_run"):
                line = "```rust" + (f",{info}" if info else "")
        elif line.startswith("#") and not is_code:
            line = f"#{line}"
        lines.append(line)
    return "\n".join(lines)


def section(text: str, heading: str) -> str:
    """Returns a section, with its heading unless that is the title of the file."""
    found = re.search(rf"^(#+) {re.escape(heading)}\n(.*?)(?=^##? |\Z)", text, re.M | re.S)
    if not found:
        sys.exit(f"pages.py: no section `{heading}`")
    title = "" if found[1] == "#" else f"{found[1]} {heading}\n"
    return (title + found[2]).strip()


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder, book = Path(sys.argv[1]), Book(ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "doc")
    shutil.copytree(SOURCE, folder, dirs_exist_ok=True)
    for page in sorted(SOURCE.rglob("*.md")):
        page = page.relative_to(SOURCE)
        try:
            (folder / page).write_text(book.render(page), encoding="utf-8")
        except rustdoc.Missing as missing:
            sys.exit(f"pages.py: {page}: `{missing}` is not in the documentation of the crates; run `cargo doc`")


if __name__ == "__main__":
    main()
