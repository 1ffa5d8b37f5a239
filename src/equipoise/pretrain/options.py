"""What may be asked of pre-training."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

from equipoise.errors import InvalidConfiguration, nearest
from equipoise.training import Architecture, Augmentation

_DEFAULT = Architecture()


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SamplerChoice(_Part):
    """Who is seen."""

    kind: str = Field(
        default="uniform",
        description="uniform; weights (in proportion to a column); groups (as many of each)",
    )
    column: str | None = Field(
        default=None, description="weights: the column, as weight:<finding> of the stage curate"
    )
    table: str | None = Field(
        default=None,
        description="weights: a CSV or Parquet file with image_id and the column; by default the "
        "weights of the stage curate, which rest on labels",
    )


class ReducerChoice(_Part):
    """How the losses of a batch become the number that is minimised."""

    kind: str = Field(
        default="mean",
        description="mean, group_balanced, group_dro, v_rex, cvar, or your own module:function",
    )
    parameters: dict[str, JsonValue] = Field(
        default={}, description="group_dro: step; v_rex: penalty; cvar: share"
    )


class Clusters(_Part):
    """Proxy groups, where no attribute is known."""

    embeddings: str = Field(description="a table of embeddings of these images (Parquet)")
    n: int = Field(default=8, ge=2, le=1000, description="how many clusters")


class Options(_Part):
    """How an encoder is trained on the images of a cohort, without their labels."""

    name: str = Field(default="pretrained", min_length=1, description="what it is called")
    licence: str = Field(
        default="not stated; the terms of the training images apply",
        min_length=1,
        description="under which its weights may be used",
    )
    objective: str = Field(
        default="simclr", description="simclr, or your own module:function (a loss per image)"
    )
    temperature: float = Field(default=0.2, gt=0, le=10, description="of the contrast")
    same_group_negatives: bool = Field(
        default=False, description="whether an image is contrasted with its own group alone"
    )
    least_negatives: int = Field(
        default=8,
        ge=2,
        description="same-group negatives: images of each group that a batch must hold on average",
    )
    sampler: SamplerChoice = Field(default=SamplerChoice(), description="who is seen")
    reducer: ReducerChoice = Field(
        default=ReducerChoice(), description="from losses per image to what is minimised"
    )
    group_by: tuple[str, ...] = Field(
        default=(), description="attributes whose intersections are the groups"
    )
    clusters: Clusters | None = Field(
        default=None, description="groups by clusters of embeddings, instead of attributes"
    )
    without_splits: bool = Field(
        default=False,
        description="learn from all patients where no splits are given; whoever is tested later "
        "has then been seen, and the evidence says so",
    )
    steps: int = Field(default=600, ge=1, description="steps of the optimizer")
    batch: int = Field(default=128, ge=2, description="images in a step, two views of each")
    learning_rate: float = Field(default=2e-3, gt=0, description="highest rate of AdamW")
    weight_decay: float = Field(default=1e-4, ge=0, description="of AdamW, but for norms")
    warm_up: float = Field(default=0.05, ge=0, lt=1, description="share of the steps to get there")
    seed: int = Field(default=0, ge=0, lt=2**32, description="of weights, batches and views")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto",
        description="auto: bfloat16 where the processor has it; what was used is told",
    )
    threads: int = Field(
        default=1, ge=1, description="of torch; part of the result, since sums hang on it"
    )
    device: str = Field(
        default="cpu", pattern=r"^(cpu|cuda(:\d+)?)$", description="cpu, cuda or cuda:<n>"
    )
    size: int = Field(
        default=_DEFAULT.size, ge=32, le=512, multiple_of=8, description="of the input (pixels)"
    )
    widths: tuple[int, int, int] = Field(
        default=(24, 48, 96), description="feature maps of the three stages; twice the last is d"
    )
    augmentation: dict[str, float] = Field(
        default={}, description="what differs from the usual views, as {rotation: 5}"
    )
    every: int = Field(
        default=20, ge=1, description="steps between checkpoints and entries of the history"
    )

    @model_validator(mode="after")
    def _fits(self) -> "Options":
        known = list(Augmentation.__dataclass_fields__)
        for key in self.augmentation:
            if key not in known:
                raise InvalidConfiguration(
                    f"pretrain: augmentation: unknown key '{key}'; known: {', '.join(known)}",
                    hint=nearest(key, known),
                )
        if min(self.widths) < 1:
            raise ValueError(f"widths hold {min(self.widths)}; expected numbers above 0")
        if self.group_by and self.clusters is not None:
            raise ValueError("group_by and clusters are both given; expected one of them")
        return self

    def views(self) -> Augmentation:
        """Return how far views may differ."""
        return Augmentation(**self.augmentation)

    def architecture(self) -> Architecture:
        """Return the shape of the encoder."""
        return Architecture(size=self.size, widths=self.widths)
