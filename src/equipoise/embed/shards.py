"""Vectors kept between runs: shards of some hundred images, each whole or not there.

A shard that is torn, of another length, or holds NaN is passed over: its images are embedded
again. The cache can be thrown away at any time.
"""

import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from equipoise import evidence
from equipoise.tables import write_bytes

SIZE = 512
"""Images in a shard: what a kill can cost at most."""

Vectors = npt.NDArray[np.float32]


def keep(folder: Path, digests: Sequence[str], vectors: Vectors) -> None:
    """Write one shard.

    Parameters
    ----------
    folder
        Of one encoder; made if need be.
    digests
        Pixel digest of each image.
    vectors
        ``(n, d)``, finite.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> keep(folder, ["aa"], np.ones((1, 2), np.float32))
    >>> [(names, part.tolist()) for names, part in kept(folder, {"aa"}, dimension=2)]
    [(['aa'], [[1.0, 1.0]])]
    """
    shape = pl.Array(pl.Float32, vectors.shape[1])
    frame = pl.DataFrame(
        {"pixel_digest": list(digests), "vector": pl.Series(vectors, dtype=shape)},
        schema_overrides={"pixel_digest": pl.String},
    )
    # Through memory: polars says of a full disk that a file is out of specification.
    content = io.BytesIO()
    frame.write_parquet(content, compression="uncompressed", statistics=False)
    write_bytes(folder / f"{evidence.digest(list(digests))[:32]}.parquet", content.getvalue())


def kept(folder: Path, wanted: set[str], *, dimension: int) -> Iterator[tuple[list[str], Vectors]]:
    """Yield pixel digests and vectors of the shards that hold any of the images wanted.

    Parameters
    ----------
    folder
        Of one encoder; need not exist.
    wanted
        Pixel digests.
    dimension
        Length of a vector; a shard of another length is passed over.

    Examples
    --------
    >>> list(kept(Path("nowhere"), {"aa"}, dimension=2))
    []
    """
    for path in sorted(folder.glob("*.parquet")):
        try:
            digests = pl.read_parquet(path, columns=["pixel_digest"])["pixel_digest"].to_list()
            if wanted.isdisjoint(digests):
                continue
            column = pl.read_parquet(path, columns=["vector"])["vector"]
        except (pl.exceptions.PolarsError, OSError):
            continue
        if column.dtype != pl.Array(pl.Float32, dimension) or column.null_count():
            continue
        vectors = column.rechunk().to_numpy()
        if np.isfinite(vectors).all():
            yield digests, vectors
