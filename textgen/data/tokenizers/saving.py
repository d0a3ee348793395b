"""Tokenizers as files: ``NAME.json``, and ``NAME.model`` beside it for subwords."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from textgen import atomic
from textgen.data.tokenizers.base import TextTokenizer
from textgen.data.tokenizers.characters import CharacterTokenizer
from textgen.data.tokenizers.labels import LabelTokenizer
from textgen.data.tokenizers.raw_bytes import ByteTokenizer
from textgen.data.tokenizers.subwords import SubwordTokenizer
from textgen.data.tokenizers.vectors import VectorTokenizer
from textgen.data.tokenizers.words import WordTokenizer
from textgen.errors import CheckpointError, DataError

FORMAT = 1


def save_tokenizer(tokenizer: TextTokenizer, folder: Path, name: str = "tokenizer") -> None:
    """Write a tokenizer; each file appears whole or not at all.

    Raises:
        CheckpointError: if a file cannot be written.
    """
    data = {"format": FORMAT, **tokenizer.to_data()}
    _make(folder)
    if isinstance(tokenizer, SubwordTokenizer):
        atomic.write_bytes(folder / f"{name}.model", tokenizer.model, CheckpointError)
    text = json.dumps(data, ensure_ascii=True, indent=1)
    atomic.write_text(folder / f"{name}.json", text, CheckpointError)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CheckpointError(f"{folder}: cannot be made: {error.strerror}.") from None


def load_tokenizer(folder: Path, name: str = "tokenizer") -> TextTokenizer:
    """Read a tokenizer that ``save_tokenizer`` wrote.

    Raises:
        CheckpointError: if a file is missing, damaged or foreign; says which and what is wrong.
    """
    path = folder / f"{name}.json"
    data = _read_json(path)
    if data.get("format") != FORMAT:
        raise CheckpointError(
            f"{path}: its format is {data.get('format')!r}; this textgen reads format {FORMAT}."
        )
    try:
        return _build(data, folder / f"{name}.model")
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: is damaged: {error!r}.") from None


def _texts(data: dict[str, Any], name: str) -> list[str]:
    """A list of texts in a file's data."""
    texts = data[name]
    if not isinstance(texts, list) or not all(isinstance(each, str) for each in texts):
        raise TypeError(f"{name} is no list of texts")
    return texts


def _build(data: dict[str, Any], model: Path) -> TextTokenizer:
    kind, normalisation = data["kind"], data["normalisation"]
    if normalisation not in {"NFC", "none"}:
        raise ValueError(f"unknown normalisation {normalisation!r}")
    if kind == CharacterTokenizer.kind:
        if not isinstance(data["characters"], str):
            raise TypeError("characters is no text")
        return CharacterTokenizer(data["characters"], normalisation)
    if kind == ByteTokenizer.kind:
        return ByteTokenizer(normalisation)
    if kind == WordTokenizer.kind:
        return WordTokenizer(_texts(data, "words"), normalisation)
    if kind == LabelTokenizer.kind:
        return LabelTokenizer(_texts(data, "labels"))
    if kind == VectorTokenizer.kind:
        return VectorTokenizer.from_data(data)
    if kind == SubwordTokenizer.kind:
        return _load_subwords(model, data)
    raise ValueError(f"unknown kind {kind!r}")


def _load_subwords(path: Path, data: dict[str, Any]) -> SubwordTokenizer:
    try:
        tokenizer = SubwordTokenizer(path.read_bytes(), data["normalisation"])
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror}.") from None
    except DataError as error:
        raise CheckpointError(f"{path}: {error}") from None
    if tokenizer.to_data()["sha256"] != data["sha256"]:
        raise CheckpointError(f"{path}: is not the model that the tokenizer was saved with.")
    return tokenizer


def _read_json(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_bytes())
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror}.") from None
    except ValueError:
        raise CheckpointError(f"{path}: is damaged: it is not valid JSON.") from None
    if not isinstance(data, dict):
        raise CheckpointError(f"{path}: is damaged: it is no JSON object.")
    return data
