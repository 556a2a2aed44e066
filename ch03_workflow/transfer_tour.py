"""Listing 3.7: resnet18 with layers frozen.

    python ch03_workflow/transfer_tour.py                      weights learnt here, on other pictures
    python ch03_workflow/transfer_tour.py --weights none       weights that nobody has trained
    python ch03_workflow/transfer_tour.py --weights imagenet   the page's pretrained=True: downloads 45 MB
    python ch03_workflow/transfer_tour.py --data DIR           your own pictures, DIR/<class>/<name>.jpg

A new last layer, the head, learns to tell the classes of a small set apart, while every layer below it is frozen. The
table that it prints shows what has moved. Offline the trained weights come from a short training on seven kinds of the
embedded drawings; the small set holds the three other kinds. These weights are kept in `--out` and are those of every
`--seed`, which is the head's. Two threads compute, whatever the machine has: with another number of them sums round
otherwise, and the last figure is another one.
"""

import copy

import torch
import torch.nn.functional as F
import torchvision
from torch import nn, optim
from torchvision.models import ResNet18_Weights
from torchvision.transforms import v2

from ch03_workflow.loaders.image_folder import open_image_folder
from common import checkpoints
from common.cli import count, positive_int
from common.downloads import fetch_weights
from common.errors import UserError
from common.tours import tour
from data import sample
from data.tiny_objects import make_tiny_objects

flags = {
    "--weights": dict(choices=["own", "none", "imagenet"], default="own", help="(default: %(default)s)"),
    "--data": dict(default="sample", metavar="{sample,DIR}", help="the sample, or a folder of classes"),
    "--pictures": dict(type=positive_int, default=200, help="of each kind, for own weights (default: %(default)s)"),
    "--epochs": dict(type=positive_int, default=60, help="over the small set (default: %(default)s)"),
    "--seed": dict(type=count, default=0, help="weights and order (default: %(default)s)"),
}
args = tour(__doc__, flags)
torch.set_num_threads(2)


# %% 3.7 resnet18, and its first group of layers frozen
# pretrained=False and =True have been deprecated since torchvision 0.13: weights=None, or ResNet18_Weights.DEFAULT.
def freeze(module):
    """Autograd computes no gradient for these parameters, so no optimiser moves them."""
    for param in module.parameters():
        param.requires_grad = False


resnet18 = torchvision.models.resnet18(weights=None)
freeze(resnet18.layer1)
frozen = [name for name, param in resnet18.named_parameters() if not param.requires_grad]
numbers = sum(param.numel() for param in resnet18.layer1.parameters())
resnet18(torch.rand(2, 3, 64, 64)).sum().backward()
without_gradient = [name for name, param in resnet18.named_parameters() if param.grad is None]
print(f"layer1: {len(frozen)} parameters, {numbers:,} numbers, frozen")
print(f"those without gradient are they: {without_gradient == frozen}")

# %% 3.7 What requires_grad does not freeze: the running statistics of batch normalisation
# They are buffers, no parameters.
running_mean = resnet18.layer1[0].bn1.running_mean.abs().max().item()
print(f"the frozen layer's running mean has moved by up to {running_mean:.3f}: only eval() holds it still")


# %% Pictures as tensors, training, scoring
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


def fit(model, images, labels, epochs, lr, batch_size=32):
    """Trains whatever of the model requires a gradient; the caller says which layers are in training mode."""
    optimizer = optim.AdamW([param for param in model.parameters() if param.requires_grad], lr, fused=True)
    steps = max(1, len(images) // batch_size)
    scheduler = optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=epochs * steps)
    for epoch in range(1, epochs + 1):
        for batch in torch.randperm(len(images)).tensor_split(steps):
            x, y = images[batch].to(args.device), labels[batch].to(args.device)
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            scheduler.step()
        if epoch % max(1, epochs // 8) == 0:
            print(f"epoch {epoch:>2} of {epochs}: loss of the last batch {loss.item():.4f}", flush=True)


@torch.no_grad()
def accuracy(model, images, labels):
    model.eval()
    named = [model(batch.to(args.device)).argmax(dim=1).cpu() for batch in images.split(100)]
    return (torch.cat(named) == labels).float().mean().item()


# %% The base network, with the weights asked for, and the transform that its pictures need
# It never sees the kinds of the small set, but their kin (truck, dog, airplane), so that what it has learnt is of use.
SMALL_SET, PICTURES = ("automobile", "cat", "ship"), 10
transform = v2.Compose(
    [
        v2.ToImage(),
        v2.Resize(32),
        v2.CenterCrop(32),
        v2.ToDtype(torch.float32, scale=True),
        v2.Normalize([0.5] * 3, [0.5] * 3),
    ]
)
if args.data != "sample":
    open_image_folder(args.data, transform)  # a mistake in it is told now, and not after the base has learnt
if args.weights == "imagenet":
    fetch_weights(ResNet18_Weights.DEFAULT)
    model = torchvision.models.resnet18(weights=ResNet18_Weights.DEFAULT)
    transform = ResNet18_Weights.DEFAULT.transforms()
elif args.weights == "none":
    model = torchvision.models.resnet18(weights=None)
else:
    folder = sample(make_tiny_objects) / "train"
    others = sorted({path.name for path in folder.iterdir()} - {*SMALL_SET})
    model = torchvision.models.resnet18(num_classes=len(others)).to(args.device)
    path = args.out / f"base_{args.pictures}.pt"
    try:
        checkpoints.load_weights(model, path)
        print(f"weights learnt before: {path}")
    except UserError as reason:
        if path.exists():
            print(f"{reason}; they are learnt anew")
        print(f"learning from {args.pictures} drawings each of {', '.join(others)}", flush=True)
        torch.manual_seed(0)
        model = torchvision.models.resnet18(num_classes=len(others)).to(args.device)
        images, labels, _ = load_pictures(folder, transform, args.pictures, others)
        fit(model.train(), images, labels, epochs=8, lr=0.002)
        run = checkpoints.Run("base", {"pictures": args.pictures})
        checkpoints.writer(args.out)({"run": run.state_dict(), "model": model.state_dict()}, path.name)
# What follows is the same whether these weights were learnt just now or before.
torch.manual_seed(args.seed)

# %% The small set: a few pictures to learn from, and others to test
if args.data == "sample":
    root = sample(make_tiny_objects)
    *train_set, classes = load_pictures(root / "train", transform, PICTURES, SMALL_SET)
    *test_set, _ = load_pictures(root / "test", transform, None, SMALL_SET)
else:
    images, labels, classes = load_pictures(args.data, transform)
    order, test = torch.randperm(len(images)), len(images) // 5
    if not test or len(classes) < 2:
        raise UserError(
            f"--data {args.data}: {len(images)} pictures of {len(classes)} classes; expected 5 of 2 or more"
        )
    train_set, test_set = [(images[chosen], labels[chosen]) for chosen in (order[test:], order[:test])]
print(f"{', '.join(classes)}: {len(train_set[1])} pictures to learn from, {len(test_set[1])} to test")

# %% A new head on frozen layers
freeze(model)
model.fc = nn.Linear(model.fc.in_features, len(classes))
model.to(args.device)
before = copy.deepcopy(model)
untrained = accuracy(model, *test_set)
# In eval() the statistics of the frozen layers stay as they are; the head behaves the same in both modes.
fit(model.eval(), *train_set, args.epochs, lr=0.01)
trained = accuracy(model, *test_set)
print(f"the untrained head names {untrained:.1%} of {len(test_set[1])} unseen pictures right")
print(f"after {args.epochs} epochs over {len(train_set[1])} pictures it names {trained:.1%}")

# %% What has moved
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
    requires_grad = "yes" if any(param.requires_grad for param in part.parameters()) else "no"
    numbers_here = sum(param.numel() for param in part.parameters())
    print(f"{name:<9}{numbers_here:>12,}{requires_grad:>9}{by_weights:>18.6f}{by_statistics:>15.6f}")
