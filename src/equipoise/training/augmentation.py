"""Views of grey radiographs: what may change without the image becoming another patient's.

A view is moved, turned a little, cropped moderately, and changed in exposure, sharpness and noise,
as between two acquisitions. It is never mirrored: the side of the heart, of a marker or of a
finding is part of what an image says, and situs inversus is a diagnosis. It gets no colour. Crops,
blur and noise stay so mild that a small opacity survives them: what differs between two views of
an image is what the encoder learns to overlook.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from equipoise.training.plans import Augmentation

_PAST = 2
"""A view is sampled this many times finer, then averaged: point sampling would alias."""
_REACH = 2
"""Half the side of the blur's kernel (pixels)."""


@dataclass(frozen=True, slots=True)
class _Draw:
    """Uniform numbers for the images of a batch, on the device of the images."""

    n: int
    generator: torch.Generator
    device: torch.device

    def __call__(self, low: float, high: float) -> Tensor:
        # Drawn on the CPU: a seed then gives the same views on every device.
        drawn = low + (high - low) * torch.rand(self.n, generator=self.generator)
        return drawn.to(self.device)


def views(images: Tensor, chosen: Augmentation, *, size: int, generator: torch.Generator) -> Tensor:
    """Return one view of each image ``(n, 1, size, size)``.

    Parameters
    ----------
    images
        Grey, 0 to 1, ``(n, 1, height, width)``.
    chosen
        How far a view may differ.
    size
        Height and width of a view (pixels).
    generator
        Where the draws come from (on the CPU).

    Examples
    --------
    >>> seeded = torch.Generator().manual_seed(0)
    >>> views(torch.rand(2, 1, 32, 32), Augmentation(), size=16, generator=seeded).shape
    torch.Size([2, 1, 16, 16])
    """
    draw = _Draw(len(images), generator, images.device)
    found = _exposed(_placed(images, chosen, draw, size), chosen, draw)
    found = _blurred(found, chosen, draw)
    grain = torch.randn(found.shape, generator=generator).to(found.device)
    found = found + _each(draw(0, chosen.noise)) * grain
    return _covered(found, chosen, draw)


def _each(values: Tensor) -> Tensor:
    return values.view(-1, 1, 1, 1)


def _placed(images: Tensor, chosen: Augmentation, draw: _Draw, size: int) -> Tensor:
    area = draw(chosen.smallest_crop, 1.0)
    ratio = torch.exp(draw(-math.log(chosen.stretch), math.log(chosen.stretch)))
    wide, high = (area * ratio).sqrt().clamp(max=1), (area / ratio).sqrt().clamp(max=1)
    x, y = draw(-1, 1) * (1 - wide), draw(-1, 1) * (1 - high)
    turn = draw(-chosen.rotation, chosen.rotation) * (math.pi / 180)
    cosine, sine = turn.cos(), turn.sin()
    rows = [
        torch.stack([cosine * wide, -sine * high, x], dim=1),
        torch.stack([sine * wide, cosine * high, y], dim=1),
    ]
    fine = _PAST * size
    grid = functional.affine_grid(
        torch.stack(rows, dim=1), [len(images), 1, fine, fine], align_corners=False
    )
    found = functional.grid_sample(images, grid, padding_mode="border", align_corners=False)
    return functional.avg_pool2d(found, _PAST)


def _exposed(found: Tensor, chosen: Augmentation, draw: _Draw) -> Tensor:
    gamma = torch.exp(draw(-chosen.gamma, chosen.gamma))
    found = found.clamp(1e-4, 1.0) ** _each(gamma)
    mean = found.mean(dim=(2, 3), keepdim=True)
    factor = torch.exp(draw(-chosen.contrast, chosen.contrast))
    shift = draw(-chosen.brightness, chosen.brightness)
    return (found - mean) * _each(factor) + mean + _each(shift)


def _blurred(found: Tensor, chosen: Augmentation, draw: _Draw) -> Tensor:
    n = len(found)
    sigma = draw(0.1, max(chosen.sigma, 0.1))
    at = torch.arange(-_REACH, _REACH + 1, dtype=found.dtype, device=found.device)
    kernel = torch.exp(-0.5 * (at[None, :] / sigma[:, None]) ** 2)  # (n, 5)
    sharp = (draw(0, 1) >= chosen.blur)[:, None]
    kernel = torch.where(sharp, (at == 0).to(found)[None, :], kernel)
    kernel = kernel / kernel.sum(dim=1, keepdim=True)
    rows = found.transpose(0, 1)  # (1, n, size, size): an image a channel, each its own kernel
    rows = functional.pad(rows, (_REACH, _REACH, 0, 0), mode="replicate")
    rows = functional.conv2d(rows, kernel.view(n, 1, 1, -1), groups=n)
    rows = functional.pad(rows, (0, 0, _REACH, _REACH), mode="replicate")
    return functional.conv2d(rows, kernel.view(n, 1, -1, 1), groups=n).transpose(0, 1)


def _covered(found: Tensor, chosen: Augmentation, draw: _Draw) -> Tensor:
    size = found.shape[-1]
    there = draw(0, 1) < chosen.cutout
    half = draw(0.5, 1) * chosen.side / 2
    at = (torch.arange(size, device=found.device) + 0.5) / size
    down = (at[None, :] - draw(0, 1)[:, None]).abs() < half[:, None]  # (n, size)
    across = (at[None, :] - draw(0, 1)[:, None]).abs() < half[:, None]
    inside = down[:, :, None] & across[:, None, :] & there[:, None, None]
    return torch.where(inside[:, None], found.mean(dim=(2, 3), keepdim=True), found)
