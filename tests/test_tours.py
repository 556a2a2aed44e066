"""What `tour` does for every tour: headings, refusals, streams, processes; and that each tour is a notebook, too."""

import ast
import contextlib
import io
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from common import tours

ROOT = Path(__file__).parents[1]
TOURS = sorted(
    path for path in ROOT.glob("ch0*/*.py") if re.search(r"^(args = )?tour\(", path.read_text(), re.MULTILINE)
)

SMALL = '''"""A small tour.

    python ch00_none/small_tour.py
"""

import contextlib
import io

from common.errors import UserError
from common.tours import tour

args = tour(__doc__)


# %% 1 A function
def show(what):
    print("showing", what)


# %% 2 Two lines, one of them in pieces
show("one")
print("a", "b", end="\\n")

# %% 3 What is caught is not printed, nor a heading into it
with contextlib.redirect_stdout(io.StringIO()) as caught:
    show("two")

# %% 4 The name that 2 prints: café
print(len(caught.getvalue()), "é")
(args.out / "reached.txt").touch()
if args.out.name == "mistake":
    raise UserError("street.png: no picture")
if args.out.name == "interrupted":
    raise KeyboardInterrupt

# %% 5 Silent at the end
end = 1
'''
PRINTED = """# 1 A function

# 2 Two lines, one of them in pieces
showing one
a b

# 3 What is caught is not printed, nor a heading into it

# 4 The name that 2 prints: café
12 é

# 5 Silent at the end
"""


@pytest.fixture
def small(tmp_path):
    path = tmp_path / "small_tour.py"
    path.write_text(SMALL, encoding="utf-8")
    return path


def run(path, *flags, **options):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"} | options.pop("env", {})
    options = {"capture_output": True, "text": True, "encoding": "utf-8"} | options
    return subprocess.run([sys.executable, path, *map(str, flags)], cwd=path.parent, env=environment, **options)


def test_a_tour_pays_for_torch_alone():
    heavy = "[name for name in ('ignite', 'torchvision', 'matplotlib', 'torchtext') if name in sys.modules]"
    seen = subprocess.run(
        [sys.executable, "-c", f"import sys, common.tours; print({heavy})"], cwd=ROOT, capture_output=True, text=True
    )
    assert seen.stdout == "[]\n", seen.stderr


def test_headings_stand_before_what_their_cells_print_and_never_twice(small, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [str(small), "--out", str(small.parent / "out")])
    for _ in range(2):
        runpy.run_path(str(small), run_name="__main__")
        sys.stdout.flush()
        assert capsys.readouterr().out == PRINTED
    with contextlib.redirect_stdout(io.StringIO()) as caught:
        runpy.run_path(str(small), run_name="__main__")
        sys.stdout.flush()
    assert caught.getvalue() == PRINTED and capsys.readouterr().out == ""


def test_a_mistake_ends_the_tour_with_status_2_and_a_line(small):
    seen = run(small, "--out", "mistake")
    assert (seen.returncode, seen.stderr) == (2, "small_tour.py: street.png: no picture\n")
    assert seen.stdout == PRINTED.partition("\n# 5")[0]


def test_an_interrupted_tour_says_so(monkeypatch, capsys):
    with pytest.raises(SystemExit) as end:
        tours._end(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert end.value.code == 130 and capsys.readouterr().err == "interrupted\n"


def test_an_out_that_is_a_file_is_refused(small, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [str(small), "--out", str(small)])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(small), run_name="__main__")
    assert end.value.code == 2
    told = f"small_tour.py: --out {small}: File exists; expected a folder to write to\n"
    assert capsys.readouterr() == ("", told)


@pytest.mark.skipif(os.name != "posix", reason="needs a shell")
@pytest.mark.parametrize("redirection", ["2>&1 | head -n 1", ">&- 2>&-"])
def test_a_tour_outlives_its_streams(small, redirection):
    command = f"{{ {sys.executable} -u small_tour.py; echo $? > status.txt; }} {redirection}"
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}
    seen = subprocess.run(command, shell=True, cwd=small.parent, env=environment, capture_output=True, text=True)
    assert (small.parent / "status.txt").read_text() == "0\n" and seen.stderr == ""
    assert (small.parent / "runs" / "small_tour" / "reached.txt").exists()
    assert seen.stdout == ("# 1 A function\n" if "head" in redirection else "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a disk that is always full")
@pytest.mark.parametrize("buffering", ["", "-u"], ids=["told at its end", "told at once"])
def test_an_output_on_a_full_disk_ends_a_tour_in_a_line(small, buffering):
    command = f"{sys.executable} {buffering} small_tour.py > /dev/full"
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": ""}
    seen = subprocess.run(command, shell=True, cwd=small.parent, env=environment, capture_output=True, text=True)
    assert (seen.returncode, seen.stderr) == (2, "small_tour.py: standard output: No space left on device\n")


def test_letters_that_the_output_lacks_are_question_marks_and_no_screen_is_needed(small):
    small.write_text(SMALL + "import matplotlib.pyplot as plt\nprint(plt.figure().canvas)\n", encoding="utf-8")
    seen = run(small, env={"PYTHONIOENCODING": "ascii", "MPLBACKEND": "TkAgg", "DISPLAY": ""})
    assert seen.stdout.startswith(PRINTED.replace("é", "?")) and "backend_agg" in seen.stdout, seen.stderr


def test_a_tour_in_a_process_of_its_own_which_a_spawned_one_does_not_run_again(small):
    pool = "import math, multiprocessing\nwith multiprocessing.get_context('spawn').Pool(1) as pool:\n"
    small.write_text(f"{SMALL}{pool}    print(pool.map(math.sqrt, [4.0]))\n", encoding="utf-8")
    seen = run(small)
    assert (seen.returncode, seen.stderr, seen.stdout) == (0, "", PRINTED + "[2.0]\n")
    assert (small.parent / "runs" / "small_tour" / "reached.txt").exists()


def test_in_a_notebook_pictures_stand_below_their_cell_and_headings_are_not_printed(small, monkeypatch):
    jupytext, nbclient = pytest.importorskip("jupytext"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    save = "from PIL import Image\nImage.new('L', (3, 2)).save(args.out / 'grey.png')\n"
    notebook = jupytext.reads(f"{SMALL}\n# %% 6 A picture\n{save}\n# %% 7 None\nprint(args.out)\n", fmt="py:percent")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    nbclient.NotebookClient(notebook, kernel_name="python3", resources={"metadata": {"path": small.parent}}).execute()
    outputs = [cell.outputs for cell in notebook.cells]
    printed = "".join(output.text for cell in outputs for output in cell if output.output_type == "stream")
    assert printed == "showing one\na b\n12 é\nruns/small_tour\n"
    pictures = [[output for output in cell if "image/png" in output.get("data", {})] for cell in outputs]
    assert [len(cell) for cell in pictures] == [0, 0, 0, 0, 0, 0, 1, 0]


@pytest.mark.parametrize("path", TOURS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_tour_is_made_of_cells(path):
    text = path.read_text(encoding="utf-8")
    assert not re.findall(r"^([ \t]+# %%.*|# %%\s*)$", text, re.MULTILINE), (
        "a cell within a block, or without a heading"
    )
    assert "__file__" not in text and "__main__" not in text, "a notebook has neither"
    cells = re.split(r"^# %% .*$", text, flags=re.MULTILINE)
    assert len(cells) > 1
    for cell in cells:
        ast.parse(cell)
