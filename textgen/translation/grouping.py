"""Lines to translate, with all that is their own, in groups that are decoded together."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from textgen.arguments import text_of, whole_numbers
from textgen.data.batching import bucket_borders
from textgen.data.tokenizers.vectors import VectorTokenizer
from textgen.decoding.binding import Binder
from textgen.decoding.chain import Chain
from textgen.decoding.random import check_seed
from textgen.loading import LoadedModel
from textgen.translation.length import MaxLength

_CHARACTERS_PER_TOKEN = 64  # of an over-long line no more than this is looked at
_WEIGHTS = 1 << 25  # attention weights that may wait for their turn


@dataclass(frozen=True)
class TranslationOptions:
    """How lines are translated.

    Attributes:
        candidates: translations wanted for each line; None: as many as the strategy's own options
            name, or one.
        batch_tokens: source tokens decoded at once, padding included.
        window: most lines that are read ahead and grouped by length.
        max_source: source tokens after which a line is cut.
        max_length: of a translation; None takes the model's own.
        attention: keep the attention.
        seed: for strategies that draw lots.
        workers: threads that decode at once, each a batch of its own, on the CPU; 1 decodes where
            it is called. What a line gets does not depend on it.
        shortlist: only so many likely target tokens of each source token are looked at, from the
            lexicon in the model's folder, and the most frequent ones; log-probabilities are then
            renormalised over what is looked at. None looks at the whole vocabulary.
        allow_unknown: the unknown token may be generated; to replace it, it must be.
    """

    candidates: int | None = None
    batch_tokens: int = 1024
    window: int = 1024
    max_source: int = 1000
    max_length: MaxLength | None = None
    attention: bool = False
    seed: int = 0
    workers: int = 1
    shortlist: int | None = None
    allow_unknown: bool = False

    def __post_init__(self) -> None:
        """See that the numbers are whole and in their ranges.

        Raises:
            UsageError: if one is not.
        """
        names = ("candidates", "batch_tokens", "window", "max_source", "workers", "shortlist")
        whole_numbers(self, dict.fromkeys(names, 1))
        check_seed(self.seed)


@dataclass(frozen=True)
class SourceLine:
    """A line to translate, a forced beginning of its translation, and what is its own.

    Attributes:
        text: the line.
        prefix: with which its translation begins.
        chain: how to decode it; None as the others.
        candidates: translations wanted; None as of the others.
        max_length: of its translation; None as of the others.
        seed: None that of the others.
        number: by which its random numbers differ from other lines' of the same seed; None its
            place in the input.
    """

    text: str
    prefix: str = ""
    chain: Chain | None = None
    candidates: int | None = None
    max_length: MaxLength | None = None
    seed: int | None = None
    number: int | None = None

    def __post_init__(self) -> None:
        """See that all is what it should be.

        Raises:
            UsageError: if something is not.
        """
        text_of(self.text, "source")
        text_of(self.prefix, "prefix")
        whole_numbers(self, {"candidates": 1, "seed": 0, "number": 0})


@dataclass(frozen=True)
class Line:
    """A line that is ready to be decoded.

    Attributes:
        index: its place in the input.
        text: as it came.
        tokens: of the source, without eos; none of a blank line.
        cut: whether there were more.
        prefix: tokens of the forced beginning.
        limit: most tokens of a translation.
        beginning: the forced beginning as it was given.
        candidates: translations wanted.
        chain: its own, bound to the model; None as the others.
        rng_key: seed and number of its random numbers.
    """

    index: int
    text: str
    tokens: list[int]
    cut: bool
    prefix: list[int]
    limit: int
    candidates: int
    chain: Chain | None
    rng_key: tuple[int, int]
    beginning: str = ""


class Encoder:
    """Makes lines ready.

    Args:
        loaded: the translator.
        options: of lines that have none of their own.
        max_length: likewise.
        binder: makes chains ready for the model.
        chain: of lines that have none of their own.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        options: TranslationOptions,
        max_length: MaxLength,
        binder: Binder,
        chain: Chain,
    ) -> None:
        self.loaded, self.options, self.max_length = loaded, options, max_length
        self.binder, self.chain = binder, chain

    def __call__(self, index: int, line: SourceLine) -> Line:
        """A line with its tokens.

        Raises:
            UsageError: if its own chain does not suit the model, or names another number of
                translations than is wanted.
        """
        loaded, options = self.loaded, self.options
        text = line.text.strip()
        most = options.max_source * _CHARACTERS_PER_TOKEN
        tokenizer = loaded.require_source()
        if tokenizer.kind == VectorTokenizer.kind:
            most = len(text)
        tokens = tokenizer.encode(text[:most]) if text else []
        whole = loaded.tokenizer.kind in {"characters", "bytes"}
        prefix = line.prefix if whole else line.prefix.strip()
        kept = tokens[: options.max_source]
        return Line(
            index=index,
            text=line.text,
            tokens=kept,
            cut=len(tokens) > options.max_source or len(text) > most,
            prefix=loaded.tokenizer.encode(prefix),
            limit=(line.max_length or self.max_length).of(len(kept) + 1),
            candidates=(line.chain or self.chain).results(line.candidates or options.candidates),
            chain=None if line.chain is None else self.binder(line.chain),
            rng_key=(
                options.seed if line.seed is None else line.seed,
                index if line.number is None else line.number,
            ),
            beginning=prefix,
        )


def parts(window: Sequence[Line], *, attention: bool) -> list[list[Line]]:
    """A window in parts whose attention, if it is kept, may wait in memory for its turn."""
    found: list[list[Line]] = [[]]
    weights = 0
    for line in window:
        more = line.candidates * (len(line.tokens) + 1) * line.limit if attention else 0
        if found[-1] and weights + more > _WEIGHTS:
            found.append([])
            weights = 0
        found[-1].append(line)
        weights += more
    return found if window else []


def batches(window: Sequence[Line], batch_tokens: int, workers: int = 1) -> list[list[Line]]:
    """Lines of one strategy and like length together, the batch of the first line first.

    Blank lines stand apart.

    Args:
        window: the lines.
        batch_tokens: most source tokens of a batch, padding included.
        workers: a window that is small is cut into so many batches at least, lines permitting.
    """
    groups: dict[tuple[int, bool, int], list[Line]] = {}
    blank = [line for line in window if not line.tokens]
    for line in window:
        if line.tokens:
            own = line.chain
            how = (0, False) if own is None else (id(own.strategy), own.allow_unknown)
            groups.setdefault((*how, line.candidates), []).append(line)
    found = [blank] if blank else []
    tokens = sum(len(line.tokens) + 1 for line in window)
    most = min(batch_tokens, -(-tokens // workers)) if workers > 1 else batch_tokens
    for group in groups.values():
        ordered = sorted(group, key=lambda each: (len(each.tokens), each.index))
        borders = bucket_borders([len(line.tokens) + 1 for line in ordered], most)
        found += [ordered[begin:end] for begin, end in itertools.pairwise(borders)]
    return sorted(found, key=lambda each: min(line.index for line in each))
