"""Embeddings in parts: a folder of Parquet files, each whole in itself, read without a decoder.

A part holds image ids and lists of float16 or float32, uncompressed and in one page, so that its
vectors stand in the file as they stand in memory. Any reader of Parquet reads it; this one reads
the vectors straight into place. Every part says which encoder made it and how many parts there
are, so that parts of two encoders are never mixed and a missing one is seen.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from equipoise.errors import InvalidTable
from equipoise.tables.contracts import check
from equipoise.tables.files import aside
from equipoise.tables.marks import mark, metadata, system_errors
from equipoise.tables.nouns import EMBEDDINGS
from equipoise.tables.pages import Segment, located

Storage = Literal["float16", "float32"]
Vectors = npt.NDArray[np.float16 | np.float32]

SAME = ("table", "version", "encoder", "digest", "engine", "precision", "storage", "parts")
"""What all parts of a folder say alike."""

_UNREADABLE = (OSError, ValueError, pl.exceptions.PolarsError, pl.exceptions.PanicException)

BLOCK = 2048
"""Vectors read at a time: some megabytes, which the memory allocator gives back and forth."""


@dataclass(frozen=True, slots=True)
class StoredEmbeddings:
    """The embeddings in a folder of parts, read when they are asked for.

    Parameters
    ----------
    files
        The parts, in their order.
    said
        What they say of themselves: encoder, digest, engine, precision, storage, card.
    heights
        Rows of each part (images).
    dimension
        Length of a vector.
    left
        Image id → why it has no vector.
    """

    files: tuple[Path, ...]
    said: Mapping[str, object]
    heights: tuple[int, ...]
    dimension: int
    left: Mapping[str, str]

    @property
    def shape(self) -> tuple[int, int]:
        """Number of vectors (images) and their length."""
        return sum(self.heights), self.dimension

    @property
    def dtype(self) -> np.dtype[np.float16 | np.float32]:
        """Type of a value as it is stored."""
        return storage_dtype(self.said["storage"])

    def image_ids(self) -> pl.Series:
        """Return the ids, in the order of the vectors."""
        return pl.concat([_ids(path) for path in self.files])

    def blocks(self, size: int = BLOCK) -> Iterator[tuple[pl.Series, Vectors]]:
        """Yield ids and vectors ``(b, d)`` as stored, in memory that does not grow.

        Parameters
        ----------
        size
            Most vectors at a time; a block ends with its part.

        Raises
        ------
        InvalidTable
            If a part ends early.
        """
        for path, height in zip(self.files, self.heights, strict=True):
            ids = _ids(path)
            for start, part in _blocks(path, height, self.dimension, self.dtype, size):
                yield ids.slice(start, len(part)), part

    def matrix(self) -> Vectors:
        """Return all vectors ``(n, d)`` as stored; takes their whole size in memory."""
        whole = np.empty(self.shape, self.dtype)
        at = 0
        for path, height in zip(self.files, self.heights, strict=True):
            for start, part in _blocks(path, height, self.dimension, self.dtype, BLOCK):
                whole[at + start : at + start + len(part)] = part
            at += height
        return whole

    def table(self) -> pl.DataFrame:
        """Return the table *embeddings*, float32 and sorted by image id, whole in memory.

        Raises
        ------
        InvalidTable
            If an image stands in two parts.
        """
        vectors = self.matrix().astype(np.float32, copy=False)
        column = pl.Series("vector", vectors, dtype=pl.Array(pl.Float32, self.dimension))
        frame = pl.DataFrame([self.image_ids(), column])
        return check(frame, EMBEDDINGS, where=f"embeddings ({self.files[0].parent})").sort(
            "image_id"
        )


def write_part(
    image_ids: Sequence[str] | pl.Series, vectors: Vectors, path: Path, said: Mapping[str, object]
) -> None:
    """Write one part, whole or not at all.

    Parameters
    ----------
    image_ids
        The images ``(n,)``.
    vectors
        ``(n, d)``, float16 or float32; kept in that type.
    path
        The Parquet file.
    said
        For its metadata; the digest of the vectors is put beside it.

    Raises
    ------
    InvalidTable
        If two rows share an id.
    StorageFailure
        If it cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> for k in (0, 1):
    ...     about = {"part": k, "parts": 2, "storage": "float16", "digest": "0" * 64}
    ...     write_part([f"i{k}"], np.full((1, 2), k, np.float16), part_path(folder, k), about)
    >>> found = open_embeddings(folder)
    >>> found.shape, [(ids.to_list(), part.tolist()) for ids, part in found.blocks()]
    ((2, 2), [(['i0'], [[0.0, 0.0]]), (['i1'], [[1.0, 1.0]])])
    """
    kind = pl.Float16 if vectors.dtype == np.float16 else pl.Float32
    column = pl.Series("vector", vectors, dtype=pl.Array(kind, vectors.shape[1]))
    frame = pl.DataFrame([pl.Series("image_id", image_ids, dtype=pl.String), column])
    check(frame, EMBEDDINGS, where=path.name)
    about = mark(EMBEDDINGS, {**said, "values": content_digest(frame["image_id"], [vectors])})
    one_page = max(1 << 20, 2 * vectors.nbytes)  # levels of nesting come on top of the values
    with aside(path) as partial, system_errors():
        frame.write_parquet(
            partial,
            compression="uncompressed",
            statistics=False,
            metadata=about,
            row_group_size=max(1, frame.height),
            data_page_size=one_page,
        )


def storage_dtype(storage: object) -> np.dtype[np.float16 | np.float32]:
    """Return the type in which values are stored.

    Examples
    --------
    >>> storage_dtype("float16").itemsize
    2
    """
    return np.dtype("float16" if storage == "float16" else "float32")


def part_path(folder: Path, number: int) -> Path:
    """Return where a part lies.

    Examples
    --------
    >>> part_path(Path("embeddings"), 17).as_posix()
    'embeddings/part-00017.parquet'
    """
    return folder / f"part-{number:05d}.parquet"


def parts_in(folder: Path) -> list[Path]:
    """Return the parts that lie in a folder, by number; none if there is no such folder.

    Examples
    --------
    >>> parts_in(Path("nowhere"))
    []
    """
    return sorted(folder.glob("part-*.parquet"))


def content_digest(image_ids: pl.Series, blocks: Iterable[Vectors]) -> str:
    """Return the SHA-256 over ids and vectors, row after row, of a part.

    Examples
    --------
    >>> content_digest(pl.Series(["a"]), [np.zeros((1, 2), np.float16)])[:8]
    '5f824c0a'
    """
    digest = hashlib.sha256(json.dumps(image_ids.to_list()).encode())
    for block in blocks:
        digest.update(np.ascontiguousarray(block).data)
    return digest.hexdigest()


def open_embeddings(folder: Path) -> StoredEmbeddings:
    """Return the embeddings in a folder of parts; no vector is read yet.

    Parameters
    ----------
    folder
        With ``part-00000.parquet`` and so on.

    Raises
    ------
    InvalidTable
        If there is none, one is missing, unreadable, or says another encoder, engine, precision
        or storage than the first.

    Examples
    --------
    >>> open_embeddings(Path("nowhere"))
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidTable: embeddings: no parts in nowhere
    """
    files = parts_in(folder)
    if not files:
        raise InvalidTable(f"embeddings: no parts in {folder}")
    told = [metadata(path, "embeddings") for path in files]
    _check_alike(files, told)
    _check_complete(folder, told)
    schemas = [_schema(path) for path in files]
    for path, (_, width) in zip(files, schemas, strict=True):
        if width != schemas[0][1]:
            raise InvalidTable(
                f"embeddings: {path} has vectors of {width} values; expected {schemas[0][1]} as "
                f"in {files[0].name}"
            )
    lefts = [said.get("left") for said in told]
    left = {str(k): str(v) for one in lefts if isinstance(one, dict) for k, v in one.items()}
    heights = tuple(height for height, _ in schemas)
    about = {k: v for k, v in told[0].items() if k not in {"part", "inputs", "left", "values"}}
    return StoredEmbeddings(tuple(files), about, heights, schemas[0][1], left)


def is_whole(path: Path) -> bool:
    """See whether a part holds the ids and vectors that its metadata says it holds.

    Returns
    -------
    False where the file is torn, altered, written by another program, or no part at all.

    Examples
    --------
    >>> is_whole(Path("nowhere.parquet"))
    False
    """
    try:
        said = metadata(path, "embeddings")
        height, dimension = _schema(path)
        dtype = storage_dtype(said.get("storage"))
        if located(path, "vector", width=dtype.itemsize, n=height * dimension) is None:
            return False
        ids = _ids(path)
        # Any reader must find the same: what stands between the values may be damaged too.
        ways = (
            [_column(path, "vector").to_numpy()],
            (block for _, block in _blocks(path, height, dimension, dtype, BLOCK)),
        )
        return all(content_digest(ids, blocks) == said.get("values") for blocks in ways)
    except (InvalidTable, *_UNREADABLE):
        return False


def _check_alike(files: Sequence[Path], told: Sequence[Mapping[str, object]]) -> None:
    for path, said in zip(files, told, strict=True):
        if said.get("storage") not in {"float16", "float32"}:
            raise InvalidTable(f"embeddings: {path} is no part of embeddings that we wrote")
        for name in SAME:
            if said.get(name) != told[0].get(name):
                raise InvalidTable(
                    f"embeddings: {path} says {name} {said.get(name)!r}; expected "
                    f"{told[0].get(name)!r} as {files[0].name}: vectors of two are never mixed",
                    hint="embed again into an empty folder",
                )


def _check_complete(folder: Path, told: Sequence[Mapping[str, object]]) -> None:
    n = told[0].get("parts")
    there = {said.get("part") for said in told}
    missing = [k for k in range(n if isinstance(n, int) else 0) if k not in there]
    if missing or len(told) != n:
        name = f", as {part_path(folder, missing[0]).name}" if missing else ""
        raise InvalidTable(
            f"embeddings: {folder} holds {len(told)} parts of {n}{name}; expected all",
            hint="run embed again: it goes on where it was",
        )


def _schema(path: Path) -> tuple[int, int]:
    """Return rows and length of a vector of a part."""
    try:
        scan = pl.scan_parquet(path)
        kind = scan.collect_schema().get("vector")
        height = int(scan.select(pl.len()).collect().item())
    except _UNREADABLE as error:
        first = str(error).partition("\n")[0]
        raise InvalidTable(f"embeddings: {path} cannot be read ({first})") from error
    if not isinstance(kind, pl.Array):
        raise InvalidTable(f"embeddings: {path}: column 'vector' is {kind}; expected an array")
    return height, kind.size


def _ids(path: Path) -> pl.Series:
    return _column(path, "image_id")


def _column(path: Path, name: str) -> pl.Series:
    """Return a column; over some damaged pages polars does not raise but panics."""
    try:
        return pl.read_parquet(path, columns=[name])[name]
    except _UNREADABLE as error:
        first = str(error).partition("\n")[0]
        raise InvalidTable(
            f"embeddings: {path}: column '{name}' cannot be read ({first})"
        ) from error


def _blocks(
    path: Path, height: int, dimension: int, dtype: np.dtype[np.float16 | np.float32], size: int
) -> Iterator[tuple[int, Vectors]]:
    """Yield first row and vectors of each block of a part."""
    segments = located(path, "vector", width=dtype.itemsize, n=height * dimension)
    if segments is None:
        whole = _column(path, "vector").rechunk().to_numpy()
        for start in range(0, height, size):
            yield start, whole[start : start + size]
        return
    with path.open("rb", buffering=0) as file:
        for start in range(0, height, size):
            part: Vectors = np.empty((min(size, height - start), dimension), dtype)
            _fill(part.data.cast("B"), file, segments, start * dimension * dtype.itemsize)
            yield start, part


def _fill(out: memoryview, file: FileIO, segments: Sequence[Segment], at: int) -> None:
    """Fill memory with the values from the byte `at` on, counted over all segments."""
    done = 0
    for start, size in segments:
        if at < size and done < len(out):
            file.seek(start + at)
            wanted = min(size - at, len(out) - done)
            while wanted:
                n = file.readinto(out[done : done + wanted])
                if not n:
                    raise InvalidTable(f"embeddings: {file.name} ends early")
                done, wanted = done + n, wanted - n
        at = max(0, at - size)
