"""Listings 3.3 to 3.6, 3.8 and 3.9: torchvision.

    python ch03_workflow/torchvision_tour.py

Data sets, folders of pictures, transforms, and the page's table. It prints what the pages print and draws
`transforms.png` and `together.png` into `runs/torchvision_tour`. Real MNIST is opened by mnist.py; models, listing 3.7,
are in transfer_tour.py.
"""

import inspect
import textwrap

import numpy as np
import torch
from matplotlib.figure import Figure
from torch.utils.data import DataLoader, Dataset
from torchvision import tv_tensors
from torchvision.transforms import v2

from ch03_workflow.loaders.image_folder import open_image_folder
from ch03_workflow.loaders.mnist import mnist_folder
from common.tours import tour
from data.tiny_objects import draw_object

args = tour(__doc__)

# %% 3.3 torchvision, under its full name and under the page's `v`, which the page does not define
import torchvision
import torchvision as v
from torchvision import transforms

print(f"{torchvision.__version__ = }, {torchvision.get_image_backend() = }")

# %% 3.4 MNIST; mnist_folder draws the sample if it is not there yet
# The page's v.datasets.MNIST('.', download=True) fetches the real set: python ch03_workflow/mnist.py --download DIR
root = mnist_folder("sample")
mnist = v.datasets.MNIST(root)
print(mnist)
print(f"a torch Dataset: {isinstance(mnist, Dataset)}")

# %% 3.5 An item is an image and its label: an int today, tensor(0) on the page
image, label = mnist[1]
print((image, label))
print(f"{len(mnist) = }, {image.mode = }, {image.size = }")

# %% With a transform to tensors, a DataLoader takes it as it is
loader = DataLoader(v.datasets.MNIST(root, transform=transforms.ToTensor()), batch_size=32)
images, labels = next(iter(loader))
print(f"{images.shape = }, {labels[:8] = }")

# %% The page's table of data sets, as the installed library has them
# "All need one argument, the path", says the text; these are the ones that need more, or cannot download.
PAGE_TABLE = {
    "MNIST": ["MNIST"],
    "KMNIST": ["KMNIST"],
    "Fashion MNIST": ["FashionMNIST"],
    "EMNIST": ["EMNIST"],
    "COCO": ["CocoCaptions", "CocoDetection"],
    "LSUN": ["LSUN"],
    "Imagenet-12": ["ImageNet"],
    "CIFAR": ["CIFAR10", "CIFAR100"],
    "STL10": ["STL10"],
    "SVHN": ["SVHN"],
    "PhotoTour": ["PhotoTour"],
}


def parameters_of(dataset):
    """The parameters of a data set's constructor, with those that it passes on in **kwargs to the class above."""
    found = {}
    for ancestor in inspect.getmro(dataset):
        own = inspect.signature(ancestor.__init__).parameters
        found = dict(own) | found
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in own.values()):
            break
    return found


def describe(name):
    """What the library tells of a data set: the arguments that it needs besides `root`, and whether it downloads."""
    dataset = getattr(torchvision.datasets, name)
    own = inspect.signature(dataset).parameters.values()
    return {
        "needs": [p.name for p in own if p.default is p.empty and p.kind is not p.VAR_KEYWORD and p.name != "root"],
        "downloads": "download" in parameters_of(dataset),
        "is a Dataset": issubclass(dataset, Dataset)
        and hasattr(dataset, "__len__")
        and hasattr(dataset, "__getitem__"),
    }


table = {name: describe(name) for names in PAGE_TABLE.values() for name in names}
print(f"{'on the page':<14}{'class':<15}{'needs besides root':<20}downloads")
for title, names in PAGE_TABLE.items():
    for name in names:
        row = table[name]
        downloads = "yes" if row["downloads"] else "no"
        print(f"{title:<14}{name:<15}{', '.join(row['needs']) or '-':<20}{downloads}")

# %% And there are many more today
every = [name for name in torchvision.datasets.__all__ if inspect.isclass(getattr(torchvision.datasets, name))]
all_datasets = all(issubclass(getattr(torchvision.datasets, name), Dataset) for name in every)
print(f"{len(every)} classes, each of them a torch Dataset: {all_datasets}")

# %% 3.6 A folder of pictures, a folder a class; the names of the files do not matter
folder = args.out / "images"
rng = np.random.default_rng(0)
for name, kind, count in [("class_a", "cat", 4), ("class_b", "ship", 3)]:
    (folder / name).mkdir(parents=True, exist_ok=True)
    for number in range(1, count + 1):
        draw_object(rng, kind).resize((160, 120)).save(folder / name / f"img{number}.jpg")
# Not torchvision.ImageFolder, as the text has it.
images = torchvision.datasets.ImageFolder(folder)
print(images[0], f"{len(images) = }, {images.class_to_idx = }")

# %% What lies between the pictures and is none is passed over without a word; open_image_folder counts it
(folder / "class_a" / "notes.txt").write_text("taken on Sunday\n")
silent = torchvision.datasets.ImageFolder(folder)
told = open_image_folder(folder)
print(f"{len(silent) = }, {len(told) = }")

# %% A folder without classes is an error
(args.out / "empty").mkdir(exist_ok=True)
try:
    torchvision.datasets.ImageFolder(args.out / "empty")
except FileNotFoundError as error:
    no_class = str(error)
    print(f"FileNotFoundError: {no_class}")

# %% 3.8 ToTensor: height x width x channels of 0..255 become channels x height x width of 0.0..1.0
# The text says channels x width x height. mean and std are not given on the page: one number a channel.
picture = draw_object(rng, "ship").resize((30, 20))
tensor = transforms.ToTensor()(picture)
print(
    f"{picture.size = } (width, height), {tensor.shape = }, {tensor.dtype = }, {tensor.min():.2f} to {tensor.max():.2f}"
)
mean = std = (0.5, 0.5, 0.5)
transform = transforms.Compose(
    [
        transforms.ToTensor(),
        transforms.Normalize(mean, std),
    ]
)
normalized = transform(picture)
print(f"0 to 1 becomes -1 to 1: {torch.allclose(normalized, (tensor - 0.5) / 0.5)}")


# %% 3.9 Compose written out
class Compose:
    """Applies each transform to the result of the one before."""

    def __init__(self, transforms):
        self.transforms = transforms

    def __call__(self, img):
        for t in self.transforms:
            img = t(img)
        return img


same_result = torch.equal(Compose(transform.transforms)(picture), normalized)
library_source = textwrap.dedent(inspect.getsource(transforms.Compose.__call__))
own_source = textwrap.dedent(inspect.getsource(Compose.__call__))
print(library_source)
print(f"{same_result = }, {own_source == library_source = }")

# %% The same as transforms v2, the library's present set; ToTensor is now two steps
transform_v2 = v2.Compose(
    [
        v2.ToImage(),
        v2.ToDtype(torch.float32, scale=True),
        v2.Normalize(mean, std),
    ]
)
# Equal within rounding.
v1_equals_v2 = torch.allclose(transform_v2(picture), normalized, atol=1e-6)
print(f"{v1_equals_v2 = }")

# %% What the text names, on one picture: `transforms.png`
cat = draw_object(np.random.default_rng(4), "cat").resize((96, 96))
shown = {
    "as it is": v2.Identity(),
    "Pad(12)": v2.Pad(12),
    "CenterCrop(64)": v2.CenterCrop(64),
    "Grayscale()": v2.Grayscale(3),
    "RandomAffine(30)": v2.RandomAffine(30, scale=(0.6, 1)),
    "RandomHorizontalFlip(1)": v2.RandomHorizontalFlip(1),
    "RandomCrop(64)": v2.RandomCrop(64),
    "ColorJitter(...)": v2.ColorJitter(brightness=0.4, contrast=0.4, saturation=0.6, hue=0.2),
}
figure = Figure(figsize=(8.4, 4.8), dpi=130, layout="constrained")
for axes, (name, change) in zip(figure.subplots(2, 4).flat, shown.items()):
    changed = change(cat)
    axes.imshow(changed)
    axes.set_title(f"{name}\n{changed.width} x {changed.height}", fontsize=9)
    axes.set_axis_off()
figure.savefig(args.out / "transforms.png")

# %% Random transforms draw from torch's generator: one seed, one result
torch.manual_seed(7)
once = transforms.RandomCrop(16)(tensor)
torch.manual_seed(7)
again = v2.RandomCrop(16)(tensor)
print(f"{torch.equal(once, again) = }")

# %% v2 moves a picture together with its mask and its boxes, each in its own way: `together.png`
canvas = v2.functional.to_image(cat)
mask = tv_tensors.Mask(torch.zeros(96, 96, dtype=torch.uint8))
mask[8:86, 20:82] = 1
boxes = tv_tensors.BoundingBoxes([[20, 8, 82, 86]], format="XYXY", canvas_size=(96, 96))
turned = v2.Compose([v2.RandomHorizontalFlip(1), v2.RandomAffine((20, 20), translate=(0.1, 0))])(canvas, mask, boxes)
figure = Figure(figsize=(6.4, 3.4), dpi=130, layout="constrained")
for axes, title, (one, its_mask, its_boxes) in zip(
    figure.subplots(1, 2), ("before", "after"), ((canvas, mask, boxes), turned)
):
    axes.imshow(one.permute(1, 2, 0).numpy())
    axes.contour(its_mask.numpy(), levels=[0.5], colors="white")
    left, top, right, bottom = its_boxes[0].tolist()
    axes.plot([left, right, right, left, left], [top, top, bottom, bottom, top], color="tab:red")
    axes.set_title(f"{title}: mask white, box red")
    axes.set_axis_off()
figure.savefig(args.out / "together.png")
