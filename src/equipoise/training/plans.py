"""What a training is told; read without torch, so that a stage can check its options first."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Architecture:
    """The shape of an encoder.

    Parameters
    ----------
    size
        Height and width of its input (pixels), a multiple of 8.
    widths
        Feature maps at a half, a quarter and an eighth of the size.
    blocks
        Residual blocks at each.
    projection
        Length of the vectors that are contrasted.
    """

    size: int = 64
    widths: tuple[int, ...] = (24, 48, 96)
    blocks: tuple[int, ...] = (1, 1, 1)
    projection: int = 64

    @property
    def dimension(self) -> int:
        """Length of an embedding: mean and maximum of each map of the last stage."""
        return 2 * self.widths[-1]


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How far two views of an image may differ; all draws are uniform unless said.

    Parameters
    ----------
    smallest_crop
        Least share of the area that a crop keeps, in (0, 1].
    stretch
        Most by which height and width of a crop differ, as a ratio, at least 1 (log-uniform).
    rotation
        Most, either way (degrees).
    gamma, contrast
        Most, either way, of the logarithm of the exponent and of the factor.
    brightness
        Most, either way, that is added (share of full scale).
    blur, sigma
        Chance of a Gaussian blur, and its largest width (pixels of the view).
    noise
        Largest standard deviation of the noise (share of full scale).
    cutout, side
        Chance that a square is covered by the view's mean, and its largest side (share).
    """

    smallest_crop: float = 0.7
    stretch: float = 1.15
    rotation: float = 10.0
    gamma: float = 0.35
    contrast: float = 0.3
    brightness: float = 0.15
    blur: float = 0.5
    sigma: float = 0.6
    noise: float = 0.02
    cutout: float = 0.0
    side: float = 0.2


@dataclass(frozen=True, slots=True)
class Plan:
    """How to train; all of it goes into the digest that a checkpoint is kept under.

    Parameters
    ----------
    steps, batch
        Steps, and images in each (two views of every image).
    learning_rate, weight_decay, warm_up
        Of AdamW: the highest rate, reached after the share `warm_up` of the steps, then down to 0
        along a cosine; the decay, which spares norms and biases.
    objective, parameters
        Name in `LOSSES`, and what it takes beside the vectors.
    reducer, reducer_parameters
        Name in `REDUCERS`, and what it takes beside the losses.
    same_group_negatives
        Whether an image is contrasted with its own group alone.
    seed
        Of weights and views.
    precision
        ``"float32"``, or ``"bfloat16"`` for the products of the network.
    threads
        Of torch on the CPU; sums, and so the weights, hang on it.
    device
        As torch names it.
    architecture, augmentation
        Of the encoder and of the views.
    every
        Steps between entries of the history, and between checkpoints.
    """

    steps: int
    batch: int
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    warm_up: float = 0.05
    objective: str = "simclr"
    parameters: Mapping[str, object] = field(default_factory=lambda: {"temperature": 0.2})
    reducer: str = "mean"
    reducer_parameters: Mapping[str, object] = field(default_factory=dict)
    same_group_negatives: bool = False
    seed: int = 0
    precision: str = "float32"
    threads: int = 1
    device: str = "cpu"
    architecture: Architecture = field(default_factory=Architecture)
    augmentation: Augmentation = field(default_factory=Augmentation)
    every: int = 20
