"""Labelled texts: pairs (text, label), their folders, and batches of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from typing_extensions import override

from textgen.data.documents import digest
from textgen.data.encodings import UTF8, check_encoding
from textgen.data.files import check_file, file_fingerprint, read_lines
from textgen.data.hub import HubTable
from textgen.data.parallel import HubPairs, Pair, PairFiles, PairTable, ParallelSource
from textgen.data.pooling import plan_batches
from textgen.data.tables import Row, cell
from textgen.data.tensor_batch import TensorBatch
from textgen.data.tokenizers import TextTokenizer, WordTokenizer
from textgen.data.tokenizers.labels import SEPARATOR
from textgen.data.vectors import VectorPairs, is_vector_file
from textgen.data.words import EncodedWords, WordEncoder, pad_words, without_spellings
from textgen.errors import DataError, UsageError


class LabelledFolder(ParallelSource):
    """A folder with one folder for each label, each file in it a text.

    Args:
        folder: of the folders.
        encoding: of the files.

    Raises:
        DataError: if there are no such files, or one cannot be read.
    """

    def __init__(self, folder: str | Path, encoding: str = UTF8) -> None:
        self.folder, self.encoding = Path(folder), check_encoding(encoding)
        self.files = sorted(
            path
            for path in self.folder.glob("*/**/*")
            if path.is_file() and not _is_hidden(path.relative_to(self.folder))
        )
        if not self.files:
            raise DataError(
                f"{folder}: expected one folder for each label with files in it, found none."
            )
        for path in self.files:
            check_file(path, encoding)

    @property
    @override
    def name(self) -> str:
        return str(self.folder)

    @override
    def pairs(self, epoch: int = 0) -> Iterator[Pair]:
        for path in self.files:
            text = " ".join(line.strip() for line in read_lines(path, self.encoding))
            yield Pair(text, path.relative_to(self.folder).parts[0])

    @override
    def fingerprint(self) -> str:
        return digest([*map(file_fingerprint, self.files), self.encoding])


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


class LabelledTable(PairTable):
    """Two columns of a csv, tsv, json, jsonl or parquet file; labels may be numbers or lists.

    Args:
        path: the table.
        text: column of the texts.
        label: column of the labels.
        separator: between several labels, where a list is read.
        encoding: of the file.

    Raises:
        DataError: if the file cannot be read, or has no such columns.
    """

    def __init__(
        self,
        path: str | Path,
        text: str,
        label: str,
        separator: str = SEPARATOR,
        encoding: str = UTF8,
    ) -> None:
        super().__init__(path, text, label, encoding)
        self.separator = separator

    @override
    def pairs(self, epoch: int = 0) -> Iterator[Pair]:
        for where, row in self.table.rows():
            yield _pair(row, (self.source, self.target), where, self.separator)


class LabelledHub(HubPairs):
    """Two columns of a Hugging Face data set; labels may be numbers or lists.

    Args:
        table: one split.
        text: column of the texts.
        label: column of the labels; numbers of classes become their names.
        separator: between several labels, where a list is read.
    """

    def __init__(self, table: HubTable, text: str, label: str, separator: str = SEPARATOR) -> None:
        super().__init__(table, text, label)
        self.separator = separator
        self.names = table.class_names(label)

    @override
    def pairs(self, epoch: int = 0) -> Iterator[Pair]:
        for number, row in enumerate(self.table.rows(), 1):
            where = f"{self.table.name}, row {number}"
            named = name_classes(row, self.target, self.names)
            yield _pair(named, (self.source, self.target), where, self.separator)


def name_classes(row: Row, column: str, names: Sequence[str]) -> Row:
    """A row whose numbers of classes, one or a list of them, are names.

    Args:
        row: of a data set.
        column: of the classes.
        names: by number; empty leaves the row as it is.
    """
    value = row.get(column)
    if not names or value is None:
        return row

    def name(number: Any) -> Any:
        return names[number] if isinstance(number, int) and 0 <= number < len(names) else number

    return {
        **row,
        column: [name(each) for each in value] if isinstance(value, list) else name(value),
    }


def _pair(row: Row, columns: tuple[str, str], where: str, separator: str) -> Pair:
    """A row's text, on one line, and its label."""
    text = " ".join(cell(row, columns[0], where).splitlines())
    return Pair(text, label_text(row, columns[1], where, separator))


def label_text(row: Row, column: str, where: str, separator: str) -> str:
    """The label of a row as a text; several are joined.

    Raises:
        DataError: if it is neither text nor a whole number, nor a list of these.
    """
    value = row.get(column)
    if isinstance(value, list | tuple):
        return separator.join(
            label_text({column: each}, column, where, separator) for each in value
        )
    if isinstance(value, bool | int):
        return str(value)
    return cell(row, column, where).strip()


def labels_in(label: str, separator: str | None) -> list[str]:
    """The labels of a text; with a separator any number of them, without one at most one."""
    parts = [label] if separator is None else label.split(separator)
    return [part.strip() for part in parts if part.strip()]


def open_labelled(
    paths: Sequence[str | Path],
    *,
    text: str = "text",
    label: str = "label",
    separator: str = SEPARATOR,
    encoding: str = UTF8,
) -> ParallelSource:
    """Labelled texts of a table, of a folder with one folder for each label, or of two files.

    Args:
        paths: one table or folder; or a file of texts (or of vectors, for tokenizer.kind=vectors)
            and one of their labels, line by line.
        text: column of the texts in a table; its number, from 1, where it has no header.
        label: column of the labels.
        separator: ``data.separator`` of the recipe, by which the labels of a list are joined.
        encoding: of the files.

    Raises:
        UsageError: for another number of paths.
        DataError: if the texts cannot be read.
    """
    if len(paths) == 2:
        texts, labels = paths
        if is_vector_file(texts):
            return VectorPairs(texts, labels, encoding)
        return PairFiles(texts, labels, encoding)
    if len(paths) != 1:
        raise UsageError(
            "Expected one table, one folder with a folder for each label, or two files, TEXTS and "
            f"LABELS; got {len(paths)} paths."
        )
    path = Path(paths[0])
    if path.is_dir():
        return LabelledFolder(path, encoding)
    return LabelledTable(path, text, label, separator, encoding)


def encode_text(
    tokenizer: TextTokenizer, characters: TextTokenizer | None, text: str
) -> EncodedWords:
    """The tokens of a text without the white space around it, and the characters of its words.

    Args:
        tokenizer: of words, where characters are read.
        characters: None leaves them away.
        text: to be encoded.
    """
    if characters is not None and isinstance(tokenizer, WordTokenizer):
        return WordEncoder(tokenizer, characters, lower=False).encode(text.split())
    return without_spellings(tokenizer.encode_array(text.strip()))


@dataclass(frozen=True)
class LabelledBatch(TensorBatch):
    """B texts with their labels.

    Attributes:
        tokens: (B, S) int64, right-padded.
        lengths: (B,) int64 ≥ 1.
        labels: (B, C) float32: 1 where a text has a label, else 0.
        spellings: (B, S, L) int64 characters of the words, padded with 0; L may be 0.
    """

    tokens: Tensor
    lengths: Tensor
    labels: Tensor
    spellings: Tensor

    @property
    def count(self) -> int:
        """One prediction for each text."""
        return len(self.labels)


class LabelledBatches:
    """Batches of texts of like length.

    Args:
        texts: tokens of each, at least one.
        labels: numbers of the labels of each.
        classes: C.
        size: B.
        seed: of the order; None keeps the order given.

    Raises:
        DataError: if there is no text.
    """

    def __init__(
        self,
        texts: Sequence[EncodedWords],
        labels: Sequence[Sequence[int]],
        *,
        classes: int,
        size: int,
        seed: int | None,
    ) -> None:
        if not texts:
            raise DataError("There is no text to make batches of.")
        self.texts, self.size, self.seed = texts, size, seed
        self.labels = torch.zeros(len(labels), classes)
        for row, own in enumerate(labels):
            self.labels[row, list(own)] = 1
        self._lengths = np.array([len(each.tokens) for each in texts])

    def __len__(self) -> int:
        """Number of batches in an epoch."""
        return math.ceil(len(self.texts) / self.size)

    def iterate(self, epoch: int, start: int = 0) -> Iterator[LabelledBatch]:
        """The batches of an epoch from number ``start`` on."""
        for chosen in plan_batches(self._lengths, self.size, self.seed, epoch)[start:]:
            tokens, spellings, lengths = pad_words([self.texts[int(each)] for each in chosen])
            yield LabelledBatch(tokens, lengths, self.labels[chosen], spellings)
