"""The companion site: the READMEs are its index, every tour a page that was run, every other file a page of source.

    python -m sphinx -c docs . docs/_build/html        from the root; then open docs/_build/html/index.html

A tour runs again when its own lines have changed; without docs/_build all do.
"""

import ast
import copy
import os
import re
import shutil
from pathlib import Path

import nbformat
from docutils import nodes
from myst_nb.core import render
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from sphinx import addnodes

from docs import links
from docs.links import ROOT

RECORDED = ROOT / "docs" / "recorded"

project = html_title = "PyTorch Deep Learning Hands-On, the code"
root_doc = "README"
extensions = ["myst_nb"]
include_patterns = ["README.md", "RESULTS.md", "ch0*/README.md", "ch0*/**.py", "common/*.py", "data/*.py"]
exclude_patterns = ["**/__init__.py"]
source_suffix = {".md": "myst-nb", ".py": "myst-nb"}
smartquotes = html_copy_source = html_use_index = False
# The anchors of lines, and those that the READMEs write as HTML, are not known when links are resolved.
suppress_warnings = ["myst.xref_missing"]
html_theme = "furo"
html_static_path = html_css_files = ["site.css"]
# A source file reaches MyST-NB as the notebook that `to_notebook` makes of it, and runs in a folder of its own.
nb_custom_formats = {".py": ["nbformat.reads", {"as_version": 4}]}
nb_execution_mode = "force"
nb_execution_in_temp = nb_execution_raise_on_error = nb_merge_streams = True
nb_execution_timeout = 600
os.environ["PYTHONPATH"] = str(ROOT)
# Merging what a cell prints changes the outputs themselves: the notebooks would have the pieces and the whole.
merge_streams = render.coalesce_streams
render.coalesce_streams = lambda outputs: merge_streams(copy.deepcopy(outputs))


def prose(doc):
    """A docstring as Markdown: its indented commands are code, its other lines are taken literally."""
    return re.sub(r"(?m)(^ {4}.*$|`[^`]*`)|([*<_])", lambda found: found[1] or "\\" + found[2], doc)


def recorded(name):
    """What docs/record.py kept of a program's run: its lines and its pictures, as Markdown."""
    pictures = "".join(f"![{path.stem}](/docs/recorded/{path.name})\n\n" for path in RECORDED.glob(f"{name}.*.png"))
    lines = "".join(f"~~~text\n{path.read_text()}~~~\n\n" for path in RECORDED.glob(f"{name}.txt"))
    return lines and f"## What it prints and draws\n\n{lines}{pictures}"


def to_notebook(path):
    """A tour's cells, to be run, each below its heading; of any other file the description, a run, and the source."""
    text, place = path.read_text(encoding="utf-8"), path.relative_to(ROOT).as_posix()
    doc = ast.parse(text).body[0]
    title = f"# {re.sub('^ch0[^/]*/', '', place)}\n\n{prose(doc.value.value)}"
    if not re.search(r"^(args = )?tour\(", text, re.MULTILINE):
        source = f"## Source\n\n~~~~~~{{code-block}} python\n:class: source\n{text}\n~~~~~~"
        notebook = new_notebook(cells=[new_markdown_cell(f"{title}\n\n{recorded(path.stem)}{source}")])
        notebook.metadata["mystnb"] = {"execution_mode": "off"}
        return notebook
    cells = [new_markdown_cell(f"{title}\n\n<a href='{path.stem}.ipynb' download>This page as a notebook</a>")]
    # `tour` takes the name of its folder from the first cell.
    lines = [*[""] * (doc.end_lineno - 1), f"# python {place}", *text.splitlines()[doc.end_lineno :]]
    starts = [number for number, line in enumerate(lines) if line.startswith("# %% ")]
    for start, end in zip([0, *starts], [*starts, len(lines)]):
        code = lines[start:end]
        if start:
            cells.append(new_markdown_cell("## " + prose(code[0].removeprefix("# %% "))))
            code[0] = ""
        first = start + 1 + next(number for number, line in enumerate(code) if line)
        cells.append(new_code_cell("\n".join(code).strip("\n"), metadata={"first_line": first}))
    return new_notebook(cells=cells, metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})


def toctree(folder, pattern, caption=""):
    files = sorted(folder.glob(pattern), key=lambda file: (len(file.parts), file))
    names = "\n".join(f"/{file.relative_to(ROOT)}" for file in files if file.name != "__init__.py")
    return f"\n\n```{{toctree}}\n:hidden:\n{caption and ':caption: ' + caption}\n\n{names}\n```\n"


def read(app, docname, source):
    path = Path(app.env.doc2path(docname))
    if path.suffix == ".py":
        source[0] = nbformat.writes(to_notebook(path))
    elif path.parent != ROOT:
        source[0] += toctree(path.parent, "**/*.py")
    elif docname == root_doc:
        source[0] += toctree(ROOT, "ch0*/README.md", "The book") + toctree(ROOT, "RESULTS.md")
        source[0] += toctree(ROOT, "common/*.py", "What the chapters share") + toctree(ROOT, "data/*.py")


def listed(path):
    """What the reader of a page may type to come to a line of this file: the code as printed, and its number."""
    for row in [row for chapter in links.CHAPTERS for row in links.rows(chapter) if row.file == path]:
        yield from ((shown.removeprefix(">>> "), row.line) for shown in re.findall("`([^`]+)`", row.shown))
        yield row.number, row.line


def link_lines(app, doctree):
    """Gives each line of source an anchor, which links such as `tensors.py#L34` and the search lead to."""
    printed = list(listed(Path(app.env.doc2path(app.env.docname))))
    for block in list(doctree.findall(nodes.literal_block)):
        cell = block.parent.parent
        if "source" in block["classes"] or "cell_input" in block.parent["classes"]:
            first = cell.get("cell_metadata", {}).get("first_line", 1)
            block["highlight_args"] = {"linespans": "L", "linenostart": first}
            lines = [(line.strip(), number) for number, line in enumerate(block.astext().splitlines(), first)]
            lines += [line for line in printed if first <= line[1] < first + len(lines)]
            lines = [line for line in lines if len(line[0]) > 2 and ";" not in line[0]]
            entries = [("single", line, f"L-{number}", "main", None) for line, number in lines]
            block.parent.insert(0, addnodes.index(entries=entries))
    for link in doctree.findall(addnodes.pending_xref):
        link["reftargetid"] = re.sub(r"^L(\d+)$", r"L-\1", link.get("reftargetid") or "") or None
    for section in doctree.findall(nodes.section):
        for image in section.findall(nodes.image):
            image["alt"] = image.get("alt") or section[0].astext()


def finish(app, error):
    if not error:
        executed = app.outdir.parent / "jupyter_execute"
        for page in executed.rglob("*.ipynb"):
            shutil.copy(page, app.outdir / page.relative_to(executed))
        shutil.copy(app.outdir / "README.html", app.outdir / "index.html")
        # Marking what was searched for stumbles over the icons of the theme, and the line is marked already.
        script = app.outdir / "_static" / "sphinx_highlight.js"
        script.write_text(script.read_text().replace("HIGHLIGHT_ENABLED = true", "HIGHLIGHT_ENABLED = false"))


def setup(app):
    app.connect("source-read", read)
    app.connect("doctree-read", link_lines)
    app.connect("build-finished", finish)
