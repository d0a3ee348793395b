"""Requests with chains of their own, and streaming, for every registered strategy."""

from __future__ import annotations

import dataclasses

import pytest

from small_models import save_language_model
from textgen.decoding.chain import Chain, default_registries, resolve
from textgen.errors import TextgenError
from textgen.inference import LoadedModel, Request, generate, generate_each, load_model

REGISTRIES = default_registries()


def by_default() -> list[str]:
    """The strategies that need no options."""
    found = []
    for name in REGISTRIES.strategies.names():
        try:
            REGISTRIES.strategies.build(name)
        except TextgenError:
            continue
        found.append(name)
    return found


STRATEGIES = [*by_default(), "beam:width=3,length=gnmt,stop=first", "beam:width=2,n_best=2"]


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return load_model(str(save_language_model(tmp_path_factory.mktemp("lm"), sharpness=3.0)))


def _samples(decode: str, wanted: int = 1) -> int | None:
    """None where the strategy's own options say how many."""
    return None if "n_best" in decode else wanted


def chain_of(decode: str, *filters: str) -> Chain:
    return resolve(decode, filters, REGISTRIES)


@pytest.mark.parametrize("decode", STRATEGIES)
def test_filters_of_each_request_are_its_own(loaded: LoadedModel, decode: str) -> None:
    chains = [
        chain_of(decode, "temperature:0.7", "top-k:6"),
        chain_of(decode),
        chain_of(decode, "repetition-penalty:1.5", "xtc:q=0.5,t=0.1"),
        None,
        chain_of(decode, "temperature:0.7", "top-k:6"),
    ]
    prompts = ["To be", "", "Whether 'tis", "T", "The slings and"]
    requests = [
        Request(
            prompt, _samples(decode, 1 + (n == 1)), 6 + 3 * n, ("ee",), seed=n, index=n, chain=chain
        )
        for n, (prompt, chain) in enumerate(zip(prompts, chains, strict=True))
    ]
    default = chain_of(decode, "no-repeat-ngram:2")
    alone = [[each.tokens for each in generate(loaded, [request], default)] for request in requests]
    plain = [
        [
            each.tokens
            for each in generate(
                loaded, [dataclasses.replace(request, chain=None)], request.chain or default
            )
        ]
        for request in requests
    ]
    assert alone == plain
    for size, order in ((5, [0, 1, 2, 3, 4]), (3, [4, 2, 0, 3, 1]), (2, [2, 1, 3, 4, 0])):
        found = generate_each(loaded, [requests[n] for n in order], default, batch_size=size)
        for n, generations in zip(order, found, strict=True):
            assert [each.tokens for each in generations] == alone[n]
            assert {each.index for each in generations} == {n}


@pytest.mark.parametrize("decode", STRATEGIES)
@pytest.mark.parametrize("stop", [(), ("e", "th")])
def test_streamed_parts_are_the_beginning_of_the_text(
    loaded: LoadedModel, decode: str, stop: tuple[str, ...]
) -> None:
    pieces = 0
    for seed in range(3):
        parts: list[str] = []
        request = Request("To"[: seed % 3], _samples(decode), 25, stop, seed=seed)
        chain = chain_of(decode, "temperature:0.6")
        (quiet, *_) = generate(loaded, [request], chain)
        streamed = generate(loaded, [request], chain, on_text=lambda _, text: parts.append(text))  # noqa: B023
        (found, *_) = list(streamed)
        assert found == quiet
        assert "".join(parts) == found.text
        for end in range(len(parts)):
            assert found.text.startswith("".join(parts[:end]))
        pieces += len([part for part in parts if part])
    if decode.partition(":")[0] in {"greedy", "sample", "beam"} and "n_best" not in decode:
        assert pieces > (3 if stop else 20)


def test_a_beam_is_streamed_before_it_ends(loaded: LoadedModel) -> None:
    early = 0
    for seed, prompt in enumerate(["To be", "The", "Whether", "slings", "nobler"]):
        parts: list[str] = []
        request = Request(prompt, 1, 40, seed=seed)
        (found,) = generate(
            loaded,
            [request],
            chain_of("beam:width=4"),
            on_text=lambda _, text: parts.append(text),  # noqa: B023
        )
        assert "".join(parts) == found.text
        early += len(parts) > 3
    assert early >= 3


def test_a_chain_that_does_not_suit_the_model_is_told(loaded: LoadedModel) -> None:
    with pytest.raises(TextgenError, match="cannot be written"):
        list(
            generate(
                loaded, [Request("a", chain=chain_of("greedy", "banned:['Ω']"))], chain_of("greedy")
            )
        )
