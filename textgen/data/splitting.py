"""Held-out parts that never leak: the end of a stream, or whole lines chosen by their text."""

from __future__ import annotations

from hashlib import blake2b
from typing import Literal

from textgen.data.documents import Lines, Part, TextSource
from textgen.errors import DataError

Unit = Literal["stream", "lines"]

_WHOLE = 1 << 64


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
    if not 0 < share < 1:
        raise DataError(f"The held-out share is {share}; it must lie between 0 and 1.")
    return _cut_stream(source, share) if unit == "stream" else _choose_lines(source, share)


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
    hashes = [_line_hash(line) for line in _smallest_and_largest(source)]
    if len(hashes) < 2:
        raise DataError(
            f"{source.name}: at least two different lines are needed to hold out some of them."
        )
    smallest, largest = min(hashes), max(hashes)
    border = min(max(int(share * _WHOLE), smallest + 1), largest)
    percent = f"{share:.0%} of the lines"
    train = Lines(
        source,
        lambda line: _line_hash(line) >= border,
        name=f"{source.name} (without {percent})",
        tag=f"≥{border}",
    )
    valid = Lines(
        source,
        lambda line: _line_hash(line) < border,
        name=f"{source.name} ({percent})",
        tag=f"<{border}",
    )
    return train, valid


def _smallest_and_largest(source: TextSource) -> list[str]:
    """The lines with the smallest and the largest hash, if they differ."""
    extremes: dict[int, str] = {}
    for line in Lines(source).documents():
        extremes[_line_hash(line)] = line
        if len(extremes) > 2:
            del extremes[sorted(extremes)[1]]
    return list(extremes.values())


def _line_hash(line: str) -> int:
    """A number in [0, 2⁶⁴) that depends on the line's text alone, its outer spaces apart."""
    data = line.strip().encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(data, digest_size=8).digest(), "little")
