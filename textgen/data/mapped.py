"""Token streams in Arrow files that ``datasets`` maps into memory.

Each has a folder in the cache. Folders that nobody has used for a month are removed when another
is written.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from textgen.data.streams import Numbers, StreamStatistics, TokenStream
from textgen.errors import DataError

CACHE_VARIABLE = "TEXTGEN_CACHE"

_TOKENS, _STATISTICS, _COLUMN = "tokens.arrow", "statistics.json", "tokens"
_DIGEST = "digest"
_BLOCK = 1 << 21  # the largest page that a file is mapped by
_RESIDENT_BLOCKS = 64
_WRITING = ".writing-"
_OURS = re.compile(rf"[0-9a-f]{{64}}|{re.escape(_WRITING)}.+")
_UNUSED = 30 * 24 * 3600  # seconds


def cache_folder() -> Path:
    """Where tokenised corpora are kept: ``TEXTGEN_CACHE``, or the user's cache folder."""
    given = os.environ.get(CACHE_VARIABLE)
    if given:
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "textgen"


class Mapped:
    """Tokens in an Arrow file, mapped: arrays without a copy.

    Pages of the file that were read stay in the process until they are given back; the file is
    mapped afresh after about 128 MiB of different blocks, so that the memory of the process does
    not grow with the corpus.

    Args:
        path: the Arrow file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._blocks: set[int] = set()
        self._arrays = self._map()
        self._item = self._arrays[0].itemsize if self._arrays else 1

    def arrays(self) -> Sequence[Numbers]:
        """The record batches, as views of the mapping."""
        return self._arrays

    def touched(self, start: int, stop: int) -> None:
        """Map the file afresh when many different blocks have been read."""
        first, last = start * self._item // _BLOCK, stop * self._item // _BLOCK
        self._blocks.update(range(first, last + 1))
        if len(self._blocks) > _RESIDENT_BLOCKS:
            self._blocks.clear()
            self._arrays = self._map()

    def _map(self) -> list[Numbers]:
        import datasets

        with contextlib.suppress(OSError):  # another's, or read-only
            os.utime(self._path.parent)  # it is used: see remove_unused
        dataset = datasets.Dataset.from_file(str(self._path))
        column = dataset.data.column(_COLUMN)
        return [chunk.to_numpy(zero_copy_only=True) for chunk in column.chunks]


class MappedWriter:
    """Writes a stream piece by piece; the folder appears when it is complete.

    Args:
        folder: where the stream will be.
        kind: dtype of the tokens.

    Raises:
        DataError: if it cannot be written.
    """

    def __init__(self, folder: Path, kind: np.dtype[Any]) -> None:
        import datasets
        from datasets.arrow_writer import ArrowWriter

        self._folder = folder
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            self._temporary = Path(tempfile.mkdtemp(prefix=_WRITING, dir=folder.parent))
        except OSError as error:
            raise DataError(f"{folder.parent}: cannot be written: {error.strerror}.") from None
        features = datasets.Features({_COLUMN: datasets.Value(kind.name)})
        self._writer = ArrowWriter(path=str(self._temporary / _TOKENS), features=features)

    def write(self, tokens: Numbers) -> None:
        """Append tokens (T,)."""
        import pyarrow as pa

        try:
            table = pa.table({_COLUMN: pa.array(tokens)})
            # one record batch: many small ones would cost more than the tokens themselves
            self._writer.write_table(table, writer_batch_size=max(1, len(tokens)))
        except (OSError, pa.ArrowException) as error:
            raise self._failed(error) from None

    def finish(
        self, parts: Sequence[Numbers], statistics: StreamStatistics, digest: str
    ) -> TokenStream:
        """Append the last parts, close the file, and map it."""
        if parts:
            self.write(np.concatenate(parts))
        try:
            self._writer.finalize()
            (self._temporary / _STATISTICS).write_text(
                json.dumps({**asdict(statistics), _DIGEST: digest})
            )
            self._temporary.replace(self._folder)
        except OSError as error:
            if not (self._folder / _STATISTICS).exists():  # unless another process was first
                raise self._failed(error) from None
        self.abandon()
        remove_unused(self._folder.parent)
        return TokenStream(Mapped(self._folder / _TOKENS), statistics, digest)

    def abandon(self) -> None:
        """Leave nothing behind but what is complete."""
        shutil.rmtree(self._temporary, ignore_errors=True)

    def _failed(self, error: Exception) -> DataError:
        self.abandon()
        return DataError(f"{self._folder}: the tokens cannot be written: {error}")


def remove_unused(cache: Path) -> None:
    """Remove the folders of a cache that nobody has mapped for a month; all else stays."""
    oldest = time.time() - _UNUSED
    with contextlib.suppress(OSError):
        for each in cache.iterdir():
            if _OURS.fullmatch(each.name) and each.is_dir() and each.stat().st_mtime < oldest:
                shutil.rmtree(each, ignore_errors=True)


def open_mapped(folder: Path) -> TokenStream | None:
    """The stream that was written to a folder, or None; what is damaged there is removed."""
    stream: TokenStream | None
    try:
        known = json.loads((folder / _STATISTICS).read_bytes())
        digest = known.pop(_DIGEST)
        statistics = StreamStatistics(**known)
        stream = TokenStream(Mapped(folder / _TOKENS), statistics, digest)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        stream = None
    if stream is None or len(stream) != statistics.tokens:
        shutil.rmtree(folder, ignore_errors=True)
        return None
    return stream
