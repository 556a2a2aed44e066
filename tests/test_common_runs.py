"""A run owns its folder: nothing of another run is mixed in, and whatever it reads back is checked."""

import importlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from common import checkpoints, cli, errors, report
from common.cli import UserError
from common.pictures import save_confusion
from tests import tiny_program
from tests.test_common_training import ENVIRONMENT, ROOT, TINY, finish, run_here, start, wait_for


@pytest.fixture
def trained(tmp_path):
    """The folder of a short run."""
    assert run_here(tmp_path / "run", "--epochs", 2) == 0
    return tmp_path / "run"


def refused(capsys, out, *flags):
    """Runs the tiny program, which has to end with exit status 2, and returns its one line."""
    capsys.readouterr()
    assert run_here(out, *flags) == 2
    err = capsys.readouterr().err.strip()
    assert len(err.splitlines()) <= 2
    return err


def test_a_new_run_killed_in_its_first_epoch_leaves_nothing_of_the_older_one_to_go_on_from(trained, capsys):
    id_before = checkpoints.read(trained / "best.pt")["run"]["id"]
    killed = start(trained, "--epochs", 2, "--seed", 7, "--pause", 0.2)
    config = trained / "config.json"  # for a moment there is none
    wait_for(lambda: config.exists() and json.loads(config.read_text())["seed"] == 7, killed)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert "holds no whole checkpoint" in refused(capsys, trained, "--resume", "--seed", 7, "--epochs", 2)
    assert "best.pt: no such checkpoint" in refused(capsys, trained, "--evaluate", "val")
    # The older one is put aside, whole.
    assert checkpoints.read(trained / "earlier" / "best.pt")["run"]["id"] == id_before
    assert run_here(trained, "--evaluate", "val", "--checkpoint", trained / "earlier" / "best.pt") == 0


def test_killed_before_a_file_operation_a_run_resumes_to_equal_weights():
    """The script does it more often: `python tests/kill_before_writing.py`."""
    command = [sys.executable, "tests/kill_before_writing.py", "--every", "11"]
    script = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, timeout=300)
    assert script.returncode == 0, script.stdout + script.stderr
    kills = re.findall(r": (\d+) of \1 killed runs", script.stdout, re.MULTILINE)
    assert len(kills) == 2 and all(int(number) >= 2 for number in kills)


def test_one_id_stands_in_the_configuration_and_in_every_checkpoint(trained):
    ids = {checkpoints.read(trained / name)["run"]["id"] for name in ("best.pt", "last.pt", "previous.pt")}
    assert ids == {json.loads((trained / "config.json").read_text())["run"]}


@pytest.mark.parametrize("name", ["best.pt", "last.pt"])
def test_a_file_of_another_run_is_refused(name, trained, tmp_path, capsys):
    assert run_here(tmp_path / "other", "--epochs", 2, "--seed", 5) == 0
    os.replace(tmp_path / "other" / name, trained / name)
    flags = ["--resume", "--epochs", 2] + ["--seed", 5] * (name == "last.pt")
    assert "of two runs" in refused(capsys, trained, *flags)
    if name == "best.pt":
        assert "config.json: of run" in refused(capsys, trained, "--evaluate", "val")


def test_the_network_is_the_one_that_was_trained(tmp_path, capsys):
    assert run_here(tmp_path, "--epochs", 1, "--hidden", 5) == 0
    assert run_here(tmp_path, "--evaluate", "val") == 0
    assert "--hidden 9: " in refused(capsys, tmp_path, "--evaluate", "val", "--hidden", 9)


@pytest.mark.parametrize("content", [b"", b'{"se', b"[]", b"{}", b"\xff\xfe", b"[" * 100_000])
def test_a_damaged_configuration_is_named(content, trained, capsys):
    (trained / "config.json").write_bytes(content)
    assert "config.json: damaged" in refused(capsys, trained, "--resume", "--epochs", 2)
    assert "config.json: damaged" in refused(capsys, trained, "--evaluate", "val")


def test_figures_and_configuration_that_are_gone_stop_nothing(trained):
    for name in ("metrics.jsonl", "config.json", "summary.json"):
        (trained / name).unlink()
    assert run_here(trained, "--resume", "--epochs", 2) == 0
    assert run_here(trained, "--evaluate", "val") == 0
    assert [json.loads(line)["epoch"] for line in (trained / "metrics.jsonl").read_text().splitlines()] == [1, 2]


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 half of it", b"not a zip"])
def test_a_last_checkpoint_without_sense_gives_way_to_the_one_before(content, trained, capsys):
    (trained / "last.pt").write_bytes(content)
    assert run_here(trained, "--resume", "--epochs", 2) == 0
    out, err = capsys.readouterr()
    assert "last.pt: not a whole checkpoint" in err and "previous.pt at iteration 6" in out


@pytest.mark.parametrize(
    "state",
    [
        torch.ones(2),
        {},
        {"model": {}},
        {"run": 3, "model": {}},
        {"run": {"id": 1, "config": {}, "belongs": {}}, "model": {}},
        [1, 2],
    ],
    ids=str,
)
def test_what_torch_saved_but_no_program_here_is_refused(state, trained, capsys):
    torch.save(state, trained / "best.pt")
    assert "best.pt: no checkpoint of this repository" in refused(capsys, trained, "--evaluate", "val")


def test_plain_torch_load_reads_every_checkpoint(trained):
    registered = {each.__module__.partition(".")[0] for each in torch.serialization.get_safe_globals()}
    assert registered <= {"torch", "builtins", "traceback"}, "types of others would load here, and for no reader"
    assert torch.load(trained / "best.pt").keys() == {"model", "run"}
    assert torch.load(trained / "last.pt").keys() > {"model", "run"}


def test_a_second_run_in_the_same_folder_is_refused_while_the_first_lives(tmp_path, capsys):
    first = start(tmp_path, "--pause", 0.2)
    wait_for(lambda: (tmp_path / "config.json").exists(), first)
    began = time.monotonic()
    assert f"process {first.pid} is training there" in refused(capsys, tmp_path, "--seed", 3)
    assert time.monotonic() - began < 30
    first.send_signal(signal.SIGKILL)
    first.communicate()
    assert run_here(tmp_path, "--epochs", 1) == 0, "the lock died with its process"


def test_scoring_writes_beside_the_summary(trained):
    before = (trained / "summary.json").read_text()
    folder = report.evaluation(trained, "../my words.jsonl", {"accuracy": 0.5})
    assert folder == trained / "evaluation_my_words.jsonl" and folder.is_dir()
    assert json.loads((trained / "evaluation_my_words.jsonl.json").read_text())["accuracy"] == 0.5
    assert (trained / "summary.json").read_text() == before
    assert len(report.evaluation(trained, 70 * "\U00020000" + ".jsonl", {}).name.encode()) < 250


def test_a_backend_of_a_notebooks_environment_costs_no_picture():
    """Jupyter leaves its own in the environment of what is started from it."""
    code = "from common import cli; import matplotlib.pyplot as plt; cli.run(lambda: plt.figure().canvas.draw())"
    environment = ENVIRONMENT | {"MPLBACKEND": "module://no_such.backend"}
    assert subprocess.run([sys.executable, "-c", code], env=environment, cwd=ROOT, timeout=60).returncode == 0


def test_an_out_that_is_a_file_is_refused(tmp_path, capsys):
    (tmp_path / "file").write_text("mine")
    assert "file: not written (File exists)" in refused(capsys, tmp_path / "file")


def test_a_full_disk_costs_a_line_whatever_is_written(tmp_path, monkeypatch, capsys):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_text", full)
    with pytest.raises(UserError, match=r"summary.json: not written \(No space left on device\)"):
        report.write_json(tmp_path / "summary.json", {})
    with pytest.raises(UserError, match=r"metrics.jsonl: not written"):
        report.write_epochs(tmp_path, [])
    with pytest.raises(UserError, match=r"picture.png: not written"), report.drawing(tmp_path / "picture.png"):
        full()


def open_it(path):
    open(path, "w").close()


@pytest.mark.parametrize(
    ("fail", "line"),
    [
        (lambda: open_it("/" + 300 * "n"), f"/{300 * 'n'}: File name too long"),
        (lambda: os.listdir(__file__), f"{__file__}: Not a directory"),
        (lambda: open_it(os.path.dirname(__file__)), f"{os.path.dirname(__file__)}: Is a directory"),
        (lambda: torch.empty(1 << 50), "not enough memory (tried to allocate 4503599627370496 bytes); try a smaller"),
        (lambda: bytes(1 << 62), "not enough memory; try a smaller batch or a smaller network"),
    ],
    ids=["a long name", "no folder", "a folder", "a large tensor", "memory"],
)
def test_what_lies_outside_the_program_is_told_in_a_line(fail, line, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["a/program.py"])
    with pytest.raises(SystemExit) as end:
        cli.run(fail)
    assert end.value.code == 2 and capsys.readouterr().err.startswith(f"program.py: {line}")
    with pytest.raises(FileNotFoundError):  # more often a mistake in the program, which a traceback finds
        cli.run(lambda: os.listdir("nowhere"))


def test_a_folder_that_torch_cannot_name_is_told(monkeypatch):
    """In the locale C, a folder with other letters than ASCII's: xor_static_graph.py."""
    error = RuntimeError(
        "Unable to cast Python instance of type <class 'str'> to C++ type '?' (#define PYBIND11_DETAIL"
    )
    assert errors.told(error) is None
    monkeypatch.setattr(errors, "HERE", Path("/home/" + "Übung".encode().decode("ascii", "surrogateescape")))
    assert errors.told(error).startswith("/home/Übung: a folder whose name torch cannot write")


def test_a_picture_that_cannot_be_drawn_costs_a_line_and_not_the_run(tmp_path, capsys):
    with report.drawing(tmp_path / "picture.png"):
        raise ValueError("of two\nlines")
    assert capsys.readouterr().err == f"{tmp_path / 'picture.png'}: not drawn (ValueError: of two lines)\n"


def test_words_with_dollars_are_drawn_as_they_are(tmp_path, capsys):
    """Of two dollars in a word matplotlib makes a formula, and of `$^$` an error."""
    losses = [{"epoch": 1, "loss": 0.5, "$^$ score": 0.5}]
    report.finish(tmp_path, "a $^$ picture", losses, accuracy=0.5)
    with report.drawing(tmp_path / "confusion.png") as path:
        save_confusion(torch.eye(2), ["$^$", "a$b$"], path)
    assert (tmp_path / "curves.png").exists() and path.exists() and capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (["--seed", "4294967296"], "from 0 to 4294967295"),
        (["--epochs", "1000000000000"], "from 1 to 1000000"),
        (["--workers", "99999"], "is not a whole number from 0 to"),
    ],
)
def test_numbers_out_of_range_are_refused_with_the_range(flags, complaint, tmp_path, capsys):
    assert complaint in refused(capsys, tmp_path, *flags)


def test_five_steps_in_all_are_a_run(tmp_path, monkeypatch):
    """A fifth of five steps is one, by which OneCycleLR would divide by zero."""
    monkeypatch.setattr(tiny_program, "EXAMPLES", 20)
    assert run_here(tmp_path, "--epochs", 1, "--batch-size", 4) == 0


def test_a_run_is_not_resumed_with_other_data(trained, monkeypatch, capsys):
    monkeypatch.setattr(tiny_program, "EXAMPLES", 20)
    assert "an epoch had 6 batches, now it has 5" in refused(capsys, trained, "--resume", "--epochs", 2)


@pytest.mark.parametrize("number", ["1", ""])
def test_a_number_of_processes_left_in_the_environment_means_nothing(number, tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", number)
    assert run_here(tmp_path, "--epochs", 1) == 0


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"WORLD_SIZE": "2"}, "RANK, LOCAL_RANK, MASTER_ADDR, MASTER_PORT missing"),
        ({"WORLD_SIZE": "two", "RANK": "0"}, "LOCAL_RANK, MASTER_ADDR, MASTER_PORT missing"),
        (
            {"WORLD_SIZE": "two", "RANK": "0", "LOCAL_RANK": "0", "MASTER_ADDR": "here", "MASTER_PORT": "1"},
            "WORLD_SIZE=two is no number",
        ),
    ],
    ids=["no rank", "no address", "no number"],
)
def test_half_of_what_torchrun_sets_is_named(variables, told, tmp_path, monkeypatch, capsys):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert told in refused(capsys, tmp_path, "--epochs", 1)


def test_compile_without_a_compiler_is_told_in_a_line(tmp_path):
    command = [sys.executable, str(TINY), "--device", "cpu", "--out", str(tmp_path), "--epochs", "1", "--compile"]
    environment = {**ENVIRONMENT, "CXX": "/nonexistent", "PATH": os.path.dirname(sys.executable)}
    environment["TORCHINDUCTOR_CACHE_DIR"] = str(tmp_path / "cache")
    process = subprocess.Popen(
        command, env=environment, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    _, err = finish(process, 2)
    assert "--compile: torch.compile does not work here" in err and len(err.splitlines()) <= 2


@pytest.mark.parametrize(
    "name",
    [
        "ch03_workflow.ignite_trainer",
        "ch03_workflow.question_classifier",
        "ch03_workflow.yesno",
        "ch04_vision.simple_cnn",
        "ch04_vision.linknet",
        "ch05_sequence.simple_rnn",
        "ch05_sequence.advanced_rnn",
        "ch05_sequence.spinn",
        "ch05_sequence.sentiment",
    ],
)
def test_every_flag_of_every_program_says_what_it_is(name, monkeypatch):
    """`--help` prints a line for each."""
    flags = []

    def caught(parser, *_, **__):
        flags.extend(parser._actions)
        raise StopIteration

    monkeypatch.setattr(cli, "parse", caught)
    with pytest.raises(StopIteration):
        importlib.import_module(name).read_flags([])
    assert len(flags) > 5 and [action.dest for action in flags if not action.help] == []
