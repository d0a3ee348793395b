"""``textgen generate``: a prompt in, text out, with the decoding that is named."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from textgen.cli.decoding_options import chosen_chain, decoding_options, say_how
from textgen.cli.failures import complain, warn
from textgen.cli.generation_output import generation_as_dict, print_generation
from textgen.cli.lazy import examples
from textgen.cli.options import (
    Seed,
    collected,
    device_options,
    model_option,
    whole_number,
)
from textgen.cli.output import json_lines_option, jsonl_option, print_json
from textgen.cli.threads import Threads, set_threads, threads_option
from textgen.errors import DataError, UsageError
from textgen.shortfall import Shortfall

if TYPE_CHECKING:
    from textgen.data.tokenizers.unseen import Unseen
    from textgen.decoding.chain import Chain
    from textgen.inference import LoadedModel, Request

STDIN = "-"
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_ESCAPE = re.compile(r"\\([ntr\\])")
_MEANT = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\"}


def unescaped(text: str) -> str:
    r"""A text of the command line in which ``\n``, ``\t``, ``\r`` and ``\\`` are one character."""
    return _ESCAPE.sub(lambda found: _MEANT[found[1]], text)


@click.command(
    "generate",
    epilog=examples(
        'textgen generate --model checkpoints/py --prompt "The "',
        'textgen generate --model checkpoints/py --prompt "The " --decode top-k:k=40 --seed 7',
        'textgen generate --model checkpoints/py --prompt "The " --temperature 0.8 --top-p 0.9',
        'textgen generate --model checkpoints/py --prompt "The " --beam 5 --max-tokens 60',
        "textgen generate --model checkpoints/py --prompt - --samples 2 --json < prompts.txt",
        "textgen generate --model checkpoints/py --max-tokens 60 --jsonl < requests.jsonl",
    ),
)
@model_option
@click.option(
    "--prompt", default="", metavar="TEXT|-", help="Prompt; - reads one prompt per line from stdin."
)
@decoding_options
@click.option(
    "--seed",
    type=Seed(),
    default=0,
    show_default=True,
    metavar="N|random",
    help="Random seed; `random` draws one, which -v and --json tell.",
)
@click.option(
    "--samples",
    type=click.IntRange(min=1),
    metavar="N",
    help="Number of texts per prompt.  [default: as many as --decode names (n_best, width of "
    "stochastic-beam), or 1]",
)
@click.option(
    "--max-tokens",
    type=click.IntRange(min=0),
    default=500,
    show_default=True,
    help="Maximum number of tokens to generate.",
)
@click.option(
    "--stop",
    multiple=True,
    metavar="TEXT",
    callback=lambda _, __, texts: tuple(map(unescaped, texts)),
    help="Stop before this text; repeatable. \\n, \\t and \\r are the characters, \\\\ a "
    "backslash.",
)
@whole_number("--batch-size", 16, "Prompts per batch; the texts do not depend on it.")
@device_options()
@threads_option
@click.option("-v", "--verbose", is_flag=True, help="Report how texts are decoded.")
@json_lines_option
@jsonl_option
def command(
    *,
    model: str,
    prompt: str,
    seed: int,
    samples: int | None,
    max_tokens: int,
    stop: tuple[str, ...],
    batch_size: int,
    device: str,
    precision: str,
    verbose: bool,
    as_json: bool,
    jsonl: bool,
) -> None:
    """Continue a prompt.

    Without --decode, text is sampled; with --beam, beam search is used. Filters act in the
    order given. A filter that is named twice, by its short form and by its SPEC, is refused.

    Where there are several texts, or --prompt is -, a line "--- prompt P, sample S ---" stands
    above each, best first where they are ranked. Where fewer are found than asked for, a warning
    on stderr says so.

    --jsonl requests have the keys prompt, decode, filters (a list), allow_unknown,
    [short keys], seed, samples, max_tokens and stop (a text or a list); what one does not say it
    takes from the options here.
    """
    from textgen.inference import Request, load_model

    if "" in stop:
        raise UsageError("--stop: an empty text would stop at once.")
    chain = chosen_chain()
    results = chain.results(samples)
    if verbose:
        say_how(chain, precision, device)
        complain(f"seed: {seed}")
    if jsonl and prompt == STDIN:
        raise UsageError("--jsonl reads requests from stdin: --prompt cannot read it too.")
    set_threads(collected(Threads).threads)
    loaded = load_model(model, device, precision)
    if jsonl:
        from textgen.cli.generate_requests import answer_requests

        default = Request(_as_text(prompt), samples, max_tokens, stop, seed)
        answer_requests(loaded, default, chain, batch_size)
        return
    if sys.stdin.isatty() and prompt == STDIN:
        batch_size = 1  # who types a prompt waits for its text
    _answer(
        loaded, Request(prompt, results, max_tokens, stop, seed), chain, batch_size, as_json=as_json
    )


def _answer(
    loaded: LoadedModel, request: Request, chain: Chain, batch_size: int, *, as_json: bool
) -> None:
    """Continue the prompt of a request, or each line of stdin."""
    from textgen.data.tokenizers.unseen import Unseen
    from textgen.inference import generate_each

    unseen = Unseen(loaded.tokenizer, warn)
    requests = (
        replace(request, prompt=unseen.noted(text), index=index)
        for index, text in enumerate(_prompts(request.prompt, loaded.tokenizer.errors))
    )
    if request.prompt != STDIN and request.samples == 1 and not as_json:
        _stream(loaded, requests, chain, unseen)
        return
    shortfall = Shortfall("prompts", warn)
    for generations in generate_each(loaded, requests, chain, batch_size=batch_size):
        unseen.tell()
        for generation in generations:
            if as_json:
                print_json(generation_as_dict(generation, chain, request.seed))
            else:
                print_generation(generation)
        sys.stdout.flush()
        shortfall.note(len(generations), chain.results(request.samples), chain.name)
    shortfall.tell()


def _stream(loaded: LoadedModel, requests: Iterable[Request], chain: Chain, unseen: Unseen) -> None:
    """Write the text of the only request while it comes into being."""
    from textgen.inference import generate_each, require_language_model

    def show(_: int, text: str) -> None:
        click.echo(text, nl=False)

    require_language_model(loaded)
    binder = loaded.binder()
    binder(chain)  # what does not suit the model is told before any text
    shortfall = Shortfall("prompts", warn)
    for request in requests:
        unseen.tell()
        click.echo(request.prompt, nl=False)
        for found in generate_each(loaded, [request], chain, on_text=show, binder=binder):
            click.echo()
            shortfall.note(len(found), 1, chain.name)
    shortfall.tell()


def _prompts(prompt: str, errors: str) -> Iterator[str]:
    """The prompts: the one given, or the lines of stdin as they come.

    A line of stdin that is not UTF-8 still gets its text; what it lacks is told on stderr.
    """
    if prompt != STDIN:
        yield prompt if errors == "surrogateescape" else _as_text(prompt)
        return
    if sys.stdin.isatty():
        complain("Prompts, one a line; Ctrl-D ends them.")
    for number, line in enumerate(sys.stdin.buffer, start=1):
        text = line.rstrip(b"\r\n").decode("utf-8", errors)
        if REPLACEMENT in text:
            complain(
                f"stdin, line {number}: has bytes that are no UTF-8 text; read as {REPLACEMENT}."
            )
        yield text


def _as_text(prompt: str) -> str:
    """The prompt of the command line as UTF-8 text."""
    try:
        return prompt.encode("utf-8", "surrogateescape").decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"--prompt: byte {error.start + 1} is not UTF-8 text.") from None
