"""From the losses of a batch, one per image, to the number that is minimised.

All take ``(losses, groups, weights, state)`` and return value and state: the state is a weight
per group, on the simplex, which only `group_dro` changes. It is handed in and out, so that a
checkpoint can hold it. An image of unknown group (code -1) counts with its share of the batch
beside what the reducer makes of the rest. A group that is not in the batch has no say in it.
"""

import torch
from torch import Tensor

from equipoise.training.losses.contrastive import UNKNOWN


def start(n_groups: int) -> Tensor:
    """Return the state before the first step: every group weighs the same.

    Examples
    --------
    >>> start(2).tolist()
    [0.5, 0.5]
    """
    return torch.full((n_groups,), 1.0 / max(n_groups, 1), dtype=torch.float64)


def mean(losses: Tensor, groups: Tensor, weights: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    """Return the weighted mean over all images.

    Parameters
    ----------
    losses
        Of each image ``(n,)``.
    groups
        Code of its group ``(n,)``, -1 where it is not known.
    weights
        Of each image ``(n,)``, at least 0, not all 0.
    state
        Weight of each group ``(g,)``.

    Examples
    --------
    >>> one = torch.ones(2)
    >>> mean(torch.tensor([1.0, 3.0]), torch.tensor([0, 1]), one, start(2))[0].item()
    2.0
    """
    del groups
    return (losses * weights).sum() / weights.sum(), state


def group_balanced(
    losses: Tensor, groups: Tensor, weights: Tensor, state: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the mean of the means of the groups, so that a rare group has an equal say.

    References
    ----------
    Park, Lee, Lee, Hwang, Kim & Byun 2022, CVPR, arXiv 2203.16209 (group-wise normalisation).

    Examples
    --------
    >>> losses, groups = torch.tensor([1.0, 1.0, 1.0, 5.0]), torch.tensor([0, 0, 0, 1])
    >>> group_balanced(losses, groups, torch.ones(4), start(2))[0].item()
    3.0
    """
    each, there = group_means(losses, groups, weights, len(state))
    return _beside_unknown(each[there].mean(), losses, groups, weights), state


def group_dro(
    losses: Tensor, groups: Tensor, weights: Tensor, state: Tensor, *, step: float = 0.05
) -> tuple[Tensor, Tensor]:
    """Return the means of the groups weighted by a state that grows where the loss is high.

    Parameters
    ----------
    losses, groups, weights, state
        As for `mean`.
    step
        Of the exponentiated gradient ascent, at least 0. After it the state sums to 1 again.

    References
    ----------
    Sagawa, Koh, Hashimoto & Liang 2020, ICLR, arXiv 1911.08731, algorithm 1; the value is divided
    by the weights of the groups in the batch, so that its size does not hang on who is there.

    Examples
    --------
    >>> losses, groups = torch.tensor([0.0, 1.0]), torch.tensor([0, 1])
    >>> value, state = group_dro(losses, groups, torch.ones(2), start(2), step=float(torch.e))
    >>> bool(state[1] > state[0]), bool(value > 0.5)
    (True, True)
    """
    each, there = group_means(losses, groups, weights, len(state))
    with torch.no_grad():
        raised = state.log() + step * torch.where(there, each.detach().double(), 0.0)
        state = torch.softmax(raised, dim=0)
    share = state[there] / state[there].sum()
    return _beside_unknown((share.to(each) * each[there]).sum(), losses, groups, weights), state


def v_rex(
    losses: Tensor, groups: Tensor, weights: Tensor, state: Tensor, *, penalty: float = 1.0
) -> tuple[Tensor, Tensor]:
    """Return the mean of the means of the groups and a penalty on their variance.

    Parameters
    ----------
    losses, groups, weights, state
        As for `mean`.
    penalty
        Factor of the variance over the groups in the batch (divided by their number).

    References
    ----------
    Krueger, Caballero, Jacobsen et al. 2021, ICML, arXiv 2003.00688.

    Examples
    --------
    >>> losses, groups = torch.tensor([1.0, 3.0]), torch.tensor([0, 1])
    >>> v_rex(losses, groups, torch.ones(2), start(2), penalty=2.0)[0].item()
    4.0
    """
    each, there = group_means(losses, groups, weights, len(state))
    risks = each[there]
    value = risks.mean() + penalty * risks.var(correction=0)
    return _beside_unknown(value, losses, groups, weights), state


def cvar(
    losses: Tensor, groups: Tensor, weights: Tensor, state: Tensor, *, share: float = 0.5
) -> tuple[Tensor, Tensor]:
    """Return the mean over the worst share of the images; needs no groups.

    Parameters
    ----------
    losses, groups, weights, state
        As for `mean`.
    share
        In (0, 1]; at 1 it is the mean. An image on the border counts in part.

    References
    ----------
    Rockafellar & Uryasev 2000, Journal of Risk 2:21; Levy, Carmon, Duchi & Sidford 2020, NeurIPS,
    arXiv 2010.05893.

    Examples
    --------
    >>> losses, groups = torch.tensor([1.0, 2.0, 3.0, 4.0]), torch.zeros(4, dtype=torch.int64)
    >>> cvar(losses, groups, torch.ones(4), start(1), share=0.5)[0].item()
    3.5
    """
    del groups
    order = losses.detach().argsort(descending=True, stable=True)
    part = weights[order] / weights.sum() / share
    before = part.cumsum(0) - part
    taken = torch.minimum(part, (1.0 - before).clamp(min=0.0))
    return (losses[order] * taken).sum() / taken.sum(), state


def group_means(
    losses: Tensor, groups: Tensor, weights: Tensor, n_groups: int
) -> tuple[Tensor, Tensor]:
    """Return the weighted mean loss of each group, 0 where it is not in the batch, and who is.

    If nobody's group is known, all count as the first group.

    Examples
    --------
    >>> losses, groups = torch.tensor([1.0, 3.0, 9.0]), torch.tensor([0, 0, -1])
    >>> means, there = group_means(losses, groups, torch.ones(3), 2)
    >>> means.tolist(), there.tolist()
    ([2.0, 0.0], [True, False])
    """
    known = groups != UNKNOWN
    if not bool(known.any()):
        groups, known = torch.zeros_like(groups), torch.ones_like(known)
    member = torch.zeros(n_groups, len(losses), dtype=losses.dtype, device=losses.device)
    member[groups[known], known.nonzero()[:, 0]] = weights[known].to(losses)
    total = member.sum(1)
    there = total > 0
    return (member @ losses) / torch.where(there, total, torch.ones_like(total)), there


def _beside_unknown(value: Tensor, losses: Tensor, groups: Tensor, weights: Tensor) -> Tensor:
    """Return the value for the known beside the plain mean of the rest, each by its share."""
    unknown = (groups == UNKNOWN).to(losses) * weights.to(losses)
    share = unknown.sum() / weights.sum()
    if not 0 < float(share) < 1:
        return value
    rest = (losses * unknown).sum() / unknown.sum()
    return (1 - share) * value + share * rest
