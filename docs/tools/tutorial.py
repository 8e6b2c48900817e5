#!/usr/bin/env python3
"""Follows the tutorial as a reader would, in an empty folder, and compares what the commands print.

Usage: docs/tools/tutorial.py, in an environment in which `psql` reaches a server, and with the programs on the path

Of the pages in docs/src/tutorial, these blocks are followed:

    <!-- file: NAME -->          before a block: the file is written; hidden lines of Rust code are left out
    ```console                   after `$ ` a command, then lines that it prints, among others and in this order
    ```console,until             such commands, repeated until they succeed and print these lines

In a line that is printed, `…` stands for any text. The commands of all pages run in one shell.
"""

import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / f"docs/src/tutorial/{page}.md" for page in ("install", "blocking", "asynchronous")]
BLOCK = re.compile(r"^(?:<!-- file: (\S+) -->\n)?```(\S*)\n(.*?)^```$", re.M | re.S)
PROLOGUE = """\
fail() {
    echo "tutorial.py: this command failed, or did not print what the tutorial shows:" >&2
    cat "$OUT/$1.command" "$OUT/$1.printed" >&2
    exit 1
}
matches() {
    python3 "$TOOL" "$OUT/$1.expected" "$OUT/$1.printed"
}
"""
STEP = """\
{{
{command}
}} >"$OUT/{number}.printed" 2>&1 && matches {number} || fail {number}
"""
REPEATED = """\
for try in {{1..300}}; do
    {{
{command}
    }} >"$OUT/{number}.printed" 2>&1 && matches {number} && break
    [ "$try" -lt 300 ] || fail {number}
    sleep 0.2
done
"""


def substituted(text: str, environment: dict[str, str]) -> str:
    """Returns a command or a file with the addresses that a reader replaces: of the crate, and of the server."""
    text = re.sub(r"^cargo add pgq\b", f"cargo add --path {shlex.quote(str(ROOT / 'pgq'))}", text)
    server = f"{environment['PGUSER']}@{environment['PGHOST']}:{environment['PGPORT']}"
    return text.replace("postgres@localhost", server)


class Script:
    """The shell script that follows the tutorial, and the files that it reads."""

    def __init__(self, folder: Path, environment: dict[str, str]):
        self.folder, self.environment = folder, environment
        self.text, self.count = PROLOGUE, 0

    def page(self, text: str):
        self.text += 'cd "$TOUR"; [ ! -d shop ] || cd shop\n'
        for name, info, content in BLOCK.findall(text):
            language, _, mode = info.partition(",")
            if name:
                self.file(name, "".join(line for line in content.splitlines(True) if not re.match(r"#( |$)", line)))
            elif language == "console":
                for command, lines in commands(content):
                    self.command(command, lines, REPEATED if mode == "until" else STEP)

    def file(self, name: str, content: str):
        self.count += 1
        (self.folder / f"{self.count}.file").write_text(content, encoding="utf-8")
        self.text += f'cp "$OUT/{self.count}.file" {shlex.quote(name)}\n'

    def command(self, command: str, lines: list[str], template: str):
        self.count += 1
        command = substituted(command, self.environment)
        (self.folder / f"{self.count}.command").write_text(f"$ {command}\n", encoding="utf-8")
        (self.folder / f"{self.count}.expected").write_text("\n".join(lines), encoding="utf-8")
        self.text += f"echo {shlex.quote('$ ' + command)}\n" + template.format(command=command, number=self.count)


def commands(content: str) -> list[tuple[str, list[str]]]:
    """Returns the commands of a block, each with the lines that it prints."""
    found = []
    for line in content.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        elif line.strip():
            found[-1][1].append(line)
    return found


def is_printed(expected: str, printed: str) -> bool:
    """Returns whether the expected lines were printed, in their order and perhaps among others."""
    lines = iter(normal(printed))
    return all(any(pattern(line).fullmatch(candidate) for candidate in lines) for line in normal(expected))


def normal(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]


def pattern(line: str) -> re.Pattern:
    return re.compile(".*".join(map(re.escape, line.split("…"))))


def end_programs(folder: Path):
    """Ends programs that a failed tutorial has left in the background."""
    for pidfile in folder.rglob("*.pid"):
        try:
            os.kill(int(pidfile.read_text()), signal.SIGTERM)
        except (OSError, ValueError):
            pass


def follow() -> int:
    with tempfile.TemporaryDirectory() as out, tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as tour:
        target = Path(os.environ.get("CARGO_TARGET_DIR", "target"))
        environment = os.environ | {
            "OUT": out,
            "TOUR": tour,
            "TOOL": str(Path(__file__).resolve()),
            "CARGO_TARGET_DIR": str(ROOT / target / "tutorial"),
        }
        script = Script(Path(out), environment)
        for page in PAGES:
            script.page(page.read_text(encoding="utf-8"))
        try:
            return subprocess.run(["bash", "-c", script.text], env=environment, check=False).returncode
        finally:
            end_programs(Path(tour))


def main():
    if len(sys.argv) == 3:
        expected, printed = (Path(name).read_text(encoding="utf-8", errors="replace") for name in sys.argv[1:])
        sys.exit(0 if is_printed(expected, printed) else 1)
    if len(sys.argv) != 1:
        sys.exit(__doc__)
    sys.exit(follow())


if __name__ == "__main__":
    main()
