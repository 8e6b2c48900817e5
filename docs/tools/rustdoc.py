"""The addresses of items in the documentation that `cargo doc` has written."""

import re
from pathlib import Path

CRATES = ("pgq", "pgq_ext", "dbscript")
KINDS = ("struct", "enum", "trait", "fn", "type", "constant", "macro")
MEMBERS = ("method", "tymethod", "structfield", "variant", "associatedconstant")


class Missing(Exception):
    """The documentation has no such item."""


def address(doc: Path, path: str) -> str:
    """Returns the address of an item such as `pgq::Event::id`, relative to the folder of the documentation."""
    path, _, fragment = path.partition("#")
    is_function = path.endswith("()")
    crate, *names = path.removesuffix("()").split("::")
    if crate not in CRATES:
        raise Missing(path)
    found = item(doc, [crate, *names], is_function) or member(doc, [crate, *names])
    if not found:
        raise Missing(path)
    return f"{found}#{fragment}" if fragment else found


def item(doc: Path, names: list[str], is_function: bool) -> str | None:
    folder, name = "/".join(names[:-1]), names[-1]
    kinds = ("fn",) if is_function else KINDS
    files = [f"{folder}/{kind}.{name}.html" for kind in kinds] + [f"{folder}/{name}/index.html".lstrip("/")]
    found = next((file for file in files if (doc / file).is_file()), None)
    return found or reexported(doc, names, kinds)


def reexported(doc: Path, names: list[str], kinds: tuple[str, ...]) -> str | None:
    """Returns the address of an item that the crate's root exports out of a public module, which has its page."""
    if len(names) != 2:
        return None
    crate, name = names
    pages = [page for kind in kinds for page in (doc / crate).rglob(f"{kind}.{name}.html")]
    return str(pages[0].relative_to(doc)) if len(pages) == 1 else None


def member(doc: Path, names: list[str]) -> str | None:
    if len(names) < 3:
        return None
    owner = item(doc, names[:-1], False)
    if owner is None:
        return None
    ids = set(re.findall(r'id="([^"]+)"', (doc / owner).read_text(encoding="utf-8")))
    anchors = (f"{kind}.{names[-1]}" for kind in MEMBERS)
    return next((f"{owner}#{anchor}" for anchor in anchors if anchor in ids), None)
