"""Listing 3.7: resnet18 with and without trained weights, layers frozen, and what freezing is good for.

    python ch03_workflow/transfer_tour.py                      weights learnt here, on other pictures
    python ch03_workflow/transfer_tour.py --weights none       weights that nobody has trained
    python ch03_workflow/transfer_tour.py --weights imagenet   the page's pretrained=True: downloads 45 MB
    python ch03_workflow/transfer_tour.py --data DIR           your own pictures, DIR/<class>/<name>.jpg

A new last layer, the head, learns to tell the classes of a small set apart, while every layer below it is frozen. The
table that it prints shows what has moved. Offline the trained weights come from a short training on seven kinds of the
embedded drawings; the small set holds the three other kinds.
"""

import copy

import torch
import torch.nn.functional as F
import torchvision
from torch import nn, optim
from torchvision.models import ResNet18_Weights
from torchvision.transforms import v2

from ch03_workflow.loaders.image_folder import open_image_folder
from common import cli
from common.cli import UserError
from common.downloads import fetch_weights
from data import sample
from data.tiny_objects import make_tiny_objects

# The kinds of drawings that the base network never sees, ten of each to learn from. Their kin (truck, dog, airplane)
# are among the seven that it does see, so that what it has learnt there is of use here.
SMALL_SET, PICTURES = ("automobile", "cat", "ship"), 10


def freeze(module):
    """The loop of listing 3.7: autograd computes no gradient for these parameters, so no optimiser moves them."""
    for param in module.parameters():
        param.requires_grad = False


def show_the_page():
    """The listing itself, with what is true of it: 12 parameters, no gradient, but statistics that still move."""
    # pretrained=False and =True have been deprecated since torchvision 0.13: weights=None, or ResNet18_Weights.DEFAULT.
    resnet18 = torchvision.models.resnet18(weights=None)
    freeze(resnet18.layer1)
    frozen = [name for name, param in resnet18.named_parameters() if not param.requires_grad]
    numbers = sum(param.numel() for param in resnet18.layer1.parameters())
    resnet18(torch.rand(2, 3, 64, 64)).sum().backward()
    without_gradient = [name for name, param in resnet18.named_parameters() if param.grad is None]
    print(f"layer1: {len(frozen)} parameters, {numbers:,} numbers, frozen; those without gradient are they: ", end="")
    print(without_gradient == frozen)
    # Batch normalisation counts its means in buffers, which requires_grad says nothing about.
    moved = resnet18.layer1[0].bn1.running_mean.abs().max().item()
    print(f"the frozen layer's running mean has moved by up to {moved:.3f} all the same: only eval() holds it still")
    return frozen, numbers, without_gradient, moved


def load_pictures(folder, transform, per_class=None, classes=None):
    """The pictures of a folder of classes as tensors: images (pictures, 3, height, width), labels, names of classes.

    Args:
        per_class: how many of each class, the first ones; None takes all.
        classes: which; None takes all.
    """
    dataset = open_image_folder(folder, transform)
    classes = list(classes or dataset.classes)
    images, labels = [], []
    for label, name in enumerate(classes):
        places = [place for place, kind in enumerate(dataset.targets) if dataset.classes[kind] == name][:per_class]
        images += [dataset[place][0] for place in places]
        labels += [label] * len(places)
    return torch.stack(images), torch.tensor(labels), classes


def fit(model, images, labels, args, epochs, lr):
    """Trains whatever of the model requires a gradient; the caller says which layers are in training mode."""
    optimizer = optim.AdamW([param for param in model.parameters() if param.requires_grad], lr, fused=True)
    steps = max(1, len(images) // args.batch_size)
    scheduler = optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=epochs * steps)
    for _ in range(epochs):
        for batch in torch.randperm(len(images)).tensor_split(steps):
            x, y = images[batch].to(args.device), labels[batch].to(args.device)
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
            scheduler.step()


@torch.no_grad()
def accuracy(model, images, labels, args):
    model.eval()
    named = [model(batch.to(args.device)).argmax(dim=1).cpu() for batch in images.split(100)]
    return (torch.cat(named) == labels).float().mean().item()


def base_network(args):
    """A resnet18 with the weights asked for, and the transform that its pictures need."""
    small = v2.Compose(
        [
            v2.ToImage(),
            v2.Resize(32),
            v2.CenterCrop(32),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize([0.5] * 3, [0.5] * 3),
        ]
    )
    if args.weights == "imagenet":
        weights = ResNet18_Weights.DEFAULT
        fetch_weights(weights)
        return torchvision.models.resnet18(weights=weights), weights.transforms()
    if args.weights == "none":
        return torchvision.models.resnet18(weights=None), small
    folder = sample(make_tiny_objects) / "train"
    others = sorted({path.name for path in folder.iterdir()} - {*SMALL_SET})
    path = args.out / f"base_{args.pictures}.pt"
    model = torchvision.models.resnet18(num_classes=len(others))
    if path.exists():
        model.load_state_dict(torch.load(path, weights_only=True))
        print(f"weights learnt before: {path}")
    else:
        images, labels, _ = load_pictures(folder, small, args.pictures, others)
        fit(model.to(args.device).train(), images, labels, args, epochs=8, lr=0.002)
        torch.save(model.state_dict(), path)
        print(f"weights learnt from {len(images)} drawings of {', '.join(others)}: {path}")
    return model, small


def small_set(args, transform):
    """A few pictures to learn from and others to test: (images, labels), (images, labels), names of the classes."""
    if args.data == "sample":
        root = sample(make_tiny_objects)
        images, labels, classes = load_pictures(root / "train", transform, PICTURES, SMALL_SET)
        return (images, labels), load_pictures(root / "test", transform, None, SMALL_SET)[:2], classes
    images, labels, classes = load_pictures(args.data, transform)
    order = torch.randperm(len(images))
    test = len(images) // 5
    if not test or len(classes) < 2:
        raise UserError(
            f"--data {args.data}: {len(images)} pictures of {len(classes)} classes; expected 5 of 2 or more"
        )
    parts = [(images[chosen], labels[chosen]) for chosen in (order[test:], order[:test])]
    return *parts, classes


def show_what_moved(model, before):
    """Prints, for each part of the network, how far its weights and its statistics are from where they were."""
    moved = {}
    print(f"{'part':<9}{'numbers':>12}{'trained':>9}{'weights moved by':>18}{'statistics by':>15}")
    for name, part in model.named_children():
        was = dict(before.get_submodule(name).state_dict())
        if not was:
            continue
        weights = {key for key, _ in part.named_parameters()}
        distance = {key: (value - was[key]).abs().max().item() for key, value in part.state_dict().items()}
        by_weights = max(distance[key] for key in weights)
        by_statistics = max((distance[key] for key in distance.keys() - weights), default=0.0)
        moved[name] = (by_weights, by_statistics)
        trained = "yes" if any(param.requires_grad for param in part.parameters()) else "no"
        numbers = sum(param.numel() for param in part.parameters())
        print(f"{name:<9}{numbers:>12,}{trained:>9}{by_weights:>18.6f}{by_statistics:>15.6f}")
    return moved


def transfer(args):
    """Puts a new head on a frozen network and trains it; returns the accuracies before and after, and what moved."""
    model, transform = base_network(args)
    train_set, test_set, classes = small_set(args, transform)
    freeze(model)
    model.fc = nn.Linear(model.fc.in_features, len(classes))
    model.to(args.device)
    before = copy.deepcopy(model)
    untrained = accuracy(model, *test_set, args)
    model.eval()  # The statistics of the frozen layers stay as they are; the head behaves the same in both modes.
    fit(model, *train_set, args, args.epochs, args.lr)
    trained = accuracy(model, *test_set, args)
    moved = show_what_moved(model, before)
    print(
        f"{', '.join(classes)}: the untrained head names {untrained:.1%} of {len(test_set[1])} unseen pictures right, "
        f"{trained:.1%} after {args.epochs} epochs over {len(train_set[1])} pictures"
    )
    return untrained, trained, moved


def read_flags(argv=None):
    omit = ("--workers", "--resume", "--amp", "--compile", "--evaluate", "--checkpoint", "--predict")
    flags = cli.parser(__doc__, epochs=60, batch_size=32, lr=0.01, omit=omit)
    flags.add_argument("--weights", choices=["own", "none", "imagenet"], default="own", help="(default: %(default)s)")
    flags.add_argument(
        "--pictures", type=cli.positive_int, default=200, help="of each kind, for own weights (default: %(default)s)"
    )
    return cli.parse(flags, argv)


def main(argv=None):
    args = read_flags(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    show_the_page()
    transfer(args)


if __name__ == "__main__":
    cli.run(main)
