"""What may be asked of embedding."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from equipoise.encoders.provenance import Use


class Options(BaseModel):
    """Which encoder turns images into vectors."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    encoder: str = Field(
        default="filterbank",
        description="demo, filterbank, pretrained (that of the stage pretrain), onnx, openvino, "
        "fastest, timm, torch, transformers, open_clip, torchxrayvision, or your own "
        "module:function",
    )
    parameters: dict[str, JsonValue] = Field(
        default={},
        description="what the encoder needs: path (of its weights) and card (a YAML file, its "
        "fields, or a name of the catalogue); precision and device where it has several",
    )
    use: Use = Field(
        default="research",
        description="research, clinical or commercial: what the vectors are made for; one that the "
        "licence of the encoder forbids is refused",
    )
    batch_size: int = Field(default=32, ge=1, le=4096, description="images embedded at a time")
    storage: Literal["float16", "float32"] | None = Field(
        default=None,
        description="of the vectors on disk; by default float32 in one file and float16 in parts",
    )
    shard_size: int | None = Field(
        default=None,
        ge=1,
        le=1 << 20,
        description="images per file, for large cohorts: parts of a folder that are made once and "
        "skipped when a run goes on; by default all vectors stand in one file",
    )
    processes: int = Field(
        default=1,
        ge=1,
        le=1024,
        description="that embed at once where there are parts; the workers are shared among them",
    )
