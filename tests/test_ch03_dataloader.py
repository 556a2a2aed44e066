"""Listings 3.1 and 3.2: the tour is run as a reader runs it; its data sets also go to spawned workers."""

import contextlib
import io
import pickle
import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from ch02_simple_nn.data import get_numpy_data
from ch03_workflow.fizbuz_dataset import FizBuzDataset
from ch03_workflow.loader_parts import BitsWithoutZeros, Pictures, SharedStream, WhoLoads, pad_bits, seed_worker

ROOT = Path(__file__).parents[1]
TOUR = ROOT / "ch03_workflow" / "dataloader_tour.py"


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed):
        patch.setattr(sys, "argv", [TOUR.name, "--device", "cpu", "--out", str(tmp_path_factory.mktemp("tour"))])
        variables = runpy.run_path(str(TOUR), run_name="__main__")
    return variables | {"printed": printed.getvalue()}


def test_the_data_set_of_3_1():
    dataset = FizBuzDataset(input_size=10)
    assert len(dataset) == 1000
    x, y = dataset[3]
    assert x.tolist() == [0, 0, 0, 0, 0, 0, 0, 0, 1, 1] and y.tolist() == [0, 0, 1, 0]
    later = FizBuzDataset(10, start=7, end=30)
    assert len(later) == 23
    for index in range(23):
        assert all(map(torch.equal, later[index], dataset[index + 7]))
    assert hash(dataset) != hash(FizBuzDataset(10)) and dataset != FizBuzDataset(10)  # eq=False
    # All of it is chapter 2's data, which is shuffled: sorted by the number, the same rows.
    trX, trY, teX, teY = get_numpy_data()
    rows = np.vstack([np.hstack([trX, trY]), np.hstack([teX, teY])])
    rows = rows[np.argsort(rows[:, :10] @ 2 ** np.arange(9, -1, -1))]
    np.testing.assert_array_equal(torch.stack([torch.cat(item) for item in dataset]).numpy(), rows)


def test_the_ends_of_the_data_set():
    for index in (1000, -1):
        with pytest.raises(IndexError):
            FizBuzDataset(10)[index]
    for start, end in [(0, 1025), (0, 0), (5, 5), (-1, 3)]:
        with pytest.raises(ValueError, match=f"start={start}, end={end}: expected 0 <= start < end <= 1024, for 10 b"):
            FizBuzDataset(10, start, end)
    assert len(FizBuzDataset(10, 1023, 1024)) == 1 and FizBuzDataset(10, 1023, 1024)[0][0].tolist() == [1] * 10


def test_the_file_of_3_1_prints_what_it_shows():
    run = subprocess.run([sys.executable, "ch03_workflow/fizbuz_dataset.py"], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0
    assert "x = tensor([0., 0., 0., 0., 0., 0., 0., 0., 1., 1.]), y = tensor([0., 0., 1., 0.])" in run.stdout
    assert "len(dataset) = 1000\n" in run.stdout and "100 batches, the first of them:\ntensor([[" in run.stdout


def test_nothing_of_the_chapter_needs_another_chapter():
    for path in (ROOT / "ch03_workflow").rglob("*.py"):
        assert not re.search(r"^\s*(?:from|import) ch0[1245]", path.read_text(), re.MULTILINE), path


def test_the_page_s_listing_fails_as_told(seen):
    assert "missing 1 required positional argument: 'input_size'" in seen["missing"]
    assert seen["beyond"] == ([1, 1, 1, 1, 1, 0, 1, 0, 0, 1], [0, 0, 0, 1]) and seen["seen"] == 1000
    bits, answer = seen["page_batch"]
    assert [type(bits), len(bits), len(answer)] == [list, 10, 4]
    assert {part.shape for part in [*bits, *answer]} == {(10,)} and seen["transposed_back"]


def test_batches_of_3_2(seen):
    batches = seen["batches"]
    assert len(batches) == 100 and {(x.shape, y.shape) for x, y in batches} == {((10, 10), (10, 4))}
    numbers = torch.cat([x for x, y in batches]) @ 2.0 ** torch.arange(9, -1, -1)
    assert numbers.tolist() != list(range(1000)) and numbers.sort().values.tolist() == list(range(1000))
    assert seen["sizes"] == [300, 300, 300, 100] and seen["sizes_dropped"] == [300, 300, 300]


def test_samplers_and_collate(seen):
    orders = seen["orders"]
    assert orders["sequential"] == list(range(8)) == sorted(orders["random"])
    assert orders["random"] == orders["random again"] != orders["sequential"]
    assert orders["batches"] == [[0, 1, 2], [3, 4, 5], [6, 7]]
    assert seen["shares"].tolist() == pytest.approx([0.067, 0.133, 0.267, 0.533])
    assert seen["balanced_shares"].tolist() == pytest.approx([0.25] * 4, abs=0.03)
    assert "stack expects each tensor to be equal size" in seen["unequal"]
    assert seen["padded"].tolist() == [[1, -1, -1], [1, 0, -1], [1, 1, -1], [1, 0, 0], [1, 0, 1]]
    assert seen["lengths"].tolist() == [1, 2, 2, 3, 3]


def test_workers_are_processes_with_seeds(seen):
    assert seen["same_order"] and len(seen["processes"]) == 2
    torch_numbers, own_numbers = (len(seen["shared"][:, column].unique()) for column in (2, 3))
    assert (torch_numbers, own_numbers) == (8, 4)
    assert [len(seen["seeded"][:, column].unique()) for column in (2, 3)] == [8, 8]
    assert seen["repeats"] and seen["same_noise"]
    assert seen["new_processes"] and seen["kept_processes"]


def test_streams(seen):
    assert seen["streams"]["one process"] == list(range(1, 9))
    assert sorted(seen["streams"]["two workers"]) == sorted([*range(1, 9)] * 2)
    shared = seen["streams"]["two workers, shared"]
    assert sorted(shared) == list(range(1, 9)) and shared != sorted(shared)


def test_more_workers_than_items_lose_and_double_nothing():
    loader = DataLoader(SharedStream(FizBuzDataset(10, start=3, end=4)), batch_size=None, num_workers=2)
    assert [x.tolist() for x, y in loader] == [FizBuzDataset(10)[3][0].tolist()]


def test_pinning(seen):
    if not torch.cuda.is_available():
        assert any("no accelerator is found" in str(warning.message) for warning in seen["pin_warnings"])


def test_the_measured_table(seen):
    settings = [row[:3] for row in seen["table"]]
    assert {row[0] for row in settings} == {"numbers", "pictures"} and len(set(settings)) == len(settings) == 8
    for row in settings:
        assert "{:<10}{:>8}{:>12}".format(*row) in seen["printed"]


def test_what_a_spawned_worker_gets_can_be_sent():
    for part in (
        FizBuzDataset(10),
        SharedStream(FizBuzDataset(10)),
        WhoLoads(2),
        BitsWithoutZeros(2),
        Pictures(1),
    ):
        sent = pickle.loads(pickle.dumps(part))
        assert str(next(iter(sent))[0]) == str(next(iter(part))[0])
    assert [pickle.loads(pickle.dumps(function)) for function in (pad_bits, seed_worker)] == [pad_bits, seed_worker]


def test_a_spawned_worker_gives_the_same_batches():
    dataset = FizBuzDataset(10, end=20)
    spawned = DataLoader(dataset, batch_size=10, num_workers=1, multiprocessing_context="spawn")
    for one, other in zip(spawned, DataLoader(dataset, batch_size=10), strict=True):
        assert all(map(torch.equal, one, other))
