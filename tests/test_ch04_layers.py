"""Listings 4.3 to 4.11: the layers agree with torch in their values and gradients, whichever way they are written."""

import itertools
import sys

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.conv import PageConv, PageMaxPool
from ch04_vision.layers import (
    LAYERS,
    BandConv,
    BandMaxPool,
    Conv,
    MaxPool,
    UnfoldConv,
    UnfoldMaxPool,
    output_size,
    spread,
    transposed_convolution,
)
from ch04_vision.simple_cnn import SimpleCNNModel

SIZES = [(7, 7), (9, 6), (5, 11)]
EXACT = {"rtol": 0, "atol": 1e-10}


def values_and_gradients(layer, x, **arguments):
    """The output of a layer, and the gradients of a scalar of it: of the input, then of the parameters by name."""
    x = x.clone().requires_grad_()
    out = layer(x, **arguments)
    # Weights of all sizes, so that no two places of the output are interchangeable.
    (out * torch.arange(out.numel(), dtype=out.dtype).sin().view(out.shape)).sum().backward()
    return [out.detach(), x.grad] + [parameter.grad for _, parameter in sorted(layer.named_parameters())]


def assert_same(one, other):
    assert len(one) == len(other)
    for left, right in zip(one, other):
        torch.testing.assert_close(left, right, **EXACT)


@pytest.mark.parametrize("kind", [Conv, BandConv, UnfoldConv])
@pytest.mark.parametrize("kernel_size, stride, padding", [*itertools.product([1, 2, 3, 5], [1, 2, 3], [0, 1, 2])])
def test_convolution_is_that_of_torch(kind, kernel_size, stride, padding):
    torch.manual_seed(0)
    library = nn.Conv2d(3, 4, kernel_size, stride, padding).double()
    ours = kind(3, 4, kernel_size, stride, padding).double()
    ours.load_state_dict(library.state_dict())
    for height, width in SIZES:
        x = torch.randn(2, 3, height, width, dtype=torch.float64)
        expected = values_and_gradients(library, x)
        assert_same(values_and_gradients(ours, x), expected)
        new = [output_size(side, kernel_size, stride, padding) for side in (height, width)]
        assert list(expected[0].shape[2:]) == new


@pytest.mark.parametrize("kind", [MaxPool, BandMaxPool, UnfoldMaxPool])
@pytest.mark.parametrize("kernel_size, stride", [*itertools.product([1, 2, 3], [None, 1, 2, 3])])
def test_pooling_is_that_of_torch(kind, kernel_size, stride):
    torch.manual_seed(0)
    for height, width in SIZES:
        # Few values, so that windows have several maxima: the gradient goes to the first of them.
        for x in (torch.randn(2, 3, height, width), torch.randint(0, 3, (2, 3, height, width))):
            x = x.double()
            expected = values_and_gradients(nn.MaxPool2d(kernel_size, stride), x)
            assert_same(values_and_gradients(kind(kernel_size, stride), x), expected)
            new = [output_size(side, kernel_size, stride or kernel_size) for side in (height, width)]
            assert list(expected[0].shape[2:]) == new


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("layers", ["loops", "bands", "unfold"])
def test_layers_keep_the_type_and_the_device_of_their_input(layers, dtype):
    kind, pool = LAYERS[layers]
    out = pool(2)(kind(3, 4, 3).to(dtype)(torch.randn(2, 3, 8, 6).to(dtype)))
    assert out.dtype == dtype and out.shape == (2, 4, 3, 2)
    # A tensor on the meta device mixes with no other, so a zeros(...) made on the CPU would be found out.
    out = pool(2)(kind(3, 4, 3).to("meta", dtype)(torch.empty(2, 3, 8, 6, device="meta", dtype=dtype)))
    assert out.device.type == "meta"


def test_one_set_of_weights_gives_one_network_in_all_four_layers():
    torch.manual_seed(0)
    x = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    reference = SimpleCNNModel("builtin").double()
    expected = values_and_gradients(reference, x)
    assert expected[0].shape == (2, 10)
    # The program trains in channels last.
    x = x.contiguous(memory_format=torch.channels_last)
    for layers in ("loops", "bands", "unfold"):
        model = SimpleCNNModel(layers).double()
        model.load_state_dict(reference.state_dict())
        assert_same(values_and_gradients(model.to(memory_format=torch.channels_last), x), expected)


def test_a_new_convolution_has_kaiming_weights_and_no_bias():
    torch.manual_seed(0)
    conv = Conv(8, 64, 5)
    bound = (6 / (8 * 5 * 5)) ** 0.5
    assert conv.weight.shape == (64, 8, 5, 5) and dict(conv.named_parameters()).keys() == {"weight", "bias"}
    assert 0.99 * bound < conv.weight.abs().max() <= bound
    assert conv.weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.02)
    assert torch.equal(conv.bias, torch.zeros(64))


def test_listing_4_3_sizes_and_parameters():
    model = SimpleCNNModel()
    assert sum(parameter.numel() for parameter in model.parameters()) == 62_006
    shapes = []
    for layer in (model.conv1, model.pool, model.conv2, model.fc1, model.fc2, model.fc3):
        layer.register_forward_hook(lambda layer, inputs, output: shapes.append(tuple(output.shape[1:])))
    model(torch.randn(2, 3, 32, 32))
    assert shapes == [(6, 28, 28), (6, 14, 14), (16, 10, 10), (16, 5, 5), (120,), (84,), (10,)]


def test_a_larger_picture_is_an_error_and_not_more_examples():
    with pytest.raises(RuntimeError):
        SimpleCNNModel()(torch.randn(2, 3, 44, 44))


def test_listing_4_9_prints_the_modules_of_the_page():
    assert repr(SimpleCNNModel()).splitlines() == [
        "SimpleCNNModel(",
        "  (conv1): Conv()",
        "  (pool): MaxPool()",
        "  (conv2): Conv()",
        "  (fc1): Linear(in_features=400, out_features=120, bias=True)",
        "  (fc2): Linear(in_features=120, out_features=84, bias=True)",
        "  (fc3): Linear(in_features=84, out_features=10, bias=True)",
        ")",
    ]


def test_the_size_formula():
    assert output_size(7, 3, 1, 1) == 7
    assert output_size(7, 3, 2, 0) == 3
    assert output_size(32, 5) == 28
    assert output_size(8, 3, 2) == 3  # 3.5, rounded down
    assert all(output_size(side, 1) == side for side in range(1, 40))
    with pytest.raises(ValueError, match="kernel of 5 does not fit into 2 pixels with a padding of 1"):
        output_size(2, 5, padding=1)


@pytest.mark.parametrize("kind", [*LAYERS][:3])
def test_a_kernel_larger_than_the_image_is_refused(kind):
    convolution, pooling = LAYERS[kind]
    for layer in (convolution(1, 1, 5), pooling(5)):
        with pytest.raises(ValueError, match="kernel of 5 does not fit into 4 pixels"):
            layer(torch.zeros(1, 1, 4, 9))


def test_the_page_ignores_stride_and_pools_a_corner():
    torch.manual_seed(0)
    page, library = PageConv(2, 3, 3, 1, 1).double(), nn.Conv2d(2, 3, 3, 1, 1).double()
    page.load_state_dict(library.state_dict())
    x = torch.randn(2, 2, 6, 6)
    with torch.no_grad():
        torch.testing.assert_close(page(x.double()).double(), library(x.double()), rtol=0, atol=1e-6)
        strided = PageConv(2, 3, 3, stride=2, padding=1)
        assert strided(x).shape[2:] == (6, 6) != F.conv2d(x, strided.weight, stride=2, padding=1).shape[2:]
    numbers = torch.arange(16.0).view(1, 1, 4, 4)
    assert PageMaxPool(2)(numbers).tolist() == [[[[5, 6], [9, 10]]]]
    assert MaxPool(2)(numbers).tolist() == F.max_pool2d(numbers, 2).tolist() == [[[[5, 7], [13, 15]]]]


@pytest.mark.parametrize(
    "kernel_size, stride, padding", [(1, 1, 0), (3, 1, 0), (3, 1, 1), (3, 2, 1), (2, 2, 0), (5, 3, 2), (3, 2, 3)]
)
def test_transposed_convolution_is_that_of_torch(kernel_size, stride, padding):
    torch.manual_seed(0)
    for output_padding in range(stride):
        library = nn.ConvTranspose2d(3, 4, kernel_size, stride, padding, output_padding).double()

        class Spread(nn.Module):
            def __init__(self, like, output_padding):
                super().__init__()
                self.weight, self.bias = nn.Parameter(like.weight.data), nn.Parameter(like.bias.data)
                self.output_padding = output_padding

            def forward(self, x):
                return transposed_convolution(x, self.weight, self.bias, stride, padding, self.output_padding)

        x = torch.randn(2, 3, 6, 7, dtype=torch.float64)
        assert_same(values_and_gradients(Spread(library, output_padding), x), values_and_gradients(library, x))


def test_transposed_convolution_is_the_gradient_of_the_convolution_and_not_its_inverse():
    torch.manual_seed(0)
    weight = torch.randn(4, 3, 3, 3, dtype=torch.float64)
    x = torch.randn(2, 3, 9, 9, dtype=torch.float64, requires_grad=True)
    y = F.conv2d(x, weight, stride=2, padding=1)
    handed_back = transposed_convolution(y.detach(), weight, stride=2, padding=1)
    y.backward(y.detach())
    torch.testing.assert_close(handed_back, x.grad, **EXACT)
    assert not torch.allclose(handed_back, x, atol=0.1)


def test_spread_puts_zeros_between_the_pixels():
    apart = spread(torch.tensor([[1.0, 2.0], [3.0, 4.0]])[None, None], 3)[0, 0]
    assert apart.tolist() == [[1, 0, 0, 2], [0, 0, 0, 0], [0, 0, 0, 0], [3, 0, 0, 4]]


def test_listing_4_10_cross_entropy_takes_logits():
    torch.manual_seed(0)
    logits, classes = torch.randn(5, 10), torch.randint(10, (5,))
    loss_fn = nn.CrossEntropyLoss()
    assert isinstance(loss_fn, nn.Module) and not hasattr(loss_fn, "backward")
    torch.testing.assert_close(loss_fn(logits, classes), F.nll_loss(logits.log_softmax(1), classes))


def test_listing_4_11_either_zero_grad_clears_the_same_gradients():
    net = SimpleCNNModel("builtin")
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for zero_grad in (net.zero_grad, optimizer.zero_grad):
        net(torch.randn(1, 3, 32, 32)).sum().backward()
        assert all(parameter.grad is not None for parameter in net.parameters())
        zero_grad()
        assert all(parameter.grad is None for parameter in net.parameters())


def test_the_benchmark_tells_all_ways(monkeypatch, capsys, tmp_path):
    from benchmarks import conv

    monkeypatch.setattr(conv, "BATCH", 2)
    monkeypatch.setattr(conv, "REPETITIONS", {"loops": 1, "bands": 1, "unfold": 1, "builtin": 1})
    monkeypatch.setattr(sys, "argv", ["conv.py", "--out", str(tmp_path)])
    conv.main()
    rows = [line.split(" | ")[0] for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert rows[2:] == ["| builtin", "| unfold", "| bands", "| loops"] and (tmp_path / "conv.png").exists()
    page = conv.network("page")
    assert [type(page.conv1), type(page.pool)] == [PageConv, PageMaxPool]
    assert [*page.state_dict()] == [*SimpleCNNModel().state_dict()]
