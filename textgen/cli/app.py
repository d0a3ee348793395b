"""The tree of commands: each is imported when it is named."""

from __future__ import annotations

import click

from textgen.cli.lazy import LazyGroup, examples

_EVALUATE = LazyGroup(
    "evaluate",
    {
        "perplexity": "textgen.cli.evaluate_perplexity",
        "bleu": "textgen.cli.evaluate_bleu",
        "translation": "textgen.cli.evaluate_translation",
        "alignment": "textgen.cli.evaluate_alignment",
        "decoding": "textgen.cli.evaluate_decoding",
        "classification": "textgen.cli.evaluate_classification",
        "tagging": "textgen.cli.evaluate_tagging",
        "gradients": "textgen.cli.evaluate_gradients",
    },
    help="Measure models and what they write.",
    epilog=examples("textgen evaluate perplexity --model checkpoints/py valid.txt"),
)

textgen = LazyGroup(
    "textgen",
    {
        "train": "textgen.cli.train",
        "generate": "textgen.cli.generate",
        "translate": "textgen.cli.translate",
        "predict": "textgen.cli.predict",
        "recall": "textgen.cli.recall",
        "lexicon": "textgen.cli.lexicon",
        "compare": "textgen.cli.compare",
        "evaluate": _EVALUATE,
        "corpora": "textgen.cli.corpora",
        "recipes": "textgen.cli.recipes",
        "plugins": "textgen.cli.plugins",
        "models": "textgen.cli.models",
    },
    help=(
        "Train recurrent language models, translators, classifiers and taggers; generate, "
        "translate, predict, measure.\n\n"
        "Results go to stdout, progress and messages to stderr. Every command answers -h with "
        "examples."
    ),
    epilog=examples(
        "textgen train lm --corpus python-reference --minutes 1 --out checkpoints/py",
        'textgen generate --model checkpoints/py --prompt "The " --decode nucleus:p=0.9',
        "textgen translate --model checkpoints/dates < dates.txt",
        "textgen evaluate perplexity --model checkpoints/py valid.txt",
        "textgen compare lm --train novel.txt --vary model.cell=rnn,lstm,gru --out cells-of-novel",
        "textgen plugins nucleus",
    ),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _show_version(context: click.Context, _: click.Parameter, asked: bool) -> None:
    """Print the version; it is looked up only when it is asked for."""
    if asked and not context.resilient_parsing:
        import importlib.metadata

        click.echo(f"textgen {importlib.metadata.version('textgen')}")
        context.exit()


textgen.params.append(
    click.Option(
        ["--version"],
        is_flag=True,
        expose_value=False,
        is_eager=True,
        callback=_show_version,
        help="Show the version and exit.",
    )
)
