"""What may be asked of embedding."""

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from equipoise.encoders.provenance import Use


class Options(BaseModel):
    """Which encoder turns images into vectors."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    encoder: str = Field(
        default="filterbank",
        description="demo, filterbank, onnx, pretrained (that of the stage pretrain), or your own "
        "module:function",
    )
    parameters: dict[str, JsonValue] = Field(
        default={},
        description="what the encoder needs; onnx: path (the file) and card (a YAML file, its "
        "fields, or a name of the catalogue)",
    )
    use: Use = Field(
        default="research",
        description="research, clinical or commercial: what the vectors are made for; one that the "
        "licence of the encoder forbids is refused",
    )
    batch_size: int = Field(default=32, ge=1, le=4096, description="images embedded at a time")
