"""Vectors in the place of text: one or a sequence of them for each example, and their files.

Wherever a text is expected, vectors travel as text too: ``vectors:S×D:`` and the float32 numbers in
base64. So pairs, hashes of held-out parts, requests and lines of standard input need no other form.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator, Sequence, Sized
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from textgen.data.documents import digest
from textgen.data.encodings import UTF8
from textgen.data.files import check_file, ending, file_fingerprint, read_lines
from textgen.data.parallel import Pair, ParallelSource
from textgen.errors import DataError

Vectors = NDArray[np.float32]

VECTOR_ENDINGS = (".npy", ".npz", ".safetensors", ".parquet")
_TEXT = re.compile(r"vectors:(\d+)×(\d+):([A-Za-z0-9+/=]*)")


def vectors_to_text(vectors: NDArray[Any], where: str = "vectors") -> str:
    """Vectors as a line of text.

    Args:
        vectors: (S, D) numbers; or (D,), which is a sequence of one.
        where: what they are called in messages.

    Raises:
        DataError: if the shape is another one, a dimension is 0, or a number is not finite.
    """
    try:
        exact = np.atleast_2d(np.asarray(vectors))
    except ValueError:  # lists of different lengths
        exact = np.zeros((1, 1), dtype=object)
    if exact.dtype.kind not in "biuf":
        raise DataError(f"{where}: expected real numbers, (S, D) or (D,), got {exact.dtype}.")
    with np.errstate(over="ignore"):
        values = exact.astype("<f4")
    if np.isfinite(exact).all() and not np.isfinite(values).all():
        raise DataError(f"{where}: a number is too large for float32: {np.abs(exact).max():.3g}.")
    if values.ndim != 2 or not all(values.shape):
        raise DataError(f"{where}: expected a shape (S, D) or (D,), got {np.shape(vectors)}.")
    if not np.isfinite(values).all():
        step, place = (int(each) for each in np.argwhere(~np.isfinite(values))[0])
        raise DataError(f"{where}: number {place} of vector {step} is {values[step, place]}.")
    data = base64.b64encode(np.ascontiguousarray(values).tobytes()).decode()
    return f"vectors:{values.shape[0]}×{values.shape[1]}:{data}"


def vectors_from_text(text: str, where: str = "source") -> Vectors:
    """The vectors (S, D) of a line that ``vectors_to_text`` wrote.

    Raises:
        DataError: if it is another text.
    """
    match = _TEXT.fullmatch(text.strip())
    if match is None:
        start = text.strip()[:20]
        raise DataError(f"{where}: expected vectors, got the text {start!r}.")
    steps, width = int(match[1]), int(match[2])
    try:
        data = base64.b64decode(match[3], validate=True)
    except binascii.Error:
        data = b""
    if not data or len(data) != 4 * steps * width:
        raise DataError(f"{where}: vectors of {steps} × {width} numbers are damaged.")
    values = np.frombuffer(data, dtype="<f4").reshape(steps, width).astype(np.float32)
    if not np.isfinite(values).all():
        raise DataError(f"{where}: a number of the vectors is not finite.")
    return values


def read_vectors(path: str | Path) -> Iterator[NDArray[Any]]:
    """The examples of a file: (D,) or (S, D) each.

    ``.npy``: an array (N, D) or (N, S, D). ``.npz``, ``.safetensors``: one such array, or an array
    for each example, in the order of the numbers in their names. ``.parquet``: one column of lists
    of numbers, or of lists of such lists.

    Raises:
        DataError: if the file cannot be read or holds something else.
    """
    path = Path(path)
    readers = {".npy": _npy, ".npz": _npz, ".safetensors": _safetensors, ".parquet": _parquet}
    if ending(path) not in readers:
        raise DataError(f"{path}: is no file of vectors: {', '.join(readers)}.")
    if not path.is_file():
        raise DataError(f"{path}: there is no such file.")
    try:
        yield from readers[ending(path)](path)
    except DataError:
        raise
    except Exception as error:  # noqa: BLE001 each library has errors of its own
        raise DataError(f"{path}: cannot be read as arrays of numbers: {error}") from None


def _npy(path: Path) -> Iterator[NDArray[Any]]:
    yield from _rows(np.load(path, allow_pickle=False, mmap_mode="r"), path)


def _npz(path: Path) -> Iterator[NDArray[Any]]:
    with np.load(path, allow_pickle=False) as arrays:
        names = sorted(arrays.files, key=_by_number)
        if len(names) == 1:
            yield from _rows(arrays[names[0]], path)
        else:
            yield from (arrays[name] for name in names)


def _safetensors(path: Path) -> Iterator[NDArray[Any]]:
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as tensors:
        names = sorted(tensors.keys(), key=_by_number)
        if len(names) == 1:
            yield from _rows(tensors.get_tensor(names[0]), path)
        else:
            yield from (tensors.get_tensor(name) for name in names)


def _parquet(path: Path) -> Iterator[NDArray[Any]]:
    import pyarrow.parquet as pq

    table = pq.ParquetFile(path)
    names = table.schema_arrow.names
    if len(names) != 1:
        raise DataError(f"{path}: expected one column of vectors, found: {', '.join(names)}.")
    for batch in table.iter_batches():
        for row in batch.column(0).to_pylist():
            yield np.array(row)


def _rows(values: NDArray[Any], path: Path) -> Iterator[NDArray[Any]]:
    if values.ndim not in {2, 3}:
        raise DataError(f"{path}: expected (N, D) or (N, S, D) numbers, got {values.shape}.")
    yield from values


def _by_number(name: str) -> tuple[list[int], str]:
    return [int(each) for each in re.findall(r"\d+", name)], name


class VectorPairs(ParallelSource):
    """Vectors of a file, and for each of them a line of text of another.

    Args:
        vectors: see ``read_vectors``.
        texts: file of as many lines.
        encoding: of the texts.

    Raises:
        DataError: if a file cannot be read, or they differ in number.
    """

    def __init__(self, vectors: str | Path, texts: str | Path, encoding: str = UTF8) -> None:
        self.vectors, self.texts, self.encoding = Path(vectors), Path(texts), encoding
        check_file(self.texts, encoding)
        self._sources = vector_lines(self.vectors)
        lines = sum(1 for _ in read_lines(self.texts, encoding))
        if len(self._sources) != lines:
            count = len(self._sources)
            raise DataError(f"{vectors} has {count:,} examples, but {texts} has {lines:,} lines.")

    @property
    @override
    def name(self) -> str:
        return f"{self.vectors} and {self.texts}"

    @override
    def pairs(self, epoch: int = 0) -> Iterator[Pair]:
        lines = read_lines(self.texts, self.encoding)
        for source, target in zip(self._sources, lines, strict=True):
            yield Pair(source, target.rstrip("\r\n"))

    @override
    def fingerprint(self) -> str:
        return digest([file_fingerprint(self.vectors), file_fingerprint(self.texts), self.encoding])


def is_vector_file(path: str | Path) -> bool:
    """Whether a file of a pair of files holds vectors, by its name."""
    return ending(Path(path)) in VECTOR_ENDINGS


def sources(given: Any) -> Any:
    """Texts as they are; arrays, one or several, as lines of text."""
    if isinstance(given, str) or not isinstance(given, Iterable):
        return given
    if hasattr(given, "__array__"):
        return vectors_to_text(np.asarray(given))
    lines = (vectors_to_text(each) if hasattr(each, "__array__") else each for each in given)
    return list(lines) if isinstance(given, Sized) else lines


def vector_lines(path: Path) -> list[str]:
    """The examples of a file as lines of text."""
    lines = [
        vectors_to_text(each, f"{path}, number {number}")
        for number, each in enumerate(read_vectors(path))
    ]
    if not lines:
        raise DataError(f"{path}: there are no vectors.")
    return lines


def mean_and_scale(texts: Sequence[str]) -> tuple[Vectors, Vectors]:
    """Mean and standard deviation (D,) of all vectors of the examples.

    Raises:
        DataError: if there is none, or widths differ.
    """
    count, width = 0, 0
    total: Any = 0.0
    for number, text in enumerate(texts):
        values = vectors_from_text(text, f"number {number}").astype(np.float64)
        if width and values.shape[1] != width:
            raise DataError(
                f"number {number}: its vectors have {values.shape[1]} numbers, not {width}."
            )
        width = values.shape[1]
        total = total + values.sum(0)
        count += len(values)
    if not count:
        raise DataError("There are no vectors.")
    mean = total / count
    # a second pass: the difference of two large sums would lose the digits
    squares = sum(((vectors_from_text(text) - mean) ** 2).sum(0) for text in texts)
    scale = np.sqrt(squares / count)
    scale[scale <= 1e-6 * np.abs(mean)] = 1.0  # what never changes, up to rounding
    return mean.astype(np.float32), scale.astype(np.float32)
