"""Corpora that have a name: one TOML card for each says what it is and how it is opened."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from textgen.config import read_toml, structure
from textgen.data import builtin
from textgen.data.associative_recall import RecallConfig, open_associative_recall
from textgen.data.copying import CopyConfig, RepeatCopyConfig, open_copy, open_repeat_copy
from textgen.data.dates import DatesConfig, open_dates
from textgen.data.drawn_text import DrawnTextConfig, open_drawn_text
from textgen.data.hub import HubText, Rows, choose_table, load_tables, standard_tables
from textgen.data.languages import LanguagesConfig, open_languages
from textgen.data.numbers import NumbersConfig, open_numbers
from textgen.data.parallel import HubPairs, PairSplits
from textgen.data.python_tokens import PythonTokensConfig, open_python_tokens
from textgen.data.splits import Splits
from textgen.data.temporal_order import TemporalOrderConfig, open_temporal_order
from textgen.errors import DataError, UsageError, nearest
from textgen.registry import parse_spec

Kind = Literal["text", "parallel"]


@dataclass(frozen=True)
class HubOrigin:
    """Where a fetched corpus is found among Hugging Face's data sets."""

    name: Annotated[str, "ORGANISATION/NAME"]
    config: Annotated[str | None, "which of its configurations"] = None
    revision: Annotated[str | None, "a tag, branch or commit"] = None
    train: Annotated[str, "split to train on"] = "train"
    valid: Annotated[str, "split to judge by; empty if there is none"] = "validation"
    test: Annotated[str, "split to test on; empty if there is none"] = "test"
    column: Annotated[str | None, "column of the text"] = None
    rows: Annotated[Rows, "what a row is"] = "documents"
    source: Annotated[str | None, "column of the source sentences"] = None
    target: Annotated[str | None, "column of the target sentences"] = None


@dataclass(frozen=True)
class Card:
    """What people want to know about a corpus before they use it."""

    name: Annotated[str, "by which it is asked for: the card's file name"]
    title: Annotated[str, "one line on what it is"]
    kind: Annotated[Kind, "running text, or pairs of sentences"]
    language: Annotated[str, "language or languages"]
    source: Annotated[str, "who made it, and where it comes from"]
    licence: Annotated[str, "what may be done with it"]
    size: Annotated[str, "how large it is"]
    splits: Annotated[str, "how it is divided"]
    checksum: Annotated[str, "digest of the original files, where they are fixed"] = ""
    notes: Annotated[str, "what else matters"] = ""
    builtin: Annotated[str | None, "made here without a download, by this function"] = None
    tagged: Annotated[bool, "pairs of words and their tags, separated by tabs"] = False
    hub: Annotated[HubOrigin | None, "fetched from here"] = None

    @property
    def origin(self) -> str:
        """In two words: built in, or fetched from where."""
        return "built in" if self.hub is None else f"fetched: {self.hub.name}"

    def open_pairs(self, options: Mapping[str, Any] | None = None) -> PairSplits:
        """The corpus as pairs.

        Args:
            options: of a corpus that is made here: ``source``, ``target``, ``seed``, ...

        Raises:
            DataError: if it holds running text, or cannot be fetched.
            ConfigError: if options are unknown or out of range.
        """
        if self.kind != "parallel":
            raise DataError(f"The corpus {self.name!r} is running text, for `train lm`.")
        if self.hub is None:
            return _PAIRS[self.name](dict(options or {}))
        if options:
            raise DataError(f"The corpus {self.name!r} has no options.")
        return _open_hub_pairs(self.hub)

    def open(self) -> Splits:
        """The corpus as text.

        Raises:
            DataError: if it holds pairs, or cannot be fetched.
        """
        if self.kind != "text":
            raise DataError(
                f"The corpus {self.name!r} holds pairs of sentences, for `train translator`."
            )
        if self.hub is not None:
            return _open_hub(self.hub)
        return _BUILTIN[self.name]()


def cards() -> list[Card]:
    """All cards, by name."""
    return [_read(path) for path in sorted(_folder().glob("*.toml"))]


def card(name: str) -> Card:
    """One card.

    Raises:
        UsageError: if there is none of that name; with the nearest.
    """
    path = _folder() / f"{name}.toml"
    names = [each.stem for each in _folder().glob("*.toml")]
    if name not in names:
        raise UsageError(f"There is no corpus {name!r}.{nearest(name, names)}")
    return _read(path)


def open_corpus(name: str) -> Splits:
    """A corpus of running text by its name.

    Raises:
        UsageError: if there is none of that name; with the nearest.
        DataError: if it holds pairs, or cannot be fetched.
    """
    return card(name).open()


def open_dataset(
    name: str, config: str | None = None, column: str | None = None, *, streaming: bool = False
) -> Splits:
    """All splits of a Hugging Face data set, by their usual names.

    Raises:
        DataError: as ``hub.open_hub``.
    """
    tables = load_tables(name, config, streaming=streaming)
    train, valid, test = standard_tables(tables, name)
    return Splits(
        HubText(train, column),
        HubText(valid, column) if valid else None,
        HubText(test, column) if test else None,
    )


def _open_hub(origin: HubOrigin) -> Splits:
    tables = load_tables(origin.name, origin.config, revision=origin.revision)

    def part(split: str) -> HubText:
        return HubText(choose_table(tables, split, origin.name), origin.column, origin.rows)

    return Splits(
        part(origin.train),
        part(origin.valid) if origin.valid else None,
        part(origin.test) if origin.test else None,
    )


def open_pair_corpus(spec: str) -> PairSplits:
    """A parallel corpus by name and options, as in ``dates:source=uk,target=de``.

    Raises:
        UsageError: if there is no such corpus, or an option is unknown or out of range.
        DataError: if it cannot be had.
    """
    parsed = parse_spec(spec)
    if parsed.positional:
        raise UsageError(f"{spec!r}: options of a corpus are written name=value.")
    return card(parsed.name).open_pairs(parsed.options)


def _open_hub_pairs(origin: HubOrigin) -> PairSplits:
    source, target = origin.source or "source", origin.target or "target"
    tables = load_tables(origin.name, origin.config, revision=origin.revision)

    def part(split: str) -> HubPairs:
        return HubPairs(choose_table(tables, split, origin.name), source, target)

    return PairSplits(
        part(origin.train),
        part(origin.valid) if origin.valid else None,
        part(origin.test) if origin.test else None,
    )


def _read(path: Path) -> Card:
    data: Mapping[str, Any] = {"name": path.stem, **read_toml(path)}
    return structure(Card, data, where=f"card {path.name}")


def _folder() -> Path:
    """The cards of the checkout, or those that the wheel brought along."""
    package = Path(__file__).resolve().parent.parent
    bundled = package / "_bundled" / "corpora"
    return bundled if bundled.is_dir() else package.parent / "corpora"


_BUILTIN: dict[str, Callable[[], Splits]] = {
    "python-reference": builtin.python_reference,
    "python-library": builtin.python_library,
}

_Options = Mapping[str, Any]
_Config = TypeVar("_Config")


def _pairs_of(
    name: str, config: type[_Config], opened: Callable[[_Config], PairSplits]
) -> tuple[str, Callable[[_Options], PairSplits]]:
    """A row of the table: how a corpus is opened with its options."""
    return name, lambda options: opened(structure(config, options, where=f"corpus {name}"))


_PAIRS: dict[str, Callable[[_Options], PairSplits]] = dict(
    [
        _pairs_of("python-tokens", PythonTokensConfig, open_python_tokens),
        _pairs_of("drawn-text", DrawnTextConfig, open_drawn_text),
        _pairs_of("dates", DatesConfig, open_dates),
        _pairs_of("numbers", NumbersConfig, open_numbers),
        _pairs_of("languages", LanguagesConfig, open_languages),
        _pairs_of("copy", CopyConfig, open_copy),
        _pairs_of("repeat-copy", RepeatCopyConfig, open_repeat_copy),
        _pairs_of("associative-recall", RecallConfig, open_associative_recall),
        _pairs_of("temporal-order", TemporalOrderConfig, open_temporal_order),
    ]
)
