"""``textgen train translator``: a translator from sentence pairs."""

from __future__ import annotations

import click

from textgen.cli.failures import complain
from textgen.cli.lazy import SeveralCommand, examples
from textgen.cli.options import chosen
from textgen.cli.output import json_option
from textgen.cli.pairs import TrainingPairs, training_pairs
from textgen.cli.training_options import Training, report, says_how_to_go_on, training_options
from textgen.progress import figure_for

DEFAULT_RECIPE = "translator-small"


@click.command(
    "translator",
    cls=SeveralCommand,
    epilog=examples(
        "textgen train translator --corpus dates --recipe dates-small --out checkpoints/dates",
        "textgen train translator --train train.en train.de --valid val.en val.de --out en-de",
        "textgen train translator --train train.en train.de --valid val.en val.de --out en-de "
        "--resume",
        "textgen train translator --train pairs.tsv --source en --target fr --out en-fr",
        "textgen train translator --corpus numbers --out numbers --set tokenizer.kind=characters",
    ),
)
@training_pairs
@training_options
@json_option
def command(*, as_json: bool) -> None:
    """Train a translator on your own sentence pairs.

    A recipe says all the rest: tokenizers, model, training. --set changes any part of it;
    `textgen recipes NAME` shows what there is. Ctrl-C saves, and --resume goes on from there
    bit for bit.
    """
    from textgen.data.parallel import find_overlap
    from textgen.recipes import TRANSLATOR
    from textgen.training.translator import train_translator

    training = chosen(Training)
    with training.group() as group:
        recipe = training.recipe_of(TRANSLATOR, DEFAULT_RECIPE, group)
        pairs = chosen(TrainingPairs).open()
        if pairs.test is not None and group.leads:
            overlap = find_overlap(pairs.train, pairs.test)
            if overlap.sources:
                complain(f"Warning: --test: {overlap}")
        events = train_translator(
            recipe,
            pairs.train,
            pairs.valid,
            training.out,
            resume=training.resume,
            overwrite=training.overwrite,
            group=group,
        )
        with says_how_to_go_on(training, group):
            summary = training.run(events, figure_for(recipe.tokenizer.kind), group)
    if not group.leads:
        return
    test = None
    if pairs.test is not None:
        from textgen.cli.translating import measure

        test = measure(str(training.out), pairs.test)
    report(training.out, summary, test, str(test), as_json=as_json)
