"""A small residual network for grey images, and the head that only pre-training needs.

Our own rather than one of timm's: timm imports torchvision unconditionally, which fails beside a
CPU build of torch and adds some 50 MB, and its smallest residual networks are ten times larger
than an encoder of 2 MB may be. A finding of a few pixels is lost in a mean over the whole image:
so the vector holds, of each feature map, the mean and the maximum.

Normalisation is over the batch while training and fixed afterwards: the vector of an image does
not depend on what stands beside it, and in the exported file nothing of it is left but factors.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from equipoise.training.plans import Architecture

AROUND = 15
"""Side of the surroundings that a pixel is held against (pixels of the input)."""
STANDS_OUT = 2.0
"""Factor on the difference, so that it is of the size of the image itself."""


class Block(nn.Module):
    """Two convolutions beside a short cut; the first may halve the grid."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.first_norm = nn.BatchNorm2d(after)
        self.second = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.second_norm = nn.BatchNorm2d(after)
        self.cut: nn.Module = nn.Identity()
        if stride != 1 or before != after:
            self.cut = nn.Sequential(
                nn.AvgPool2d(stride) if stride != 1 else nn.Identity(),
                nn.Conv2d(before, after, 1, bias=False),
                nn.BatchNorm2d(after),
            )

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps ``(b, after, h / stride, w / stride)``."""
        found = functional.relu(self.first_norm(self.first(maps)))
        found = self.second_norm(self.second(found))
        return functional.relu(found + self.cut(maps))


class Network(nn.Module):
    """From normalised grey images ``(b, 1, size, size)`` to vectors ``(b, d)``."""

    def __init__(self, shape: Architecture) -> None:
        super().__init__()
        self.stem = nn.Conv2d(2, shape.widths[0], 3, 2, 1, bias=False)
        self.stem_norm = nn.BatchNorm2d(shape.widths[0])
        stages: list[nn.Module] = []
        before = shape.widths[0]
        for number, (after, blocks) in enumerate(zip(shape.widths, shape.blocks, strict=True)):
            for place in range(blocks):
                stages.append(Block(before, after, 2 if number and not place else 1))
                before = after
        self.stages = nn.Sequential(*stages)

    def forward(self, images: Tensor) -> Tensor:
        """Return vectors ``(b, d)``: mean and maximum of each map."""
        side = AROUND
        around = functional.avg_pool2d(images, side, 1, side // 2, count_include_pad=False)
        # Beside the image, how it differs from its surroundings: there an opacity stands out.
        both = torch.cat([images, STANDS_OUT * (images - around)], dim=1)  # (b, 2, size, size)
        maps = functional.relu(self.stem_norm(self.stem(both)))
        maps = self.stages(maps)  # (b, c, size / 8, size / 8)
        return torch.cat([maps.mean(dim=(2, 3)), maps.amax(dim=(2, 3))], dim=1)


def network(shape: Architecture, *, generator: torch.Generator) -> tuple[Network, nn.Sequential]:
    """Return an encoder and its projection head, their weights drawn from the generator alone.

    Parameters
    ----------
    shape
        Of the encoder.
    generator
        On the CPU. The global one of torch is left as it was.

    References
    ----------
    He, Zhang, Ren & Sun 2015, ICCV (the draw; residual blocks: 2016, CVPR).

    Examples
    --------
    >>> encoder, head = network(Architecture(), generator=torch.Generator().manual_seed(0))
    >>> sum(weights.numel() for weights in encoder.parameters()) < 450_000
    True
    """
    with torch.random.fork_rng(devices=[]):  # constructors draw too, from the global generator
        encoder = Network(shape)
        head = nn.Sequential(
            nn.Linear(shape.dimension, shape.dimension),
            nn.BatchNorm1d(shape.dimension),
            nn.ReLU(),
            nn.Linear(shape.dimension, shape.projection),
        )
    for part in (*encoder.modules(), *head.modules()):
        if isinstance(part, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(part.weight, nonlinearity="relu", generator=generator)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
    return encoder, head
