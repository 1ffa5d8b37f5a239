"""What may be asked of a service."""

from pydantic import BaseModel, ConfigDict, Field


class Options(BaseModel):
    """Where a service listens and what it takes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = Field(
        default="127.0.0.1",
        description="address to listen on; any but a loopback one needs a token file",
    )
    port: int = Field(default=8080, ge=0, le=65535, description="port; 0 takes any that is free")
    maximum_bytes: int = Field(
        default=64 << 20, ge=1024, description="largest image file that is taken (bytes)"
    )
    maximum_pixels: int = Field(
        default=50_000_000, ge=1, description="largest image that is decoded (pixels)"
    )
    rate: float = Field(
        default=200.0, gt=0, description="requests taken per second, over all callers"
    )
    burst: int = Field(default=200, ge=1, description="requests taken at once after a pause")
    queue: int = Field(default=64, ge=1, description="requests that may wait; more are sent away")
    threads: int = Field(
        default=1, ge=1, description="encoder calls at once, each on one core of its own"
    )
    decoders: int = Field(default=2, ge=1, description="images decoded at once")
    # Half of eight callers: while four images are in the encoder the next four are decoded. With
    # eight all would wait for one call, and then the encoder for all.
    batch: int = Field(default=4, ge=1, le=256, description="most images in one encoder call")
    patience_seconds: float = Field(
        default=30.0, gt=0, description="how long a request may take to arrive (seconds)"
    )
    minimum_group: int = Field(
        default=5, ge=1, description="fewer requests of a group than this are not shown in metrics"
    )
    window_seconds: float = Field(
        default=60.0, ge=0, description="metrics of groups change at most this often (seconds)"
    )
