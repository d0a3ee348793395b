"""--decode, --filter and their short forms, for all commands that decode."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from textgen.cli.failures import complain
from textgen.cli.options import all_of, chosen, kept_option, plugin_registries, plugins_option

if TYPE_CHECKING:
    from textgen.decoding.chain import Chain, Registries

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
        kept_option(
            "--repetition-penalty",
            type=float,
            metavar="X",
            help="Short for --filter repetition-penalty:X; short forms act in this order.",
        ),
        kept_option(
            "--temperature", type=float, metavar="T", help="Short for --filter temperature:T."
        ),
        kept_option(
            "--top-k", type=click.IntRange(min=0), metavar="K", help="Short for --filter top-k:K."
        ),
        kept_option("--top-p", type=float, metavar="P", help="As --filter nucleus:P."),
        kept_option("--min-p", type=float, metavar="M", help="Short for --filter min-p:M."),
        kept_option(
            "--beam",
            type=click.IntRange(min=1),
            metavar="WIDTH",
            help="As --decode beam:WIDTH.",
        ),
        kept_option(
            "--allow-unknown",
            is_flag=True,
            help="Let the unknown token be generated, as <unk> of a model of words.",
        ),
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
    min_p: float | None
    repetition_penalty: float | None
    allow_unknown: bool

    def chain(self, registries: Registries, default: str) -> Chain:
        """The strategy and filters that are named.

        Args:
            registries: where they are looked up.
            default: SPEC of the strategy where none is named.

        Raises:
            PluginError: for unknown names.
            ConfigError: for wrong options.
            UsageError: for two strategies at once.
        """
        from textgen.decoding.chain import Flags, resolve

        flags = Flags(
            temperature=self.temperature,
            top_k=self.top_k,
            top_p=self.top_p,
            beam=self.beam,
            min_p=self.min_p,
            repetition_penalty=self.repetition_penalty,
        )
        return resolve(
            self.decode,
            self.filters,
            registries,
            flags,
            default=default,
            allow_unknown=self.allow_unknown,
        )


def chosen_registries() -> Registries:
    """Where the running command looks plugins up."""
    from textgen.decoding.chain import Registries

    return Registries(*plugin_registries())


def chosen_chain(default: str = "sample") -> Chain:
    """The strategy and filters that the running command's options name; see ``Decoding.chain``."""
    return chosen(Decoding).chain(chosen_registries(), default)


def in_words(chain: Chain) -> str:
    """The filters in their order, then the strategy."""
    return " | ".join(chain.description)


def say_how(chain: Chain, precision: str, device: str) -> None:
    """The resolved chain, the weights' precision and what multiplies them, on stderr."""
    from textgen.loading import resolve_device, resolve_precision
    from textgen.models.products import rows_are_independent
    from textgen.native import kernels

    found, place = kernels(), resolve_device(device)
    kind = "torch" if found is None or place.type != "cpu" else f"C, compiled for {found.kind}"
    if rows_are_independent(place, resolve_precision(precision)):
        rows = "a text never depends on its batch"
    else:
        size = "1e-7" if precision == "float32" else "4e-3: some texts will differ"
        rows = f"another batch may change the numbers by rounding ({size})"
    complain(f"decode: {in_words(chain)}")
    complain(f"weights: {precision}; single steps: {kind}; {rows}")
