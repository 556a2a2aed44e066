"""The promises of `common.training`: exact resume, the same training on one process and on two, faults told plainly."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch.optim.optimizer import register_optimizer_step_post_hook

from common import batches, checkpoints, cli
from common.cli import UserError
from tests import tiny_program
from tests.conftest import draw_nothing

ROOT = Path(__file__).parents[1]
TINY = Path(__file__).with_name("tiny_program.py")
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "MPLBACKEND": "Agg"}


def start(out, *flags, before=(), **variables):
    command = [sys.executable, *before, str(TINY), "--device", "cpu", "--out", str(out), *map(str, flags)]
    environment = ENVIRONMENT | variables
    return subprocess.Popen(
        command, env=environment, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def finish(process, status=0):
    out, err = process.communicate(timeout=120)
    assert process.returncode == status, err
    assert "Traceback" not in err
    return out, err


def run(out, *flags, status=0, **how):
    return finish(start(out, *flags, **how), status)


def wait_for(condition, process):
    until = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.02)


def same(left, right):
    """Whether two checkpoints hold the same, to the bit: tensors, arrays and all that lies between them."""
    if isinstance(left, torch.Tensor):
        return torch.equal(left, right)
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    return bool((left == right).all()) if hasattr(left, "all") else left == right


def assert_same_end(left, right):
    ends = [checkpoints.read(folder / "last.pt") for folder in (left, right)]
    for part in ("model", "average", "optimizer", "scheduler"):
        assert same(ends[0][part], ends[1][part]), part
    assert ends[0]["trainer"]["iteration"] == ends[1]["trainer"]["iteration"] == 24
    assert same(*(checkpoints.read(folder / "best.pt")["model"] for folder in (left, right)))


def run_here(out, *flags, figures=False):
    """The same without a process of its own: four seconds faster. Returns the exit status."""
    with pytest.MonkeyPatch.context() as patch:
        if not figures:
            draw_nothing(patch)
        patch.setattr(sys, "argv", [str(TINY), "--device", "cpu", "--out", str(out), *map(str, flags)])
        try:
            cli.run(tiny_program.main)
        except SystemExit as end:
            return end.code
    return 0


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that was never disturbed."""
    out = tmp_path_factory.mktemp("whole")
    assert run_here(out, figures=True) == 0
    return out


def epochs_in(folder):
    path = folder / "metrics.jsonl"
    return [json.loads(line)["epoch"] for line in path.read_text().splitlines()] if path.exists() else []


def test_a_run_leaves_its_files(whole):
    assert epochs_in(whole) == [1, 2, 3, 4]
    summary = json.loads((whole / "summary.json").read_text())
    assert summary["epochs"] == 4 and 0 < summary["accuracy"] <= 1
    assert {"loss", "seconds", "points_per_second", "valid_loss"} <= summary.keys()
    best = max(json.loads(line)["accuracy"] for line in (whole / "metrics.jsonl").read_text().splitlines())
    assert summary["accuracy"] == best, "the summary is that of the best weights"
    assert json.loads((whole / "config.json").read_text())["batch_size"] == 4
    assert (whole / "curves.png").stat().st_size > 1000


def test_killed_in_the_middle_of_an_epoch_and_resumed_ends_the_same_to_the_bit(whole, tmp_path, capsys):
    third = "--stop", 15, "--signal", int(signal.SIGKILL)  # an epoch is six steps: this is in the midst of the third
    finish(start(tmp_path, *third), -signal.SIGKILL)
    shutil.copytree(tmp_path, tmp_path.with_name("damaged"))
    capsys.readouterr()
    assert run_here(tmp_path, "--resume", *third) == 0
    assert "iteration 12" in capsys.readouterr().out
    assert epochs_in(tmp_path) == [1, 2, 3, 4]
    assert_same_end(whole, tmp_path)

    # The same run once more, with its last checkpoint cut short: the one before takes over.
    damaged = tmp_path.with_name("damaged")
    content = (damaged / "last.pt").read_bytes()
    (damaged / "last.pt").write_bytes(content[: len(content) // 2])
    assert run_here(damaged, "--resume", *third) == 0
    out, err = capsys.readouterr()
    assert "last.pt: not a whole checkpoint" in err and "taking the one before" in err
    assert "previous.pt at iteration 6" in out
    assert epochs_in(damaged) == [1, 2, 3, 4]
    assert_same_end(whole, damaged)


def test_ctrl_c_saves_in_the_middle_of_an_epoch_and_resume_ends_the_same(whole, tmp_path):
    """With two loader processes too, though the undisturbed run had none: they change nothing."""
    _, err = run(tmp_path, "--workers", 2, "--stop", 14, status=130)
    assert "saved" in err and "--resume" in err
    iteration = checkpoints.read(tmp_path / "last.pt")["trainer"]["iteration"]
    assert iteration == 14, "saved after the step, not at the epoch's end"
    assert run_here(tmp_path, "--resume", "--workers", 2, "--stop", 14) == 0
    assert_same_end(whole, tmp_path)


def test_batches_of_like_lengths_resume_to_the_bit_too(tmp_path):
    assert run_here(tmp_path / "whole", "--like-lengths") == 0
    # Its fourteenth step is in the midst of the third epoch.
    assert run_here(tmp_path / "stopped", "--like-lengths", "--stop", 14) == 130
    assert checkpoints.read(tmp_path / "stopped" / "last.pt")["trainer"]["iteration"] == 14
    assert run_here(tmp_path / "stopped", "--like-lengths", "--stop", 14, "--resume") == 0
    assert_same_end(tmp_path / "whole", tmp_path / "stopped")


def test_batches_are_of_like_lengths_full_and_of_other_company_every_epoch():
    lengths = torch.randint(1, 60, (1003,), generator=torch.Generator().manual_seed(0))
    sampler = batches.LikeLengths(lengths, 4, seed=0)
    first = list(sampler)
    assert len(first) == len(sampler) == 250 and all(len(batch) == 4 for batch in first)
    seen = [index for batch in first for index in batch]
    assert len(set(seen)) == 1000, "no example comes twice"
    spread = sum(lengths[batch].max() - lengths[batch].min() for batch in first) / len(first)
    assert spread < 1.5, "in a batch of a hundred batches' sorted examples, the lengths are almost one"
    means = torch.tensor([lengths[batch].float().mean() for batch in first])
    assert abs(torch.corrcoef(torch.stack([means, torch.arange(250.0)]))[0, 1]) < 0.2, "not from short to long"
    assert list(sampler) == first
    sampler.set_epoch(1)
    assert {frozenset(batch) for batch in sampler}.isdisjoint(frozenset(batch) for batch in first)


def test_groups_come_together_in_another_order_every_epoch():
    groups = torch.arange(400) // 4
    sampler = batches.LikeLengths(groups % 3, 8, 0, groups)
    found = [[groups[batch].tolist() for batch in sampler]]
    sampler.set_epoch(1)
    found.append([groups[batch].tolist() for batch in sampler])
    for epoch in found:
        assert sorted(group for batch in epoch for group in batch) == groups.tolist()
        assert sum(len(set(batch)) == 2 for batch in epoch) > 40, "two groups of four, but where the length changes"
    assert {frozenset(batch) for batch in found[0]} != {frozenset(batch) for batch in found[1]}


def test_two_processes_share_a_batch_of_like_lengths(monkeypatch):
    lengths = torch.arange(40) % 9
    whole = list(batches.LikeLengths(lengths, 4, seed=0))
    monkeypatch.setattr(batches.idist, "get_world_size", lambda: 2)
    shares = []
    for rank in (0, 1):
        monkeypatch.setattr(batches.idist, "get_rank", lambda rank=rank: rank)
        shares.append(list(batches.LikeLengths(lengths, 4, seed=0)))
    assert [sorted(left + right) for left, right in zip(*shares)] == [sorted(batch) for batch in whole]


def test_scoring_in_batches_of_like_lengths_takes_every_example_once(tmp_path):
    args = cli.parse(cli.parser("", epochs=1, batch_size=4, lr=1), ["--device", "cpu", "--out", str(tmp_path)])
    dataset, lengths = tiny_program.Halves(15), torch.arange(15).flip(0)
    points = torch.cat([points for points, _ in batches.loader(dataset, args, training=False, lengths=lengths)])
    assert torch.equal(points, dataset.points.flip(0)), "the shortest first"


@pytest.mark.parametrize(
    ("features", "seconds", "amp"), [({}, 1, "off"), ({"avx512_bf16": True}, 1, "bf16"), ({"amx_bf16": True}, 3, "off")]
)
def test_amp_auto_is_what_the_processor_is_faster_with(monkeypatch, features, seconds, amp):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: features)
    monkeypatch.setattr(cli, "_seconds_of_a_product", {torch.bfloat16: seconds, torch.float32: 2}.get)
    flags = cli.parser("", epochs=1, batch_size=4, lr=1)
    assert cli.parse(flags, ["--device", "cpu", "--amp", "auto"]).amp == amp


def test_gradients_are_clipped_to_the_norm_that_was_asked_for(tmp_path):
    norms = []

    def note(optimizer, *_):
        parts = [parameter.grad.norm() for group in optimizer.param_groups for parameter in group["params"]]
        norms.append(torch.stack(parts).norm().item())

    hook = register_optimizer_step_post_hook(note)
    try:
        assert run_here(tmp_path / "free", "--epochs", 1) == 0
        assert run_here(tmp_path / "clipped", "--epochs", 1, "--clip", 0.01) == 0
    finally:
        hook.remove()
    assert min(norms[:6]) > 0.02
    assert norms[6:] == pytest.approx([0.01] * 6, rel=1e-3)


def test_a_score_that_no_longer_rises_ends_the_run(tmp_path, capsys):
    # Steps this small change no answer, so the first validation stays the best: two more are waited for.
    flags = ("--lr", 1e-9, "--patience", 2)
    assert run_here(tmp_path, *flags) == 0
    assert epochs_in(tmp_path) == [1, 2, 3]
    assert json.loads((tmp_path / "summary.json").read_text())["epochs"] == 3
    assert run_here(tmp_path, *flags, "--resume") == 0
    assert capsys.readouterr().out.count("no better accuracy in 2 validations: stopped") == 1
    assert epochs_in(tmp_path) == [1, 2, 3], "a run that has ended does not go on"


def test_two_processes_train_as_one_and_score_each_example_once(tmp_path):
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    flags = ("--dropout", 0, "--epochs", 2)
    assert run_here(tmp_path / "one", *flags) == 0
    # As in a job of Slurm's on two machines, whose numbers are not those of the processes.
    slurm = dict(SLURM_JOB_ID="1", SLURM_PROCID="1", SLURM_LOCALID="0", SLURM_NTASKS="2", SLURM_JOB_NUM_NODES="2")
    out, _ = run(tmp_path / "two", *flags, before=torchrun, **slurm)
    assert out.count("epoch 1/2") == 1, "only the first process prints"
    one, two = (checkpoints.read(tmp_path / name / "last.pt") for name in ("one", "two"))
    for part in ("model", "average"):
        for name, weights in one[part].items():
            torch.testing.assert_close(two[part][name], weights, rtol=1e-5, atol=1e-6, msg=f"{part} {name}")
    lines = [json.loads((tmp_path / name / "summary.json").read_text()) for name in ("one", "two")]
    # 15 examples over two processes: with one counted twice the accuracy would be a multiple of 1/16.
    assert lines[0]["accuracy"] == pytest.approx(lines[1]["accuracy"], abs=1e-9)
    assert lines[0]["valid_loss"] == pytest.approx(lines[1]["valid_loss"], abs=1e-5)


def test_a_loss_that_is_nan_stops_the_run_and_keeps_the_last_good_checkpoint(tmp_path, capsys):
    assert run_here(tmp_path, "--spoil", 9) == 2
    err = capsys.readouterr().err
    assert "loss is nan at epoch 2, iteration 9" in err and len(err.splitlines()) == 1
    kept = checkpoints.read(tmp_path / "last.pt")
    assert kept["trainer"]["iteration"] == 6
    assert all(weights.isfinite().all() for weights in kept["model"].values())


def test_a_full_disk_is_told_and_leaves_the_checkpoint_before_whole(tmp_path, monkeypatch):
    write = checkpoints.writer(tmp_path)
    run = checkpoints.Run("a", {}).state_dict()
    write({"run": run, "weights": torch.ones(3)}, "last.pt")

    def full(checkpoint, path):
        path.write_bytes(b"half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(UserError, match=r"last.pt: not written \(.*No space left"):
        write({"run": run, "weights": torch.zeros(3)}, "last.pt")
    assert checkpoints.read(tmp_path / "last.pt")["weights"].sum() == 3
    assert [path.name for path in tmp_path.iterdir()] == ["last.pt"]


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (["--batch-size", "0"], "'0' is not a whole number from 1 to 1000000"),
        (["--batch-size", "25"], "--batch-size 25 is more than the 24 examples"),
        (["--lr", "fast"], "'fast' is not a number greater than 0"),
        (["--lr", "nan"], "'nan' is not a number greater than 0"),
        (["--epochs", "0"], "'0' is not a whole number from 1 to 1000000"),
        (["--device", "cuda:99"], "'cuda:99' is not there: torch finds"),
        (["--device", "tpu"], "expected auto, cpu, cuda, cuda:N or mps"),
        (["--amp", "fp16"], "--amp fp16 needs a CUDA device"),
        (["--resume"], "holds no whole checkpoint"),
        (["--evaluate", "val"], "best.pt: no such checkpoint"),
        (["--evaluate", "val", "--resume"], "--resume goes on training"),
        (["--evaluate", "val", "--checkpoint", __file__], "test_common_training.py: not a whole checkpoint"),
    ],
)
def test_a_mistake_ends_with_status_2_and_a_line_that_helps(flags, complaint, tmp_path, capsys):
    assert run_here(tmp_path / "out", *flags) == 2
    err = capsys.readouterr().err
    assert complaint in err and len(err.strip().splitlines()) <= 2


def test_a_resumed_run_must_be_the_run_it_resumes(whole, tmp_path, capsys):
    shutil.copytree(whole, tmp_path / "other")
    assert run_here(tmp_path / "other", "--resume", "--batch-size", 8) == 2
    assert "begun with --batch-size 4, not 8" in capsys.readouterr().err


def test_a_checkpoint_of_another_network_is_refused(whole):
    other = torch.nn.Sequential(torch.nn.Linear(4, 9))
    with pytest.raises(UserError, match=r"of another network: 0.weight is \(8, 4\) in the file, expected \(9, 4\)"):
        checkpoints.load_weights(other, whole / "best.pt")


def test_nothing_is_unpickled_from_a_checkpoint(tmp_path):
    class Trap:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "sprung"),))

    torch.save({"model": Trap()}, tmp_path / "trap.pt")
    with pytest.raises(UserError, match="not a whole checkpoint"):
        checkpoints.read(tmp_path / "trap.pt")
    assert not (tmp_path / "sprung").exists()
