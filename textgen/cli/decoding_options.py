"""--decode, --filter and their short forms, for all commands that decode."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from textgen.cli.options import all_of, chosen, kept_option, plugins_option

if TYPE_CHECKING:
    from textgen.decoding.chain import Chain

decoding_options = all_of(
    [
        kept_option(
            "--decode",
            metavar="SPEC",
            help="Strategy, or one filter to sample with: NAME or NAME:key=value,key=value.",
        ),
        kept_option(
            "--filter",
            "filters",
            metavar="SPEC",
            multiple=True,
            help="Change the probabilities before the choice; repeatable, in this order.",
        ),
        kept_option("--temperature", type=float, metavar="T", help="Short for a filter."),
        kept_option("--top-k", type=int, metavar="K", help="Short for a filter."),
        kept_option("--top-p", type=float, metavar="P", help="Short for --filter nucleus:P."),
        kept_option("--beam", type=int, metavar="WIDTH", help="Short for --decode beam:WIDTH."),
        plugins_option,
    ]
)


@dataclass(frozen=True)
class Decoding:
    """What the options of ``decoding_options`` say."""

    decode: str | None
    filters: tuple[str, ...]
    temperature: float | None
    top_k: int | None
    top_p: float | None
    beam: int | None
    plugins: tuple[Path, ...]


def chosen_chain() -> Chain:
    """The strategy and filters that the running command's options name."""
    from textgen.decoding.chain import resolve

    decoding = chosen(Decoding)
    return resolve(
        decoding.decode,
        decoding.filters,
        temperature=decoding.temperature,
        top_k=decoding.top_k,
        top_p=decoding.top_p,
        beam=decoding.beam,
        folders=decoding.plugins,
    )
