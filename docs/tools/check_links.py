#!/usr/bin/env python3
"""Checks that each link of a built book leads to a file, and its fragment to an anchor of that file.

Usage: docs/tools/check_links.py FOLDER

The documentation of the crates, in the folder `api`, is checked by `cargo doc`; links from the book into it are checked
here. Links to other hosts are not.
"""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """The links and the anchors of a page."""

    def __init__(self, file: Path):
        super().__init__()
        self.links, self.anchors = set(), set()
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name == "id" or (tag == "a" and name == "name"):
                self.anchors.add(value)
            elif name in ("href", "src") and value:
                self.links.add(value)


class Pages:
    """The pages of a book, each of which is read once."""

    def __init__(self):
        self.read = {}

    def page(self, file: Path) -> Page:
        if file not in self.read:
            self.read[file] = Page(file)
        return self.read[file]

    def problem(self, file: Path, link: str) -> str | None:
        """Returns the reason why a link of a file leads nowhere, or None."""
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            return None
        target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
        if target.is_dir():
            target /= "index.html"
        if not target.is_file():
            return "no such file"
        if parts.fragment and target.suffix == ".html" and unquote(parts.fragment) not in self.page(target).anchors:
            return "no such anchor"
        return None


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder, pages = Path(sys.argv[1]).resolve(), Pages()
    # The page for addresses that do not exist has links from the root of the server.
    files = [file for file in folder.rglob("*.html") if file != folder / "404.html"]
    files = [file for file in files if file.relative_to(folder).parts[0] != "api"]
    problems = [
        f"{file.relative_to(folder)}: `{link}`: {problem}"
        for file in sorted(files)
        for link in sorted(pages.page(file).links)
        if (problem := pages.problem(file, link))
    ]
    if not files:
        sys.exit(f"check_links.py: no pages in {folder}")
    if problems:
        sys.exit("\n".join(["check_links.py: broken links:", *problems]))
    print(f"{sum(len(pages.page(file).links) for file in files)} links of {len(files)} pages lead somewhere")


if __name__ == "__main__":
    main()
