"""The READMEs keep their word: every listing has its row, every link leads to its line, CI runs what is told."""

import ast
import json
import re
from functools import cache

import pytest

from docs.links import CHAPTERS, ROOT, lines_of, rows

README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", ROOT / "RESULTS.md", *(chapter / "README.md" for chapter in CHAPTERS)]
BOOK = ROOT.parent / "shared" / "book"
# How many listings each chapter has.
LISTINGS = {1: 13, 2: 29, 3: 30, 4: 17, 5: 17}
ROWS = [row for chapter in CHAPTERS for row in rows(chapter)]


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.name)
def test_every_listing_of_a_chapter_has_its_row(chapter):
    number = int(chapter.name[3])
    there = {row.number for row in rows(chapter)}
    expected = {f"{number}.{listing}" for listing in range(1, LISTINGS[number] + 1)}
    assert expected <= there, sorted(expected - there)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.number or row.shown}-{row.name}")
def test_a_row_leads_to_the_line_where_its_name_stands(row):
    assert lines_of(row.file).get(row.name) == row.line, "python docs/links.py sets the lines anew"


@cache
def modules_of(script):
    """The files of this repository that a script imports, directly or through others."""
    found, waiting = set(), [script]
    while waiting:
        path = waiting.pop()
        if path in found or not path.is_file():
            continue
        found.add(path)
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.ImportFrom):
                names = [node.module, *(f"{node.module}.{name.name}" for name in node.names)]
            elif isinstance(node, ast.Import):
                names = [name.name for name in node.names]
            waiting += [ROOT / (name.replace(".", "/") + ".py") for name in names]
    return found


@pytest.mark.parametrize("command", sorted({(row.command, row.file) for row in ROWS}), ids=str)
def test_the_command_of_a_row_runs_the_file_that_it_names(command):
    words, file = command
    script = ROOT / re.search(r"[\w/]+\.py", words)[0]
    assert script.is_file() and file in modules_of(script)


def anchors_of(page):
    """What a link can lead to within a page: its headings as GitHub names them, and its own anchors."""
    text = page.read_text()
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    named = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    return named | set(re.findall(r'<a id="([\w-]+)">', text))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_somewhere(page):
    for target, anchor in re.findall(r"\]\(([^)#\s]*)#?([^)\s]*)\)", page.read_text()):
        if target.startswith("http"):
            continue
        file = (page.parent / target).resolve() if target else page
        assert file.exists(), f"{target} is not there"
        if file.suffix == ".md" and anchor:
            assert anchor in anchors_of(file), f"{target}#{anchor} leads nowhere"


@pytest.mark.skipif(not BOOK.is_dir(), reason="needs the book's pages")
@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.name)
def test_rows_show_what_the_page_shows(chapter):
    """The first line of each block, and the headings in the language of the pages at hand."""
    blocks = {block["id"]: block["code"].split("\n") for block in json.loads((BOOK / "listings.json").read_text())}
    for row in rows(chapter):
        if row.number in blocks:
            lines = [line.strip() for line in blocks[row.number] if line.strip()]
            shown = re.findall(r"`(.+?)`", row.shown.replace("\\|", "|"))
            assert shown == lines[: len(shown)] and shown, row.number
    pages = {re.sub(r"\s", "", line) for line in (BOOK / "chapters_1_to_5.zh.txt").read_text().splitlines()}
    headings = re.findall(
        r"^\| \*\*(.+?)\*\*(?: · (.+?))? \| \| \| \|$", (chapter / "README.md").read_text(), re.MULTILINE
    )
    assert headings
    for english, chinese in headings:
        assert re.sub(r"\s", "", chinese or english) in pages, english


def test_ci_installs_and_tests_as_the_readme_says():
    ci = (ROOT / ".ci" / "run").read_text()
    install, run = "pip install -r requirements.txt", "python ch04_vision/linknet.py"
    assert f"    {install} && {run}\n" in README and f"    {install} && pytest\n" in README
    assert install in ci.replace("--quiet ", "") and re.search(r"^pytest$", ci, re.MULTILINE)


def test_requirements_are_exact_and_end_with_the_repository_itself():
    *pins, last = (ROOT / "requirements.txt").read_text().split("\n")[:-1]
    assert last == "-e ." and all(re.fullmatch(r"[\w-]+==[\d.]+", pin) for pin in pins)


def test_commands_of_the_readmes_name_flags_that_exist():
    """A flag in a pasted command that the program does not take would end in exit status 2."""
    for page in PAGES:
        text = page.read_text().replace("\\\n", " ")
        for script, rest in re.findall(r"python (\w+/\w+\.py)([^\n`#|]*)", text):
            path = ROOT / script
            assert path.is_file(), f"{page.name}: {script} is not there"
            known = set()
            for module in modules_of(path):
                known |= set(re.findall(r"\"(--[\w-]+)\"", module.read_text()))
            assert set(re.findall(r"(?<= )--[a-z][a-z-]*", rest)) <= known, f"{page.name}: {script}{rest}"


def test_the_top_readme_is_short_and_the_pictures_are_small():
    assert len(README.splitlines()) <= 150
    pictures = [path for path in (ROOT / "docs" / "recorded").glob("*.png")]
    assert all(path.stat().st_size <= 200_000 for path in pictures)
    assert sum(path.stat().st_size for path in pictures) <= 1_500_000
