"""Chapter 4's tours: each is run as a reader runs it, and what it leaves behind is held against the page's claims."""

import contextlib
import io
import runpy
import sys
from itertools import pairwise
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

from ch04_vision.linknet_blocks import SegmentationModel
from ch04_vision.linknet_paper import PaperLinkNet
from ch04_vision.pictures.architecture import parts_of
from ch04_vision.simple_cnn import SimpleCNNModel
from data.tiny_objects import make_tiny_objects

CHAPTER = Path(__file__).parents[1] / "ch04_vision"


def tour(name):
    """A fixture that runs the tour once for all the tests of this file: its variables, what it `printed`, its `out`."""

    @pytest.fixture(scope="module", name=name)
    def run(tmp_path_factory):
        out = tmp_path_factory.mktemp(name)
        small = make_tiny_objects(out / "sample", pictures=(30, 1))
        printed = io.StringIO()
        with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed):
            patch.setattr("data.tiny_objects.make_tiny_objects", lambda root: small)
            patch.setattr(sys, "argv", [f"{name}.py", "--device", "cpu", "--out", str(out)])
            variables = runpy.run_path(str(CHAPTER / f"{name}.py"), run_name="__main__")
        return variables | {"printed": printed.getvalue(), "out": out}

    return run


convolution_tour, linknet_tour = map(tour, ["convolution_tour", "linknet_tour"])


def test_listing_4_1_the_transform_gets_a_picture_and_makes_a_batch_from_minus_one_to_one(convolution_tour):
    assert isinstance(convolution_tour["picture"], Image.Image)
    inputs, labels = next(iter(convolution_tour["trainloader"]))
    assert inputs.shape == (100, 3, 32, 32) and inputs.dtype == torch.float32 and labels.dtype == torch.int64
    assert -1 <= inputs.min() < -0.9 and 0.9 < inputs.max() <= 1
    image, label = convolution_tour["trainset"][0]
    pixels = torch.frombuffer(bytearray(convolution_tour["picture"].tobytes()), dtype=torch.uint8).view(32, 32, 3)
    torch.testing.assert_close(image, pixels.permute(2, 0, 1) / 127.5 - 1)
    assert label == 0


def test_listing_4_2_normalize_returns_a_new_image(convolution_tour):
    assert torch.equal(convolution_tour["normalized"], convolution_tour["by_library"])
    assert convolution_tour["image"].min() >= 0 > convolution_tour["normalized"].min()
    torch.testing.assert_close(convolution_tour["normalized"], (convolution_tour["image"] - 0.5) / 0.5)


def test_listings_4_5_to_4_8(convolution_tour):
    tour = convolution_tour
    assert torch.equal(tour["padded"], torch.zeros(5, 5))
    assert not tour["window"].is_contiguous() and "view size is not compatible" in tour["refusal"]
    assert tour["values"].shape == (100,)
    torch.testing.assert_close(tour["looped"], tour["by_torch"], rtol=0, atol=1e-5)
    expected = F.conv2d(tour["small_image"][None, None], tour["small_kernel"][None, None], padding=1)[0, 0]
    torch.testing.assert_close(tour["slid"], expected)
    assert tour["sizes"] == [7, 3, 28, 7]
    assert tour["maxima"].tolist() == [3, 4] and tour["places"].tolist() == [1, 1]
    assert tour["places"].dtype == torch.int64
    assert tour["pooled"].tolist() == [[[[5, 7], [13, 15]]]]


def test_listing_4_10_and_figure_4_5_momentum(convolution_tour):
    assert convolution_tour["positions"] == [-1.0, -2.9, -5.61]
    plain, with_momentum = convolution_tour["paths"].values()

    def across(points):
        return (points[1:, 1].sign() != points[:-1, 1].sign()).sum()

    def way(points):
        return (points[1:, 1] - points[:-1, 1]).abs().sum()

    assert across(plain) == 40, "every step of plain SGD crosses the valley"
    assert across(with_momentum) < 25 and way(with_momentum) < 0.6 * way(plain)
    assert with_momentum[20].norm() < 0.05 * plain[20].norm()


def test_listing_4_11_a_running_loss_of_tensors_keeps_every_graph(convolution_tour):
    nodes = convolution_tour["nodes"]
    growth = {after - before for before, after in pairwise(nodes)}
    assert len(nodes) == 20 and len(growth) == 1 and growth.pop() > 10
    # The input, the first feature maps before and after ReLU, and where their maxima stood (int64) are held at least.
    assert convolution_tour["megabytes"] > 100 * 4 * (3 * 32 * 32 + 6 * 28 * 28) / 2**20
    # A loss of a batch that the network has just trained on; guessing has ln 10.
    assert convolution_tour["epoch_losses"][1] < convolution_tour["epoch_losses"][0] < 3


def test_listing_4_13_is_4_12_with_shorter_names(linknet_tour):
    assert torch.equal(linknet_tour["plain_block"](linknet_tour["x"]), linknet_tour["conv_block"](linknet_tour["x"]))
    assert "with Sequential:    conv_block.0.weight" in linknet_tour["printed"]
    assert "without Sequential: conv.weight" in linknet_tour["printed"]


def test_the_blocks_of_listings_4_12_to_4_16_print_their_shapes(linknet_tour):
    for line in (
        "ConvBlock: (2, 3, 32, 48) to (2, 64, 16, 24)",
        "DeconvBlock: (2, 64, 16, 24) to (2, 32, 31, 47)",
        "DeconvBlock: (2, 64, 16, 24) to (2, 32, 32, 48)",
        "EncoderBlock: (2, 64, 16, 24) to (2, 128, 8, 12)",
        "DecoderBlock: (2, 128, 8, 12) to (2, 64, 16, 24)",
    ):
        assert line in linknet_tour["printed"]
    assert linknet_tour["norm"].running_mean.tolist() == pytest.approx([0.5] * 4)
    assert "modified by an inplace operation" in linknet_tour["refusal"]


def test_figure_4_9_turns_its_kernel(linknet_tour):
    raised, weight = linknet_tour["raised"], linknet_tour["upsampling"].weight
    assert torch.equal(raised, linknet_tour["upsampling"](linknet_tour["low"][None, None]))
    assert not torch.equal(weight, weight.flip(2, 3)), "a symmetric kernel would hide it"
    unturned = nn.ConvTranspose2d(1, 1, 3, 2, 1, bias=False)
    unturned.weight.data = weight.data.flip(2, 3)
    assert not torch.equal(raised, unturned(linknet_tour["low"][None, None]))


@pytest.mark.parametrize(
    ("network", "links"),
    [
        (SegmentationModel, {"decoder4": "encoder3", "decoder3": "encoder2", "decoder2": "encoder1"}),
        (
            PaperLinkNet,
            {"decoder4": "encoder3", "decoder3": "encoder2", "decoder2": "encoder1", "decoder1": "init_maxpool"},
        ),
    ],
)
def test_figure_4_8_is_drawn_from_the_network(network, links):
    torch.manual_seed(0)
    names, outputs, found = parts_of(network(11).eval(), torch.randn(1, 3, 96, 160))
    assert {names[place]: names[origin] for origin, place in found} == links
    assert names[0] == "init_conv" and names[-1] == "final_deconv2" and outputs[-1].shape[2:] == (96, 160)


def test_figure_4_2_has_no_links():
    names, _, links = parts_of(SimpleCNNModel("builtin"), torch.randn(1, 3, 32, 32))
    assert names == ["conv1", "pool", "conv2", "pool", "fc1", "fc2", "fc3"] and not links


def test_the_tours_draw_their_figures(convolution_tour, linknet_tour):
    with Image.open(convolution_tour["out"] / "convolution.gif") as animation:
        assert animation.n_frames == 49
        first = animation.convert("RGB").tobytes()
        animation.seek(48)
        assert animation.convert("RGB").tobytes() != first
    drawn = {
        convolution_tour["out"]: ["cnn", "strides", "momentum"],
        linknet_tour["out"]: ["linknet", "linknet_paper", "transposed", "conv_block", "encoder_block", "decoder_block"],
    }
    for out, names in drawn.items():
        for name in names:
            with Image.open(out / f"{name}.png") as picture:
                assert len(picture.convert("RGB").getcolors(1 << 24)) > 20
