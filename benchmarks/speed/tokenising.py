"""Tokenising: megabytes a second from a file to a stream of numbers, and learning tokenizers."""

from __future__ import annotations

import functools
from collections import Counter
from pathlib import Path
from typing import Any

import sentencepiece

from benchmarks.large_corpus import write_corpus
from benchmarks.measure import Row, Work, copy_rate, interleaved, say
from benchmarks.speed.settings import Part, Settings
from textgen.data.opening import open_text
from textgen.data.tokenising import tokenise_stream
from textgen.data.tokenizers import (
    SubwordTokenizer,
    TextTokenizer,
    TokenizerConfig,
    train_tokenizer,
)

KINDS = {
    "characters": TokenizerConfig(kind="characters"),
    "words": TokenizerConfig(kind="words", size=10_000),
    "bpe": TokenizerConfig(kind="bpe", size=8_000),
}


def learn(path: Path, config: TokenizerConfig) -> TextTokenizer:
    """A tokenizer of a file."""
    return train_tokenizer(config, (piece.text for piece in open_text(path).pieces()))


def measure(settings: Settings) -> Part:
    """Encode a text with each kind of tokenizer, and learn the tokenizers from it."""
    path = settings.folder / "text.txt"
    write_corpus(path, settings.pick(8, 1))
    size, text = path.stat().st_size, path.read_text(encoding="utf-8")
    rounds, rows = settings.pick(3, 1), []
    for kind, config in KINDS.items():
        tokenizer = learn(path, config)
        bare, what = _bare(kind, tokenizer, text)
        works: dict[str, Work] = {
            "encode": functools.partial(tokenise_stream, open_text(path), tokenizer),
            "bare": bare,
        }
        spent = interleaved(works, warmup=0, rounds=rounds)
        speed, allowed = (size / spent[name] / 1e6 for name in works)
        say(f"  {kind}: {speed:,.1f} MB/s of {allowed:,.1f}")
        rows.append(Row(f"{kind}, encode", speed, "MB/s", allowed, what))
        works = {"learn": functools.partial(learn, path, config), "bare": _counting(path)}
        spent = interleaved(works, warmup=0, rounds=1 if kind == "bpe" else rounds)
        speed, allowed = (size / spent[name] / 1e6 for name in works)
        rows.append(Row(f"{kind}, learn", speed, "MB/s", allowed, "`str.split` and counting"))
    copied = copy_rate() / 2e6
    rows.append(Row("a copy in memory", copied, "MB/s"))
    return Part("Tokenising", rows, [f"A text of {size / 1e6:.1f} MB, from the file."])


def _bare(kind: str, tokenizer: TextTokenizer, text: str) -> tuple[Work, str]:
    """The least that must be done to a text, and what it is."""
    if kind == "characters":
        return lambda: text.encode("utf-32-le"), "a copy as code points"
    if kind == "words":
        return text.split, "`str.split`"
    if not isinstance(tokenizer, SubwordTokenizer):
        raise TypeError(kind)
    processor: Any = sentencepiece.SentencePieceProcessor(model_proto=tokenizer.model)
    lines = text.splitlines(keepends=True)
    return lambda: [processor.encode(line) for line in lines], "SentencePiece alone"


def _counting(path: Path) -> Work:
    return lambda: Counter(path.read_text(encoding="utf-8").split())
