"""What commands that translate share: the models and the batches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from textgen.cli.lazy import Several
from textgen.cli.options import Seed, all_of, device_options, grouped_option

if TYPE_CHECKING:
    from textgen.loading import LoadedModel
    from textgen.translation import MaxLength, TranslationOptions

models_option = all_of(
    [
        grouped_option(
            "--model",
            "models",
            cls=Several,
            multiple=True,
            required=True,
            metavar="DIR|NAME...",
            help="A model's folder, or a name of `models`; several form an ensemble.",
        ),
        grouped_option(
            "--ensemble",
            type=click.Choice(["probabilities", "log-probabilities"]),
            default="probabilities",
            show_default=True,
            help="What an ensemble averages.",
        ),
        device_options(grouped_option),
    ]
)


@dataclass(frozen=True)
class Models:
    """What the options of ``models_option`` say."""

    models: tuple[str, ...]
    ensemble: Any
    device: str
    precision: str

    def load(self) -> LoadedModel:
        """Load the model, or the ensemble.

        Raises:
            CheckpointError: if one is missing or damaged.
            UsageError: if one is no translator, or they do not fit together.
        """
        from textgen.loading import load_ensemble

        loaded = load_ensemble(self.models, self.device, self.ensemble, self.precision)
        loaded.require_source()
        return loaded


translating_options = all_of(
    [
        grouped_option(
            "--seed",
            type=Seed(),
            default=0,
            show_default=True,
            metavar="N|random",
            help="Random seed of strategies that draw; `random` draws one, told by -v and --json.",
        ),
        grouped_option(
            "--batch-tokens",
            type=click.IntRange(min=1),
            default=1024,
            show_default=True,
            metavar="N",
            help="Source tokens per batch; the translations do not depend on it.",
        ),
        grouped_option(
            "--window",
            type=click.IntRange(min=1),
            default=1024,
            show_default=True,
            metavar="N",
            help="Maximum number of lines that are read ahead and grouped by length.",
        ),
        grouped_option(
            "--max-source",
            type=click.IntRange(min=1),
            default=1000,
            show_default=True,
            metavar="N",
            help="Maximum number of source tokens; longer lines are cut.",
        ),
        grouped_option(
            "--max-length",
            metavar="2x+10",
            help="Maximum length of a translation in tokens, as a function of its source's: "
            "2x+10, 1.5x or 100.  "
            "[default: 1.5 times what the training makes likely, and 10]",
        ),
        grouped_option(
            "--shortlist",
            type=click.IntRange(min=1),
            metavar="N",
            help="Look only at the N likeliest target tokens of each source token, and at frequent "
            "ones: faster, see `textgen lexicon`. 10 is a good number.",
        ),
    ]
)


@dataclass(frozen=True)
class Translating:
    """What the options of ``translating_options`` say."""

    seed: int
    batch_tokens: int
    window: int
    max_source: int
    max_length: str | None
    shortlist: int | None

    def options(
        self, *, candidates: int | None = None, attention: bool = False
    ) -> TranslationOptions:
        """How lines are translated.

        Raises:
            UsageError: if the length is not understood.
        """
        from textgen.translation import MaxLength, TranslationOptions

        length: MaxLength | None = None
        if self.max_length is not None:
            length = MaxLength.parse(self.max_length)
        return TranslationOptions(
            candidates=candidates,
            batch_tokens=self.batch_tokens,
            window=self.window,
            max_source=self.max_source,
            max_length=length,
            attention=attention,
            seed=self.seed,
            shortlist=self.shortlist,
        )
