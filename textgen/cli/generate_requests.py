"""``textgen generate --jsonl``: requests in, texts out."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from annotated_types import Ge, Le

from textgen.cli.decoding_options import chosen_decoding, chosen_registries
from textgen.cli.failures import warn
from textgen.cli.generation_output import generation_as_dict
from textgen.cli.requests import Answer, Chains, OwnDecoding, answer_all, read_request
from textgen.data.tokenizers.unseen import Unseen
from textgen.errors import TextgenError
from textgen.inference import LoadedModel, Request, generate_each, require_language_model
from textgen.short_options import DEFAULT_GENERATING, with_short_options
from textgen.shortfall import Shortfall

if TYPE_CHECKING:
    from textgen.decoding.chain import Chain


@with_short_options
@dataclass(frozen=True)
class OwnGeneration(OwnDecoding):
    """What a request may say."""

    prompt: str | None = None
    samples: Annotated[int, Ge(1)] | None = None
    max_tokens: Annotated[int, Ge(0), Le(1 << 31)] | None = None
    stop: list[str] | None = None


@dataclass(frozen=True)
class _Ready:
    """A request and the number of its line."""

    request: Request
    chain: Chain
    number: int


def answer_requests(
    loaded: LoadedModel, default: Request, default_chain: Chain, batch_size: int
) -> None:
    """Answer the requests of stdin.

    A request with a seed of its own draws what it draws alone, by that seed; one without draws by
    the command's seed and the number of its line.

    Args:
        loaded: a language model.
        default: what requests do not say, they take from here.
        default_chain: of the command's options.
        batch_size: requests at once.

    Raises:
        UsageError: if the model is no language model, or the command's chain does not suit it.
    """
    require_language_model(loaded)
    binder = loaded.binder()
    binder(default_chain)
    chains = Chains(chosen_decoding(), chosen_registries(), DEFAULT_GENERATING, binder)
    shortfall = Shortfall("requests", warn)
    unseen = Unseen(loaded.tokenizer, warn)

    def read(line: str, number: int) -> _Ready:
        own = read_request(OwnGeneration, line)
        chain = chains(own)
        request = Request(
            unseen.noted(default.prompt if own.prompt is None else own.prompt),
            samples=own.samples or (default.samples if chain.n_best is None else None),
            max_tokens=default.max_tokens if own.max_tokens is None else own.max_tokens,
            stop=default.stop if own.stop is None else tuple(own.stop),
            seed=default.seed if own.seed is None else own.seed,
            index=number if own.seed is None else 0,
            chain=chain,
        )
        chain.results(request.samples)  # two numbers are refused here
        return _Ready(request, chain, number)

    def work(ready: Sequence[_Ready]) -> Iterator[Answer]:
        unseen.tell()
        requests = [each.request for each in ready]
        found = generate_each(loaded, requests, default_chain, batch_size=batch_size, binder=binder)
        for each, generations in zip(ready, found, strict=True):
            if not generations:
                raise TextgenError("The strategy found no text.")
            wanted = each.chain.results(each.request.samples)
            shortfall.note(len(generations), wanted, each.chain.name)
            yield [
                generation_as_dict(
                    dataclasses.replace(generation, index=each.number),
                    each.chain,
                    each.request.seed,
                )
                for generation in generations
            ]

    with shortfall:
        answer_all(batch_size, read, work)
