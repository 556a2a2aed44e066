"""LinkNet's layers against torch's own, the claims of listings 4.12 to 4.17, the loss and the figures by definition."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import resnet18

from benchmarks import page_linknet
from ch04_vision import segmentation
from ch04_vision.linknet_blocks import (
    ConvBlock,
    ConvBlockWithoutSequential,
    DecoderBlock,
    DeconvBlock,
    EncoderBlock,
    SegmentationModel,
    fuse,
)
from ch04_vision.linknet_paper import PaperLinkNet
from ch04_vision.loaders.camvid import CLASSES, VOID
from ch04_vision.mirrored import Mirrored
from ch04_vision.segmentation import SegmentationLoss, figures_of, jaccard_distance

BOTH = pytest.mark.parametrize("network", [SegmentationModel, PaperLinkNet])


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def gradients(outputs, parameters):
    return torch.autograd.grad((outputs**2).sum(), list(parameters))


def randomise(network):
    """Gives every normalisation a scale, shift and statistics of its own, as training would."""
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            for values in (layer.weight.data, layer.running_var):
                values.uniform_(0.5, 1.5)
            for values in (layer.bias.data, layer.running_mean):
                values.uniform_(-0.5, 0.5)
    return network


@pytest.mark.parametrize("act", [True, False])
@pytest.mark.parametrize(("kernel", "stride", "padding"), [(7, 2, 3), (3, 2, 1), (3, 1, 1), (1, 1, 0)])
def test_conv_block_is_convolution_normalisation_relu(act, kernel, stride, padding):
    block = ConvBlock(3, 5, kernel, stride, padding, bias=True, act=act).double()
    x = torch.randn(2, 3, 17, 22, dtype=torch.float64)
    outputs = block(x)

    conv = block.conv_block[0]
    expected = F.conv2d(x, conv.weight, conv.bias, stride, padding)
    mean, variance = expected.mean((0, 2, 3), keepdim=True), expected.var((0, 2, 3), unbiased=False, keepdim=True)
    expected = (expected - mean) / (variance + 1e-5).sqrt()
    expected = expected.clamp(min=0) if act else expected
    torch.testing.assert_close(outputs, expected)
    assert outputs.shape[2:] == tuple((side + 2 * padding - kernel) // stride + 1 for side in (17, 22))
    assert (outputs.min() >= 0) == act


@pytest.mark.parametrize("act", [True, False])
def test_the_block_without_sequential_is_the_same_block(act):
    left = ConvBlock(3, 5, 3, 2, 1, act=act).double()
    right = ConvBlockWithoutSequential(3, 5, 3, 2, 1, act=act).double()
    right.conv.load_state_dict(left.conv_block[0].state_dict())
    x = torch.randn(2, 3, 9, 8, dtype=torch.float64)
    torch.testing.assert_close(right(x), left(x))
    for one, other in zip(gradients(left(x), left.parameters()), gradients(right(x), right.parameters())):
        torch.testing.assert_close(one, other)
    assert not hasattr(right, "bn_r"), "a result kept on the module keeps its graph alive"


def test_claims_about_batch_normalisation_and_relu():
    norm = nn.BatchNorm2d(4)
    assert dict(norm.named_parameters()).keys() == {"weight", "bias"}
    assert not list(nn.BatchNorm2d(4, affine=False).parameters())
    norm(torch.full((2, 4, 3, 3), 5.0))
    torch.testing.assert_close(norm.running_mean, torch.full((4,), 0.5))
    assert nn.ReLU().inplace is False


def test_deconv_block_reaches_two_sizes_and_refuses_others():
    block = DeconvBlock(4, 2, kernel=3, stride=2, padding=1)
    x = torch.randn(2, 4, 6, 8)
    assert block.conv_transpose(x).shape[2:] == (11, 15)
    assert block(x, (2, 2, 11, 16)).shape == (2, 2, 11, 16)
    assert block(x, (12, 15)).shape == (2, 2, 12, 15)
    with pytest.raises(ValueError, match="output size"):
        block(x, (13, 15))


def test_a_transposed_convolution_is_the_gradient_of_the_convolution():
    deconv = DeconvBlock(4, 3, kernel=3, stride=2, padding=1).double().conv_transpose
    x = torch.randn(1, 4, 6, 5, dtype=torch.float64)
    image = torch.zeros(1, 3, 12, 10, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(F.conv2d(image, deconv.weight, stride=2, padding=1), image, x)
    torch.testing.assert_close(deconv(x, output_size=(12, 10)), gradient)
    # It spreads the input with zeros and convolves (figure 4.9); it does not undo a convolution.
    undone = F.conv2d(deconv(x, output_size=(12, 10)), deconv.weight, stride=2, padding=1)
    assert not torch.allclose(undone, x)


def test_encoder_block_adds_the_second_blocks_input():
    block = EncoderBlock(4, 6).double()
    x = torch.randn(2, 4, 11, 16, dtype=torch.float64)
    middle = block.block1(x) + block.residue(x)
    torch.testing.assert_close(block(x), block.block2(middle) + middle)
    assert block(x).shape == (2, 6, 6, 8)
    assert sum(isinstance(part, ConvBlock) for part in block.modules()) == 5


def test_decoder_block_chains_its_parts():
    block = DecoderBlock(512, 256).eval()
    x = torch.randn(2, 512, 6, 8)
    size = (2, 256, 12, 15)
    torch.testing.assert_close(block(x, size), block.conv2(block.deconv(block.conv1(x), size)))
    assert block(x, size).shape == size
    assert block.conv1.conv_block[0].out_channels == 512 // 4


@BOTH
@pytest.mark.parametrize("size", [(32, 32), (33, 47), (64, 65), (97, 101), (90, 120)])
def test_every_size_comes_back_as_it_went_in(network, size):
    model = network(11).eval()
    with torch.inference_mode():
        scores = model(torch.randn(1, 3, *size))
    assert scores.shape == (1, 11, *size)
    assert scores.min() < 0 < scores.max(), "scores are logits, of both signs"
    # Every pixel of the input counts, the last row and column too: the answer there changes with them.
    x = torch.randn(1, 3, *size, requires_grad=True)
    (gradient,) = torch.autograd.grad(model(x)[..., -1, -1].sum(), x)
    assert gradient[..., -1, -1].abs().sum() > 0


def test_the_pages_sizes_and_strides():
    model, shapes = SegmentationModel(2).eval(), {}
    for name in ("init_conv", "init_maxpool", "encoder1", "encoder2", "encoder3", "encoder4"):
        getattr(model, name).register_forward_hook(lambda m, i, o, name=name: shapes.update({name: tuple(o.shape[2:])}))
    with torch.inference_mode():
        assert model(torch.randn(1, 3, 360, 480)).shape == (1, 2, 360, 480)
    assert list(shapes.values()) == [(180, 240), (90, 120), (45, 60), (23, 30), (12, 15), (6, 8)]


def test_what_the_page_prints_does_what_the_errata_say():
    printed = page_linknet.SegmentationModel().eval()
    assert sum(parameter.numel() for parameter in printed.parameters()) == 12_952_614
    with torch.inference_mode():
        assert printed(torch.randn(1, 3, 64, 96)).min() >= 0
        with pytest.raises(ValueError, match="output size"):
            printed(torch.randn(1, 3, 97, 101))


def test_the_papers_network_has_the_papers_size_and_torchvisions_encoder():
    model = PaperLinkNet(11).eval().double()
    assert sum(parameter.numel() for parameter in model.parameters()) == 11_534_603
    reference = resnet18().eval().double()
    for ours, theirs in (
        (model.init_conv, nn.Sequential(reference.conv1, reference.bn1, reference.relu)),
        (model.encoder1, reference.layer1),
        (model.encoder2, reference.layer2),
        (model.encoder3, reference.layer3),
        (model.encoder4, reference.layer4),
    ):
        theirs.load_state_dict(ours.state_dict())
    x = torch.randn(1, 3, 64, 64, dtype=torch.float64)
    with torch.inference_mode():
        features = nn.Sequential(*list(reference.children())[:-2])(x)
        encoded = model.encoder1(model.init_maxpool(model.init_conv(x)))
        for encoder in (model.encoder2, model.encoder3, model.encoder4):
            encoded = encoder(encoded)
    torch.testing.assert_close(encoded, features)
    assert features.shape[2:] == (2, 2), "total stride 32"


def test_the_papers_network_has_its_operations_counted_two_ways():
    model, counted = PaperLinkNet(11).eval(), {"convolutions": 0, "transposed, by input": 0, "transposed, by output": 0}

    def count(layer, inputs, output):
        products, positions = layer.weight.numel(), output[0, 0].numel()
        if isinstance(layer, nn.ConvTranspose2d):
            counted["transposed, by input"] += 2 * products * inputs[0][0, 0].numel()
            counted["transposed, by output"] += 2 * products * positions
        else:
            counted["convolutions"] += 2 * products * positions

    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            layer.register_forward_hook(count)
    with torch.inference_mode():
        with FlopCounterMode(display=False) as counter:
            model(torch.zeros(1, 3, 360, 640))
        assert counted["convolutions"] + counted["transposed, by input"] == counter.get_total_flops()
        assert counter.get_total_flops() / 1e9 == pytest.approx(19.3, abs=0.05)
        counted.update(dict.fromkeys(counted, 0))
        model(torch.zeros(1, 3, 352, 640))
    assert (counted["convolutions"] + counted["transposed, by output"]) / 1e9 == pytest.approx(21.2, abs=0.05)


@pytest.mark.parametrize("level", [1, 2, 3, 4])
def test_the_input_of_each_encoder_is_added_to_the_output_of_its_decoder(level):
    model, seen = randomise(PaperLinkNet(11)).eval().double(), {}
    encoder, decoder = getattr(model, f"encoder{level}"), getattr(model, f"decoder{level}")
    after = getattr(model, f"decoder{level - 1}") if level > 1 else model.final_deconv1
    encoder.register_forward_hook(lambda m, inputs, output: seen.update(passed=inputs[0]))
    decoder.register_forward_hook(lambda m, inputs, output: seen.update(decoded=output))
    after.register_forward_hook(lambda m, inputs, output: seen.update(received=inputs[0]))
    with torch.inference_mode():
        model(torch.randn(1, 3, 49, 70, dtype=torch.float64))
    torch.testing.assert_close(seen["received"], seen["decoded"] + seen["passed"])
    assert seen["passed"].abs().max() > 0 and seen["decoded"].abs().max() > 0
    # The authors' ReLU behind the sum is left out for this reason.
    torch.testing.assert_close(seen["received"].relu(), seen["received"])


@BOTH
def test_signals_neither_fade_nor_explode_at_the_start(network):
    model = network(11)
    scores = model(torch.randn(4, 3, 96, 96))
    assert 0.1 < scores.std() < 10


@BOTH
def test_fused_for_inference_it_answers_the_same(network):
    model = randomise(network(11)).eval().double()
    x = torch.randn(1, 3, 50, 70, dtype=torch.float64)
    with torch.inference_mode():
        before = model(x)
        after = fuse(model)(x)
    torch.testing.assert_close(after, before)
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in model.modules())


@BOTH
def test_it_learns_one_scene_by_heart(network):
    model = network(11)
    image, mask = torch.randn(2, 3, 32, 48), torch.full((2, 32, 48), 3)
    mask[0, 8:24, 8:24], mask[1, :, 30:], mask[:, 0] = 8, 5, VOID
    image += F.one_hot(mask % VOID, 11)[..., 3:9:2].permute(0, 3, 1, 2)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, fused=True)
    loss_fn = SegmentationLoss(torch.ones(11))
    for _ in range(25):
        optimizer.zero_grad()
        loss_fn(model(image), mask).backward()
        optimizer.step()
    right = (model(image).argmax(1) == mask)[mask != VOID].float().mean()
    assert right > 0.95


def test_the_loss_is_the_weighted_mean_over_the_pixels_that_have_a_class():
    scores = torch.randn(2, 11, 6, 7, dtype=torch.float64, requires_grad=True)
    target = torch.randint(0, VOID + 1, (2, 6, 7))
    weight = torch.rand(11, dtype=torch.float64) + 0.5
    ours = SegmentationLoss(weight)(scores, target)
    theirs = nn.CrossEntropyLoss(weight, ignore_index=VOID)(scores, target)
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(torch.autograd.grad(ours, scores), torch.autograd.grad(theirs, scores))
    nothing = SegmentationLoss(weight)(scores, torch.full_like(target, VOID))
    assert nothing == 0 and torch.autograd.grad(nothing, scores)[0].abs().sum() == 0


def test_the_jaccard_distance_is_what_is_missing_to_the_figure():
    target = torch.randint(0, VOID + 1, (2, 6, 7))
    target[target == 3] = 4  # a class that does not occur, and is called here and there
    guess = torch.randint(0, VOID, (2, 6, 7))
    sure = 100.0 * F.one_hot(guess, VOID).permute(0, 3, 1, 2).double()
    counted = target != VOID
    confusion = torch.zeros(VOID, VOID).index_put_((target[counted], guess[counted]), torch.ones(()), accumulate=True)
    occur = [value for name, value in figures_of(confusion)["per_class_iou"].items() if name != "road"]
    torch.testing.assert_close(jaccard_distance(sure, target).item(), 1 - sum(occur) / len(occur))

    scores = torch.randn(2, VOID, 6, 7, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(jaccard_distance, (scores, target))
    weight = torch.rand(VOID, dtype=torch.float64) + 0.5
    both = SegmentationLoss(weight, jaccard=2.0)(scores, target)
    torch.testing.assert_close(both, SegmentationLoss(weight)(scores, target) + 2 * jaccard_distance(scores, target))
    nothing = jaccard_distance(scores, torch.full_like(target, VOID))
    assert nothing == 0 and torch.autograd.grad(nothing, scores)[0].abs().sum() == 0


def test_two_processes_have_the_jaccard_distance_of_their_batches_together(monkeypatch):
    scores = torch.randn(4, VOID, 6, 7, dtype=torch.float64, requires_grad=True)
    target, halves, counted = torch.randint(0, VOID + 1, (4, 6, 7)), (slice(0, 2), slice(2, 4)), []
    whole = jaccard_distance(scores, target)
    monkeypatch.setattr(segmentation.idist, "get_world_size", lambda: 2)
    monkeypatch.setattr(segmentation.idist, "all_reduce", lambda counts: counted.append(counts) or counts)
    for half in halves:
        jaccard_distance(scores[half], target[half])
    monkeypatch.setattr(segmentation.idist, "all_reduce", lambda counts: sum(counted))
    distances = [jaccard_distance(scores[half], target[half]) for half in halves]
    assert [distance.item() for distance in distances] == pytest.approx(2 * [whole.item()])
    # Gradients are averaged over the processes.
    gradients = (torch.autograd.grad(distance, scores)[0] for distance in (sum(distances) / 2, whole))
    torch.testing.assert_close(*gradients)


def test_the_figures_are_what_their_names_say():
    from ignite.metrics import ConfusionMatrix

    generator = np.random.default_rng(0)
    truth = generator.choice([0, 1, 3, 4, VOID], (3, 20, 30))
    guess = np.where(generator.random(truth.shape) < 0.6, truth % VOID, generator.choice([0, 1, 3, 9], truth.shape))
    metric = ConfusionMatrix(len(CLASSES))
    for one_truth, one_guess in zip(torch.tensor(truth), torch.tensor(guess)):
        metric.update((F.one_hot(one_guess, 11).permute(2, 0, 1)[None].float(), one_truth[None]))
    figures = figures_of(metric.compute())

    counted = truth != VOID
    for index, name in enumerate(CLASSES):
        is_so, called_so = counted & (truth == index), counted & (guess == index)
        union = (is_so | called_so).sum()
        expected = (is_so & called_so).sum() / union if union else None
        assert figures["per_class_iou"][name] == (pytest.approx(expected) if union else None)
    present = [value for value in figures["per_class_iou"].values() if value is not None]
    assert len(present) == 5, "sky, building, road, pavement occur, pedestrian is only called"
    assert figures["mean_iou"] == pytest.approx(np.mean(present))
    assert figures["pixel_accuracy"] == pytest.approx((truth == guess)[counted].mean())


def test_the_mirrored_network_answers_the_mirror_image_with_the_mirrored_answer():
    network = nn.Conv2d(3, 4, 3, padding=1).double()
    x = torch.randn(2, 3, 5, 7, dtype=torch.float64)
    both = Mirrored(network)
    torch.testing.assert_close(both(x), (network(x) + network(x.flip(3)).flip(3)) / 2)
    torch.testing.assert_close(both(x.flip(3)), both(x).flip(3))
    assert not torch.allclose(network(x.flip(3)), network(x).flip(3))
    of_pictures = nn.Sequential(nn.Flatten(), nn.Linear(105, 4)).double()
    torch.testing.assert_close(Mirrored(of_pictures)(x), (of_pictures(x) + of_pictures(x.flip(3))) / 2)
