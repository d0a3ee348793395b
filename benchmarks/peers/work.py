"""The work that all systems do: one vocabulary, one set of files, one size of batches.

The peers read token numbers as if they were words, so that all systems see the same tokens, and
none spends time on text.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import textgen
from textgen.data.batching import bucket_borders
from textgen.data.tokenizers import TextTokenizer, TokenizerConfig, save_tokenizer, train_tokenizer
from textgen.data.tokenizers.base import SPECIAL_NAMES
from textgen.errors import UsageError

FACTS = "data.json"


@dataclass(frozen=True)
class Pairs:
    """Two files whose lines belong together."""

    source: Path
    target: Path

    def lines(self) -> tuple[list[str], list[str]]:
        """Of both sides, stripped."""
        found = list(textgen.PairFiles(self.source, self.target).pairs())
        return [pair.source.strip() for pair in found], [pair.target.strip() for pair in found]


@dataclass(frozen=True)
class Data:
    """Prepared files.

    Attributes:
        folder: ``tokenizer.*``, ``vocabulary``, ``{train,valid}.{source,target}``.
        train: the texts that are trained on.
        valid: the texts that are decoded.
        tokens_per_sentence: target tokens of a training pair, eos counted.
    """

    folder: Path
    train: Pairs
    valid: Pairs
    tokens_per_sentence: float

    def encoded(self, name: str) -> list[str]:
        """Lines of a prepared file: numbers with spaces between."""
        return (self.folder / name).read_text(encoding="utf-8").splitlines()


def prepare(folder: Path, train: Pairs, valid: Pairs, size: int) -> Data:
    """Learn the vocabulary and write the files, if they are not there yet.

    Args:
        folder: for all of them.
        train: what is trained on.
        valid: what is decoded.
        size: of the joint BPE.

    Raises:
        UsageError: if the folder was prepared from other texts.
    """
    known = folder / FACTS
    print_ = fingerprint([train.source, train.target, valid.source, valid.target], size)
    if known.is_file():
        facts = json.loads(known.read_text(encoding="utf-8"))
        if facts["fingerprint"] != print_:
            raise UsageError(
                f"{folder}: was prepared from other texts, and its models with it: choose another "
                "--models folder, or remove this one."
            )
    else:
        facts = {"fingerprint": print_, **_write(folder, train, valid, size)}
        known.write_text(json.dumps(facts), encoding="utf-8")
    return Data(folder, train, valid, facts["tokens_per_sentence"])


def fingerprint(paths: Sequence[Path], size: int) -> str:
    """By which prepared files are known again.

    Raises:
        UsageError: if a text cannot be read.
    """
    digest = hashlib.sha256(str(size).encode())
    for path in paths:
        try:
            digest.update(path.read_bytes())
        except OSError as error:
            raise UsageError(f"{path}: cannot be read: {error.strerror}.") from None
    return digest.hexdigest()


def _write(folder: Path, train: Pairs, valid: Pairs, size: int) -> dict[str, Any]:
    folder.mkdir(parents=True, exist_ok=True)
    sides = train.lines()
    texts = (line + "\n" for line in itertools.chain(*sides))
    tokenizer = train_tokenizer(TokenizerConfig(kind="bpe", size=size), texts)
    save_tokenizer(tokenizer, folder)
    numbers = range(len(SPECIAL_NAMES), tokenizer.size)
    _write_lines(folder / "vocabulary", [str(number) for number in numbers])
    target: list[str] = []
    for name, lines in (("train", sides), ("valid", valid.lines())):
        for side, texts_of_side in zip(("source", "target"), lines, strict=True):
            encoded = [_numbers(tokenizer, text) for text in texts_of_side]
            _write_lines(folder / f"{name}.{side}", encoded)
            target = encoded if (name, side) == ("train", "target") else target
    tokens = sum(len(line.split()) + 1 for line in target)
    return {"tokens_per_sentence": tokens / len(target)}


def _numbers(tokenizer: TextTokenizer, text: str) -> str:
    return " ".join(map(str, tokenizer.encode(text)))


def _write_lines(path: Path, lines: Sequence[str]) -> None:
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")


def batch_tokens(lengths: Sequence[int], sentences: int) -> int:
    """Tokens of a batch, padding included, with which batches hold so many sentences on average.

    Args:
        lengths: of the sentences, eos counted.
        sentences: wanted in a batch.
    """
    ordered = sorted(lengths)
    low, high = 1, ordered[-1] * sentences
    while low < high:  # fewer tokens make more batches
        middle = (low + high) // 2
        batches = len(bucket_borders(ordered, middle)) - 1
        if len(ordered) / batches < sentences:
            low = middle + 1
        else:
            high = middle
    return low
