"""The companion site: the READMEs are its index, every tour a page that was run, every other file a page of source.

    python -m sphinx -c docs . docs/_build/html        from the root; then open docs/_build/html/index.html

What a tour printed is kept beside `html`; without docs/_build all tours run anew.
"""

import ast
import os
import re
import shutil
from pathlib import Path

import nbformat
from docutils import nodes
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from sphinx import addnodes

from docs import links

ROOT = Path(__file__).parents[1]
RECORDED = ROOT / "docs" / "recorded"

project = html_title = "PyTorch Deep Learning Hands-On, the code"
root_doc = "README"
extensions = ["myst_nb"]
include_patterns = ["README.md", "RESULTS.md", "ch0*/README.md", "ch0*/**.py", "common/*.py", "data/*.py"]
exclude_patterns = ["**/__init__.py"]
source_suffix = {".md": "myst-nb", ".py": "myst-nb"}
smartquotes = False

html_theme = "furo"
html_static_path = ["site.css"]
html_css_files = ["site.css"]
html_copy_source = html_use_index = False
# The anchors of lines, and those that the READMEs write as HTML, are not known when links are resolved.
suppress_warnings = ["myst.xref_missing"]

# A source file reaches MyST-NB as the notebook that `to_notebook` makes of it.
nb_custom_formats = {".py": ["nbformat.reads", {"as_version": 4}]}
nb_execution_mode = "cache"
nb_execution_in_temp = True
nb_execution_timeout = 600
nb_execution_raise_on_error = True
nb_merge_streams = True
# The kernel runs in a folder of its own and finds the chapters from there.
os.environ["PYTHONPATH"] = str(ROOT)


def prose(doc):
    """A docstring as Markdown: its indented commands are code, its other lines are taken literally."""
    return re.sub(r"^(?! {4}).*$", lambda line: re.sub(r"([*<_])", r"\\\1", line[0]), doc, flags=re.MULTILINE)


def recorded(name):
    """What docs/record.py kept of a program's run: its lines and its pictures, as Markdown."""
    lines = RECORDED / f"{name}.txt"
    if not lines.exists():
        return ""
    pictures = "".join(
        f"![{path.stem}](/{path.relative_to(ROOT)})\n\n" for path in sorted(RECORDED.glob(f"{name}.*.*"))
    )
    return f"## What it prints and draws\n\n~~~text\n{lines.read_text()}~~~\n\n{pictures}"


def to_notebook(path):
    """A tour's cells, to be run, each below its heading; of any other file the description, a run, and the source."""
    text = path.read_text(encoding="utf-8")
    doc = ast.parse(text).body[0]
    place = path.relative_to(ROOT).as_posix()
    title = f"# {re.sub('^ch0[^/]*/', '', place)}\n\n{prose(ast.literal_eval(doc.value))}"
    lines = text.splitlines()
    if not re.search(r"^args = tour\(|^tour\(", text, re.MULTILINE):
        source = f"~~~~~~{{code-block}} python\n:class: source\n{text}\n~~~~~~"
        notebook = new_notebook(cells=[new_markdown_cell(f"{title}\n\n{recorded(path.stem)}## Source\n\n{source}")])
        notebook.metadata["mystnb"] = {"execution_mode": "off"}
        return notebook
    starts = [number for number, line in enumerate(lines) if line.startswith("# %% ")]
    cells = [new_markdown_cell(f"{title}\n\n<a href='{path.stem}.ipynb' download>This page as a notebook</a>")]
    for start, end in zip([doc.end_lineno, *starts], [*starts, len(lines)]):
        if start in starts:
            cells.append(new_markdown_cell("## " + prose(lines[start].removeprefix("# %% "))))
            start += 1
        code = lines[start:end]
        start += next((place for place, line in enumerate(code) if line), 0)
        cell = "\n".join(code).strip("\n")
        if len(cells) == 1:
            # Whence `tour` takes the name of its folder.
            cell, start = f"# python {place}\n{cell}", start - 1
        if cell:
            cells.append(new_code_cell(cell, metadata={"first_line": start + 1}))
    return new_notebook(cells=cells, metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})


def sources(folder):
    """The documents of a folder's source files, those of its rooms last."""
    files = sorted(folder.rglob("*.py"), key=lambda file: (len(file.parts), file))
    return [file.relative_to(ROOT).with_suffix("") for file in files if file.name != "__init__.py"]


def toctree(caption, documents):
    names = "\n".join(f"/{document.as_posix()}" for document in documents)
    return f"\n\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{names}\n```\n"


def read(app, docname, source):
    path = ROOT / app.env.doc2path(docname, base=False)
    if path.suffix == ".py":
        source[0] = nbformat.writes(to_notebook(path))
    elif path.parent != ROOT:
        source[0] += toctree("", sources(path.parent))
    elif docname == root_doc:
        shared = [file for room in ("common", "data") for file in sources(ROOT / room) if len(file.parts) == 2]
        chapters = [chapter.relative_to(ROOT) / "README" for chapter in links.CHAPTERS]
        source[0] += toctree("The book", [*chapters, Path("RESULTS")]) + toctree("What the chapters share", shared)


def link_lines(app, doctree):
    """Gives each line of source an anchor, which links such as `tensors.py#L34` and the search lead to."""
    path = ROOT / app.env.doc2path(app.env.docname, base=False)
    for block in list(doctree.findall(nodes.literal_block)):
        is_cell = "cell_input" in block.parent["classes"]
        if not is_cell and "source" not in block["classes"]:
            continue
        first = block.parent.parent["cell_metadata"]["first_line"] if is_cell else 1
        block["highlight_args"] = {"linespans": "L", "linenostart": first}
        lines = [(line.strip(), number) for number, line in enumerate(block.astext().splitlines(), first)]
        in_block = range(first, first + len(lines))
        lines += [line for line in listed(path) if line[1] in in_block]
        entries = [("single", line, f"L-{number}", "main", None) for line, number in lines if len(line) > 2]
        block.parent.insert(0, addnodes.index(entries=[entry for entry in entries if ";" not in entry[1]]))
    for link in doctree.findall(addnodes.pending_xref):
        link["reftargetid"] = re.sub(r"^L(\d+)$", r"L-\1", link.get("reftargetid") or "") or None
    for image in doctree.findall(nodes.image):
        section = image
        while not isinstance(section, nodes.section | nodes.document):
            section = section.parent
        image.setdefault("alt", section[0].astext())


def listed(path):
    """What the reader of the page may type to come to a line of this file: its code as printed, and its number."""
    if not path.parts[-2].startswith("ch0"):
        return
    for row in links.rows(ROOT / path.relative_to(ROOT).parts[0]):
        if row.file == path:
            for shown in [*re.findall("`([^`]+)`", row.shown), row.number]:
                yield shown.removeprefix(">>> "), row.line


def finish(app, error):
    if not error:
        executed = app.outdir.parent / "jupyter_execute"
        for page in executed.rglob("*.ipynb"):
            shutil.copy(page, app.outdir / page.relative_to(executed))
        shutil.copy(app.outdir / "README.html", app.outdir / "index.html")


def setup(app):
    app.connect("source-read", read)
    app.connect("doctree-read", link_lines)
    app.connect("build-finished", finish)
