"""SimCLR's contrastive objective, a loss per image, its negatives from all or the own group.

Where negatives come from other groups, telling two images apart may rest on what tells the
groups apart, and the encoder learns the group. Negatives of the same group leave nothing to be
gained from it.
"""

import torch
from torch import Tensor
from torch.nn import functional

UNKNOWN = -1
"""Code of an image whose group is not known: it is contrasted with all."""


def simclr(
    z_a: Tensor,
    z_b: Tensor,
    *,
    temperature: float,
    groups: Tensor | None = None,
    same_group_negatives: bool = False,
) -> Tensor:
    """Return the NT-Xent loss of each image, the mean over its two views ``(n,)``.

    Parameters
    ----------
    z_a, z_b
        Vectors of the two views ``(n, d)``; normalised here, in single precision.
    temperature
        By which cosines are divided, above 0.
    groups
        Code of each image's group ``(n,)``, -1 where it is not known.
    same_group_negatives
        Whether an image's negatives are those of its own group alone. One of an unknown group
        is contrasted with all, and is a negative only to such.

    References
    ----------
    Chen, Kornblith, Norouzi & Hinton 2020, ICML (NT-Xent); Ma, Tsai, Liang, Zhao, Zhang,
    Salakhutdinov & Morency 2021, arXiv 2106.02866 (conditional contrastive learning).

    Examples
    --------
    Held against hand computations in ``tests/training/test_losses.py``; with one image there is
    nothing to tell it from, and no loss:

    >>> simclr(torch.ones(1, 2), torch.ones(1, 2), temperature=0.5).abs().tolist()
    [0.0]
    """
    n = len(z_a)
    z = functional.normalize(torch.cat([z_a, z_b]).float(), dim=1)  # (2n, d)
    logits = z @ z.T / temperature
    shut = torch.eye(2 * n, dtype=torch.bool, device=z.device)
    if same_group_negatives and groups is not None:
        both = torch.cat([groups, groups])
        known = both != UNKNOWN
        shut = shut | ((both[:, None] != both[None, :]) & known[:, None])
    partner = torch.arange(2 * n, device=z.device).roll(n)
    each = functional.cross_entropy(
        logits.masked_fill(shut, float("-inf")), partner, reduction="none"
    )
    return (each[:n] + each[n:]) / 2
