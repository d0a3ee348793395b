"""``textgen translate --jsonl``: requests in, translations out."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from annotated_types import Ge

from textgen.cli.decoding_options import chosen_decoding, chosen_registries
from textgen.cli.failures import warn
from textgen.cli.requests import Answer, Chains, OwnDecoding, answer_all, read_request
from textgen.cli.translation_output import Layout, Writer
from textgen.short_options import DEFAULT_TRANSLATING, with_short_options
from textgen.shortfall import Shortfall
from textgen.translation import (
    MaxLength,
    SourceLine,
    TranslationOptions,
    make_binder,
    translate_windows,
)

if TYPE_CHECKING:
    from textgen.decoding.chain import Chain
    from textgen.loading import LoadedModel


@with_short_options
@dataclass(frozen=True)
class OwnTranslation(OwnDecoding):
    """What a request may say."""

    source: str = dataclasses.field(kw_only=True)
    n_best: Annotated[int, Ge(1)] | None = None
    max_length: str | None = None
    prefix: str = ""


@dataclass(frozen=True)
class _Ready:
    """A request and how it is answered."""

    line: SourceLine
    writer: Writer
    seed: int
    number: int
    name: str


def answer_requests(
    loaded: LoadedModel, layout: Layout, default_chain: Chain, options: TranslationOptions
) -> None:
    """Answer the requests of stdin.

    A request with a seed of its own draws what it draws alone, by that seed; one without draws by
    the command's seed and the number of its line.

    Args:
        loaded: a translator.
        layout: of answers, as the command's options want it.
        default_chain: of the command's options.
        options: what requests do not say, they take from here.

    Raises:
        UsageError: if the command's chain does not suit the model.
    """
    binder = make_binder(loaded, options)
    binder(default_chain)
    chains = Chains(chosen_decoding(), chosen_registries(), DEFAULT_TRANSLATING, binder)
    shortfall = Shortfall("requests", warn)

    def read(text: str, number: int) -> _Ready:
        own = read_request(OwnTranslation, text)
        chain = chains(own)
        inherited = options.candidates if chain.n_best is None else None
        wanted = chain.results(own.n_best or inherited)
        line = SourceLine(
            own.source,
            prefix=own.prefix,
            chain=chain,
            candidates=wanted,
            max_length=None if own.max_length is None else MaxLength.parse(own.max_length),
            seed=own.seed,
            number=number if own.seed is None else 0,
        )
        lists = layout.n_best or own.n_best is not None or wanted > 1
        its = dataclasses.replace(layout, n_best=lists, decode=str(chain))
        seed = options.seed if own.seed is None else own.seed
        return _Ready(line, Writer(loaded, its, None), seed, number, chain.name)

    def work(ready: Sequence[_Ready]) -> Iterator[Answer]:
        lines = [each.line for each in ready]
        with contextlib.closing(
            translate_windows(loaded, [lines], default_chain, options, binder=binder)
        ) as found:
            for each, translation in zip(ready, found, strict=True):
                if translation.source_tokens:
                    wanted = each.line.candidates or 1
                    shortfall.note(len(translation.candidates), wanted, each.name)
                numbered = dataclasses.replace(translation, index=each.number)
                yield [{**each.writer.as_dict(numbered), "seed": each.seed}]

    with shortfall:
        answer_all(options.window, read, work)
