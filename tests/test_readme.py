"""The README keeps its word: every listing has its row, every row its file and name, and CI runs what it tells."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
ROWS = [
    tuple(cell.strip() for cell in line.strip("|").split(" | "))
    for line in README.splitlines()
    if re.match(r"\| (\d\.\d+|figure|figures|table) ?", line)
]
# How many listings each chapter has.
LISTINGS = {1: 13, 2: 29, 3: 30, 4: 17, 5: 17}


def test_every_listing_of_the_chapters_here_has_a_row():
    ids = {row[0].strip("| ") for row in ROWS}
    expected = {f"{chapter}.{number}" for chapter, count in LISTINGS.items() for number in range(1, count + 1)}
    assert expected <= ids, sorted(expected - ids)


def names_of(path):
    """What a file defines at its top level or in its classes: variables, functions, classes, imports."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.alias):
            names.add((node.asname or node.name).split(".")[0])
    return names


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0].strip("| "))
def test_a_row_points_at_what_is_there(row):
    _, _, place, command = row
    file, name = re.fullmatch(r"`([\w/]+\.py)`, `(\w+)`", place).groups()
    assert name in names_of(ROOT / file)
    scripts = re.findall(r"[\w/]+\.py", command)
    assert scripts and all((ROOT / script).is_file() for script in scripts)


def test_ci_installs_and_tests_as_the_readme_says():
    ci = (ROOT / ".ci" / "run").read_text()
    install, run = "pip install -r requirements.txt", "python ch04_vision/linknet.py"
    assert f"    {install} && {run}\n" in README and f"    {install} && pytest\n" in README
    assert install in ci.replace("--quiet ", "") and re.search(r"^pytest$", ci, re.MULTILINE)


def test_requirements_are_exact_and_end_with_the_repository_itself():
    *pins, last = (ROOT / "requirements.txt").read_text().split("\n")[:-1]
    assert last == "-e ." and all(re.fullmatch(r"[\w-]+==[\d.]+", pin) for pin in pins)


def test_commands_of_the_readme_name_flags_that_exist():
    """A flag in a pasted command that the program does not take would end in exit status 2."""
    from ch04_vision import linknet

    known = set(re.findall(r'"(--[\w-]+)"', Path(linknet.__file__).read_text() + (ROOT / "common/cli.py").read_text()))
    for command in re.findall(r"python ch04_vision/linknet\.py[^\n`]*(?:\\\n[^\n`]*)*", README):
        flags = set(re.findall(r"--[a-z-]+", command.split("#")[0]))
        assert flags <= known, command
