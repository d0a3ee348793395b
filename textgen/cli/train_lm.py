"""``textgen train lm``: a language model from a text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from textgen.cli.lazy import SeveralCommand, examples
from textgen.cli.options import chosen
from textgen.cli.output import json_option
from textgen.cli.texts import TrainingTexts, training_texts
from textgen.cli.training_options import Training, report, says_how_to_go_on, training_options
from textgen.progress import figure_for

if TYPE_CHECKING:
    from textgen.data.documents import TextSource
    from textgen.evaluation.perplexity import Perplexity

DEFAULT_RECIPE = "char-small"


@click.command(
    "lm",
    cls=SeveralCommand,
    epilog=examples(
        "textgen train lm --corpus python-reference --minutes 1 --out checkpoints/py",
        "textgen train lm --train novel.txt --out checkpoints/novel --set model.hidden=512",
        "textgen train lm --train novel.txt --out checkpoints/novel --resume",
        "textgen train lm --train a.txt b.txt --valid c.txt --out words --recipe word-small",
        "textgen train lm --train posts.csv --column text --minutes 5 --out checkpoints/posts",
    ),
)
@training_texts
@training_options
@json_option
def command(*, as_json: bool) -> None:
    """Train a language model on your own text.

    A recipe says all the rest: tokenizer, model, training. --set changes any part of it;
    `textgen recipes NAME` shows what there is. Ctrl-C saves, and --resume goes on from there
    bit for bit.
    """
    from textgen.recipes import LANGUAGE_MODEL
    from textgen.training.language_model import train_language_model

    training = chosen(Training)
    with training.group() as group:
        recipe = training.recipe_of(LANGUAGE_MODEL, DEFAULT_RECIPE, group)
        texts = chosen(TrainingTexts).open(raw=recipe.tokenizer.kind == "bytes")
        events = train_language_model(
            recipe,
            texts.train,
            texts.valid,
            training.out,
            resume=training.resume,
            overwrite=training.overwrite,
            group=group,
        )
        with says_how_to_go_on(training, group):
            summary = training.run(events, figure_for(recipe.tokenizer.kind), group)
    if not group.leads:
        return
    test = None if texts.test is None else _measure(training, texts.test)
    line = (
        ""
        if test is None
        else (
            f"perplexity {test.perplexity:,.3f} per token, "
            f"{test.nats_per_character:.4f} nats per character"
        )
    )
    report(training.out, summary, test, line, as_json=as_json)


def _measure(training: Training, source: TextSource) -> Perplexity:
    """The perplexity of the weights that were kept."""
    from textgen.evaluation.perplexity import perplexity
    from textgen.loading import load_model

    return perplexity(load_model(str(training.out)), source)
