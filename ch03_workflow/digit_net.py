"""What listings 3.20 to 3.27 use and do not show: MNIST in batches, `process_batch`, and a network for it."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, Dataset

from ch03_workflow.loaders.mnist import read_mnist
from common.batches import keep
from common.errors import UserError

MEAN, STD = 0.1307, 0.3081  # of the pixels of MNIST's training images, 0 to 1
VALIDATION_SHARE = 1 / 12  # of the training images: 5,000 of MNIST's 60,000


class Digits(Dataset):
    """Images, uint8 (examples, 28, 28), and labels, int64 (examples,), on the device; handed out a batch at a time."""

    def __init__(self, images, labels):
        self.images, self.labels = images, labels

    def __len__(self):
        return len(self.labels)

    def __getitems__(self, indices):
        return self.images[indices], self.labels[indices]


def get_data_loaders(train_batch_size, val_batch_size, data="sample", device="cpu", generator=None):
    """The loaders of the training and the validation images.

    The first is shuffled, by `generator` if there is one, and all its batches are full. The same images validate in
    every run, whatever its seed.
    """
    images, labels = (part.to(device) for part in read_mnist(data, train=True))
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    train, val = order[(n := round(VALIDATION_SHARE * len(order))) :], order[:n]
    if len(train) < train_batch_size:
        raise UserError(f"--batch-size {train_batch_size} is more than the {len(train)} training images")
    return (
        DataLoader(
            Digits(images[train], labels[train]),
            train_batch_size,
            shuffle=True,
            drop_last=True,
            collate_fn=keep,
            generator=generator,
        ),
        DataLoader(Digits(images[val], labels[val]), val_batch_size, collate_fn=keep),
    )


def get_test_loader(batch_size, data="sample", device="cpu"):
    """The loader of the test images, in order."""
    return DataLoader(Digits(*(part.to(device) for part in read_mnist(data, train=False))), batch_size, collate_fn=keep)


def process_batch(batch, device=None, non_blocking=False):
    """3.21 calls it and does not show it, and ignite takes it as `prepare_batch`: bytes become numbers, mean 0.

    Returns:
        images, float32 (batch, 1, 28, 28), and labels, int64 (batch,).
    """
    images, labels = batch
    return ((images.unsqueeze(1) / 255 - MEAN) / STD).to(device), labels.to(device)


class DigitNet(nn.Module):
    """Three convolutions, each with batch normalisation, ReLU and pooling, then a linear layer: 29,178 parameters."""

    def __init__(self, channels=16):
        super().__init__()
        layers = []
        for inputs, outputs in [(1, channels), (channels, 2 * channels), (2 * channels, 4 * channels)]:
            # No bias: the normalisation would subtract it again.
            layers += [nn.Conv2d(inputs, outputs, kernel_size=3, padding=1, bias=False), nn.BatchNorm2d(outputs)]
            layers += [nn.ReLU(), nn.MaxPool2d(2)]
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(4 * channels * 3 * 3, 10)

    def forward(self, images):
        """From images (batch, 1, 28, 28) to log-probabilities (batch, 10), as `F.nll_loss` expects them."""
        features = self.features(images)  # (batch, 4 * channels, 3, 3)
        return F.log_softmax(self.classifier(features.flatten(1)), dim=1)
