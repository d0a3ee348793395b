"""Held-out parts that never leak: the end of a stream, or whole lines chosen by their text."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal

from textgen.data.documents import Lines, Part, TextSource
from textgen.errors import DataError

Unit = Literal["stream", "lines"]

_WHOLE = 1 << 64


@dataclass(frozen=True)
class Share:
    """A share of all texts, chosen by a hash: equal texts are always on the same side.

    Attributes:
        border: texts whose hash is below are held out.
    """

    border: int

    @classmethod
    def of(cls, texts: Iterable[str], share: float, name: str) -> Share:
        """The share that holds out at least one of the texts, and not all.

        Raises:
            DataError: if the share is not between 0 and 1, or all texts are the same.
        """
        _check(share)
        hashes = {_hash(text) for text in _extremes(texts)}
        if len(hashes) < 2:
            raise DataError(
                f"{name}: at least two different lines are needed to hold out some of them."
            )
        return cls(min(max(int(share * _WHOLE), min(hashes) + 1), max(hashes)))

    def holds_out(self, text: str) -> bool:
        """Is the text in the share?"""
        return _hash(text) < self.border


def hold_out(
    source: TextSource, share: float, unit: Unit = "stream"
) -> tuple[TextSource, TextSource]:
    """Divide a source into a part to train on and a part that is held out.

    A stream of n characters is cut once: ``text[:int(n * (1 - share))]`` is trained on, the
    rest is held out. Lines are chosen by a hash of their text, so that equal lines always fall
    on the same side; the share is then met on average, and at least one line is held out.

    Args:
        source: read once for counting.
        share: the held-out part, 0 < share < 1.
        unit: "stream" or "lines".

    Returns:
        The part to train on, and the held-out part. With "lines" every line is a document.

    Raises:
        DataError: if a part would be empty.
    """
    _check(share)
    return _cut_stream(source, share) if unit == "stream" else _choose_lines(source, share)


def _check(share: float) -> None:
    if not 0 < share < 1:
        raise DataError(f"The held-out share is {share}; it must lie between 0 and 1.")


def _cut_stream(source: TextSource, share: float) -> tuple[TextSource, TextSource]:
    count = sum(len(piece.text) for piece in source.pieces())
    border = int(count * (1 - share))
    if not 0 < border < count:
        raise DataError(
            f"{source.name}: {count:,} characters are too few to hold out {share:.0%} of them."
        )
    train = Part(source, 0, border, f"{source.name} (first {1 - share:.0%})")
    return train, Part(source, border, count, f"{source.name} (last {share:.0%})")


def _choose_lines(source: TextSource, share: float) -> tuple[TextSource, TextSource]:
    chosen = Share.of(Lines(source).documents(), share, source.name)
    percent = f"{share:.0%} of the lines"
    train = Lines(
        source,
        lambda line: not chosen.holds_out(line),
        name=f"{source.name} (without {percent})",
        tag=f"without {chosen}",
    )
    valid = Lines(source, chosen.holds_out, name=f"{source.name} ({percent})", tag=f"only {chosen}")
    return train, valid


def _extremes(texts: Iterable[str]) -> list[str]:
    """The texts with the smallest and the largest hash, if they differ."""
    found: dict[int, str] = {}
    for text in texts:
        found[_hash(text)] = text
        if len(found) > 2:
            del found[sorted(found)[1]]
    return list(found.values())


def _hash(text: str) -> int:
    """A number in [0, 2⁶⁴) that depends on the text alone, its outer spaces apart."""
    data = text.strip().encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(data, digest_size=8).digest(), "little")
