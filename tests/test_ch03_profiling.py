"""Listings 3.18 and 3.19: the profiler's tables, trace and memory, and the bottleneck tool on scripts of all kinds."""

import contextlib
import io
import json
import pstats
import re
import runpy
import sys
from pathlib import Path

import pytest
import torch
from matplotlib.figure import Figure

from ch03_workflow import bottleneck
from ch03_workflow.pictures.timeline import draw_timeline
from common.cli import UserError

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def tour(tmp_path_factory):
    """What the profiler's tour leaves behind: its variables."""
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()):
        out = tmp_path_factory.mktemp("profiler_tour")
        patch.setattr(sys, "argv", ["profiler_tour.py", "--device", "cpu", "--out", str(out)])
        return runpy.run_path(str(ROOT / "ch03_workflow" / "profiler_tour.py"), run_name="__main__")


def rows(table):
    """A printed table of the profiler: names and average CPU times in microseconds."""
    found = re.findall(r"^ *(\S+) .*?([\d.]+)(us|ms|s)  +\d+ *$", table, re.MULTILINE)
    return [(name, float(number) * {"us": 1, "ms": 1e3, "s": 1e6}[unit]) for name, number, unit in found]


def test_3_18_both_tables_and_what_is_grouped(tour):
    every_call, grouped = [rows(str(tour[name])) for name in ("prof", "averages")]
    names = [name for name, _ in every_call]
    assert names.count("aten::linear") == names.count("aten::addmm") == 2 and names.count("aten::sigmoid") == 1
    assert {name: names.count(name) for name in names} == tour["calls"]
    assert sorted(name for name, _ in grouped) == sorted(set(names))
    assert tour["calls"]["aten::linear"] == 2


def test_3_18_the_table_by_cpu_time_descends(tour):
    times = [time for _, time in rows(tour["by_cpu_time"])]
    assert len(times) == sum(tour["calls"].values()) and times == sorted(times, reverse=True) and times[0] > times[-1]


def test_record_function_names_the_parts_of_two_steps(tour):
    assert {name: row.count for name, row in tour["parts"].items()} == {"forward": 2, "backward": 2, "update": 2}
    (step,) = [row for row in tour["profiler"].key_averages() if row.key.startswith("ProfilerStep")]
    assert 0 < tour["total"] <= step.cpu_time_total


def test_memory_is_that_of_the_tensors(tour):
    assert tour["largest"] == tour["x_"].shape[0] * 100 * 4 == 400_000
    scores = tour["scores"].numel() * 4
    assert tour["kept"] == {"forward": scores + tour["largest"], "forward without gradients": scores}


def test_the_trace_is_of_the_pass_that_the_tables_show(tour):
    trace = json.loads(tour["trace_file"].read_text())["traceEvents"]
    names = [event["name"] for event in trace if event.get("cat") == "cpu_op"]
    assert sorted(names) == sorted(event.name for event in tour["prof"].function_events)
    assert names.count("aten::linear") == 2 and not any("Backward" in name for name in names)


def texts(figure):
    return [label.get_text() for label in figure.axes[0].get_yticklabels()]


def drawn(monkeypatch, *arguments):
    """The figure that `draw_timeline` would save."""
    figures = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, path: figures.append(figure))
    draw_timeline(*arguments)
    return figures[0]


def test_every_bar_of_figure_3_4_has_its_name_and_its_time(tour, monkeypatch):
    assert (tour["args"].out / "figure_3_4.png").stat().st_size > 10_000
    events = tour["prof"].function_events
    figure = drawn(monkeypatch, events, None, "pass")
    names = texts(figure)
    assert [name.strip() for name in names] == [event.name for event in events] and len(names) == len(events) > 15
    assert names[:3] == ["aten::linear", "    aten::t", "        aten::transpose"]
    (bars,) = figure.axes[0].containers
    for bar, event in zip(bars, events, strict=True):
        assert bar.get_x() == pytest.approx((event.time_range.start - events[0].time_range.start) / 1000)
        assert bar.get_width() == pytest.approx(event.time_range.elapsed_us() / 1000)


def test_the_training_step_has_its_parts_and_nothing_of_another_step(tour, monkeypatch):
    names = texts(drawn(monkeypatch, tour["in_last_step"], None, "step", 2))
    assert [name.strip() for name in names if name.startswith("    ") and name[4] != " "] == list(tour["parts"])
    # Two layers: linear in the forward pass, its gradient in the backward pass, and nothing deeper.
    assert names.count(8 * " " + "aten::linear") == 2 and names.count(8 * " " + "AddmmBackward0") == 2
    assert not any("aten::addmm" in name for name in names) and len(names) == names.index("    update") + 2


# 3.19


@pytest.fixture
def profile(tmp_path, monkeypatch, capsys):
    """Profiles a script with the given text; returns exit status, standard output and standard error."""
    monkeypatch.setattr(
        bottleneck.collect_env, "get_pretty_env_info", lambda: f"PyTorch version: 0\nVulnerability Mds: no\n{200 * 'x'}"
    )
    script = tmp_path / "scripts" / "work.py"
    script.parent.mkdir()

    def run(text, *arguments, own=()):
        script.write_text(text)
        with pytest.raises(SystemExit) as end:
            bottleneck.main(["--out", str(tmp_path / "out"), *own, str(script), *arguments])
        return end.value.code, *capsys.readouterr()

    return run


def test_3_19_both_profiles_of_a_script(profile, tmp_path):
    text = "import torch\ndef busy():\n    return torch.ones(50, 50) @ torch.ones(50, 50)\nfor _ in range(7): busy()"
    before = list(sys.argv), list(sys.path)
    status, printed, complaint = profile(text)
    assert (status, complaint) == (0, "") and (sys.argv, sys.path) == before
    titles = [
        "Environment",
        "first run, under torch.profiler",
        "second run, under cProfile",
        "CPU time",
        "cProfile: the 15",
    ]
    places = [printed.index(title) for title in titles]
    assert places == sorted(places) and "PyTorch version: 0" in printed
    assert f"\n{100 * 'x'}\n" in printed and "Vulnerability" not in printed
    # Each run made the seven calls once, so they are seven in the one table and seven in the other.
    assert re.search(r"aten::mm .* 7 *$", printed, re.MULTILINE)
    calls = {key[2]: value[1] for key, value in pstats.Stats(str(tmp_path / "out/cprofile.pstats")).stats.items()}
    assert calls["busy"] == 7
    names = [event["name"] for event in json.loads((tmp_path / "out/trace.json").read_text())["traceEvents"]]
    assert names.count("aten::mm") == 7


def test_no_figure_is_saved_while_the_time_is_taken(profile, tmp_path):
    picture = tmp_path / "picture.png"
    text = f"""
from matplotlib.figure import Figure
def outer():
    Figure().savefig({str(picture)!r})
    return sum(range(1000))
def main(): outer()
main()"""
    assert profile(text)[0] == 0 and not picture.exists()
    functions = pstats.Stats(str(tmp_path / "out/cprofile.pstats")).stats
    calls = {name: value[1] for (_, _, name), value in functions.items()}
    # The frames that were open when the figure would have been saved are all there.
    assert calls["main"] == calls["outer"] == 1 and "print_png" not in calls
    Figure().savefig(picture)  # and afterwards figures are saved again
    assert picture.exists()


def test_the_script_gets_its_own_flags_and_its_own_folder(profile, tmp_path):
    text = "import sys; print(sys.argv[1:], __name__, __file__ == sys.argv[0], sys.path[0])"
    status, printed, _ = profile(text, "--out", "there", "--rows", "7", "-h", "--", "x", own=["--rows", "3"])
    line = f"['--out', 'there', '--rows', '7', '-h', '--', 'x'] __main__ True {tmp_path / 'scripts'}\n"
    assert status == 0 and printed.count(line) == 2
    assert "cProfile: the 3 functions" in printed


@pytest.mark.parametrize(
    ("text", "expected", "told"),
    [
        ("raise SystemExit", 0, ""),
        ("import sys; sys.exit(3)", 3, ""),
        ("import sys; sys.exit('no data')", 1, "no data\n"),
        ("raise KeyboardInterrupt", 130, "interrupted\n"),
        ("def f():\n    1 / 0\nf()", 1, "ZeroDivisionError: division by zero\n"),
        ("print('a'", 1, "SyntaxError: '(' was never closed\n"),
    ],
    ids=["exit", "status", "text", "interrupt", "exception", "syntax"],
)
def test_the_scripts_exit_status_is_passed_on(profile, text, expected, told):
    status, printed, complaint = profile(text)
    assert status == expected and told in complaint
    assert ("not run again" in complaint) == (expected != 0) and ("under cProfile" in printed) == (expected == 0)
    if "f()" in text:  # the traceback begins in the script, as without the tool
        assert complaint.startswith("Traceback (most recent call last):\n") and complaint.count("  File ") == 2


def test_a_failure_of_the_second_run_alone_is_passed_on_too(profile, tmp_path):
    text = f"import pathlib, sys\np = pathlib.Path({str(tmp_path / 'ran')!r})\nif p.exists(): sys.exit(5)\np.touch()"
    status, printed, _ = profile(text)
    assert status == 5 and "cProfile: the" in printed and "ended with status 5" in printed


def test_a_refused_program_ends_with_its_status(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(bottleneck.collect_env, "get_pretty_env_info", str)
    fizzbuzz = str(ROOT / "ch02_simple_nn" / "fizzbuzz.py")
    with pytest.raises(SystemExit) as end:
        bottleneck.main(["--out", str(tmp_path), fizzbuzz, "--epochs", "0"])
    assert end.value.code == 2 and "'0' is not a whole number from 1" in capsys.readouterr().err


def test_the_command_of_the_chapter(capsys, tmp_path):
    fizzbuzz = str(ROOT / "ch02_simple_nn" / "fizzbuzz.py")
    arguments = ["--epochs", "2", "--device", "cpu", "--out", str(tmp_path / "fizzbuzz")]
    with pytest.raises(SystemExit) as end:
        bottleneck.main(["--out", str(tmp_path), fizzbuzz, *arguments])
    printed = capsys.readouterr().out
    assert end.value.code == 0 and printed.count("of 100 unseen numbers right") == 2
    assert f"PyTorch version: {torch.__version__}" in printed and "Python version" in printed
    # 14 full batches and a rest make 15 steps an epoch, and one pass over the unseen numbers; a last one at the end.
    (linear,) = [row for row in printed.splitlines() if "aten::addmm " in row]
    assert linear.split()[-1] == str(2 * (2 * 16 + 1))
    functions = pstats.Stats(str(tmp_path / "cprofile.pstats")).stats
    # Some versions of Python lose the functions that were running: then a line says so.
    calls = [calls for (file, _, name), (calls, *_) in functions.items() if (file, name) == (fizzbuzz, "train")]
    assert calls == ([] if "has lost the functions" in printed else [1])


def test_what_is_no_script_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"none\.py: no such file; expected a Python script"):
        bottleneck.main(["--out", str(tmp_path), str(tmp_path / "none.py")])
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"--out .*file: File exists"):
        bottleneck.main(["--out", str(tmp_path / "file"), __file__])
