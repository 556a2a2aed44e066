"""Augmentation of whole batches, image and mask together, on whatever device they lie.

torchvision's random transforms draw once for all that they are given. Here every example of a batch draws for itself,
in a few operations a batch, so that a GPU augments as fast as it trains; the rest (`tv_tensors`, `Compose`, which part
of a sample is touched how) is torchvision's.
"""

import torch
import torch.nn.functional as F
from torchvision import tv_tensors
from torchvision.transforms import v2

from ch04_vision.loaders.camvid import VOID
from common.batches import rand

# Mean and standard deviation of ImageNet's channels, 0 to 1: what pretrained encoders of torchvision expect.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class RandomScaleCropFlip(v2.Transform):
    """Scales each frame by a random factor, cuts a random window of one size out of it, mirrors half of them.

    Images are sampled bilinearly, masks by nearest neighbour, so that no label is ever a mixture of two. What lies
    outside the frame is black in the image and void in the mask.

    Args:
        size: height and width of the window in pixels.
        scale: lowest and highest factor; drawn so that halving is as likely as doubling.
    """

    def __init__(self, size, scale):
        super().__init__()
        self.size, self.scale = tuple(size), scale

    def make_params(self, flat_inputs):
        frame = torch.tensor(flat_inputs[0].shape[-2:])
        factor, top, left, mirrored = rand(len(flat_inputs[0]), 4).unbind(1)
        low, high = self.scale
        factor = low * (high / low) ** factor
        # In the coordinates of grid_sample, where a frame spans -1 to 1: the window's extent, then its centre.
        extent = torch.tensor(self.size) / (factor[:, None] * frame)
        centre = (2 * torch.stack([top, left], 1) - 1) * (1 - extent).abs()
        theta = torch.zeros(len(factor), 2, 3)
        theta[:, 0, 0] = extent[:, 1] * torch.where(mirrored < 0.5, -1.0, 1.0)
        theta[:, 1, 1] = extent[:, 0]
        theta[:, :, 2] = centre.flip(1)
        theta = theta.to(flat_inputs[0].device)
        return {"grid": F.affine_grid(theta, (len(theta), 1, *self.size), align_corners=False)}

    def transform(self, inpt, params):
        if isinstance(inpt, tv_tensors.Mask):
            # Padding is zero, so void is made zero for the time of the sampling.
            shifted = (inpt.as_subclass(torch.Tensor).float() - VOID).unsqueeze(1)
            cut = F.grid_sample(shifted, params["grid"], mode="nearest", align_corners=False)
            return tv_tensors.Mask(cut.squeeze(1).add_(VOID).to(torch.uint8))
        cut = F.grid_sample(inpt.as_subclass(torch.Tensor).float(), params["grid"], align_corners=False)
        return tv_tensors.Image(cut)


class RandomColour(v2.Transform):
    """Changes brightness, contrast and saturation of each image by factors from 1 - strength to 1 + strength."""

    def __init__(self, strength):
        super().__init__()
        self.strength = strength

    def make_params(self, flat_inputs):
        factors = 1 + self.strength * (2 * rand(len(flat_inputs[0]), 3) - 1)
        return {"factors": factors.to(flat_inputs[0].device)[..., None, None, None]}

    def transform(self, inpt, params):
        if isinstance(inpt, tv_tensors.Mask):
            return inpt
        brightness, contrast, saturation = params["factors"].unbind(1)
        image = inpt.as_subclass(torch.Tensor) * brightness
        grey = image.mean(dim=1, keepdim=True)
        image = torch.lerp(grey, image, saturation)
        return tv_tensors.Image(torch.lerp(grey.mean(dim=(2, 3), keepdim=True), image, contrast).clamp_(0, 255))


def prepare(images, masks, augment=None):
    """A batch of frames as the network takes it.

    Args:
        images: uint8, (batch, 3, height, width).
        masks: uint8, (batch, height, width).
        augment: a transform of `tv_tensors`, or None.

    Returns:
        images: float32, normalised, (batch, 3, height, width), in the channels-last memory format.
        masks: int64, (batch, height, width).
    """
    if augment:
        images, masks = augment(tv_tensors.Image(images), tv_tensors.Mask(masks))
        images, masks = images.as_subclass(torch.Tensor), masks.as_subclass(torch.Tensor)
    mean, std = (255 * torch.tensor(values, device=images.device).view(3, 1, 1) for values in (MEAN, STD))
    images = (images.float() - mean) / std
    return images.contiguous(memory_format=torch.channels_last), masks.long()
