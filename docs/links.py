"""The chapters' tables: what stands in their rows, and the line numbers in their links.

    python docs/links.py        sets every link to the line where its name is first defined

A row is `| what the page shows | number | what it is here | [file](file#L12), `name`; run `command` |`; the command is
`python <file>` where none is given. A row with nothing but its first cell is a heading of the book.
"""

import ast
import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
CHAPTERS = sorted(path for path in ROOT.glob("ch0?_*") if path.is_dir())
PLACE = re.compile(
    r"\[([\w./]+\.py)\]\((?P<target>[\w./]+\.py)#L(?P<line>\d+)\), `(?P<name>\w+)`(?:; run `(?P<run>.+)`)?"
)


@dataclass(frozen=True)
class Row:
    """A row: `file` is where its code stands, `command` what runs it, from the root of the repository."""

    shown: str
    number: str
    file: Path
    line: int
    name: str
    command: str


def rows(chapter):
    """The rows of the table in `chapter/README.md`, headings left out.

    Raises:
        ValueError: a row whose last cell is not as the module's docstring has it.
    """
    found = []
    for text in (chapter / "README.md").read_text().partition("## Errata")[0].splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", text)[1:-1]]
        if len(cells) != 4 or cells[0] in ("the page shows", "---") or not any(cells[1:]):
            continue
        place = PLACE.fullmatch(cells[3])
        if not place:
            raise ValueError(f"{chapter.name}/README.md: {cells[3]!r} is no place of a row; expected {__doc__}")
        file = (chapter / place["target"]).resolve()
        command = place["run"] or f"python {file.relative_to(ROOT)}"
        number = re.sub(r"\[(.*)\]\(.*\)", r"\1", cells[1])
        found.append(Row(cells[0], number, file, int(place["line"]), place["name"], command))
    return found


def lines_of(path):
    """Names to the first line that defines them: variables, functions, classes, imports, methods."""
    lines = {}

    def note(name, node):
        lines[name] = min(node.lineno, lines.get(name, node.lineno))

    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            note(node.name, node)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            note(node.id, node)
        elif isinstance(node, ast.alias):
            note((node.asname or node.name).split(".")[0], node)
    return lines


def mend():
    """Sets the line numbers in the chapters' tables to where the names stand now."""
    for chapter in CHAPTERS:

        def with_line(match):
            line = lines_of(chapter / match["target"])[match["name"]]  # noqa: B023 - called before the next chapter
            return match[0].replace(f"#L{match['line']}", f"#L{line}")

        page = chapter / "README.md"
        page.write_text(PLACE.sub(with_line, page.read_text()))


if __name__ == "__main__":
    mend()
