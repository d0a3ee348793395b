"""A tokenizer from a configuration and texts."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from textgen.arguments import texts as one_or_more
from textgen.data.tokenizers.base import TextTokenizer, TokenizerConfig
from textgen.data.tokenizers.characters import train_characters
from textgen.data.tokenizers.raw_bytes import ByteTokenizer
from textgen.data.tokenizers.subwords import SubwordTokenizer, train_subwords
from textgen.data.tokenizers.vectors import train_vectors
from textgen.data.tokenizers.words import train_words
from textgen.errors import DataError


def train_tokenizer(config: TokenizerConfig, texts: Iterable[str]) -> TextTokenizer:
    """Make the tokenizer that the configuration asks for.

    Args:
        config: kind, size, and so on.
        texts: read once; documents or pieces of documents. Not read where nothing is to be
            learnt (bytes, an existing model).

    Raises:
        DataError: if the texts are empty, the size is too small, or the model cannot be read.
    """
    texts = one_or_more(texts)
    if config.model is not None:
        return _existing(Path(config.model), config)
    if config.kind == "vectors":
        return train_vectors(texts)
    if config.kind == "bytes":
        return ByteTokenizer(config.normalisation)
    if config.kind == "characters":
        return train_characters(
            texts,
            size=config.size,
            minimum_count=config.minimum_count,
            normalisation=config.normalisation,
        )
    if config.kind == "words":
        return train_words(
            texts,
            size=config.size,
            minimum_count=config.minimum_count,
            normalisation=config.normalisation,
        )
    return train_subwords(
        texts, kind=config.kind, size=config.size, normalisation=config.normalisation
    )


def _existing(path: Path, config: TokenizerConfig) -> SubwordTokenizer:
    if config.kind not in {"bpe", "unigram"}:
        raise DataError(
            f"tokenizer.model names a SentencePiece model, but tokenizer.kind is {config.kind}: "
            "choose bpe or unigram."
        )
    try:
        return SubwordTokenizer(path.read_bytes(), config.normalisation)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}.") from None
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
