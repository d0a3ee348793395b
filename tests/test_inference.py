"""Continuing prompts: order, seeds, neighbours, stop texts, streaming."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from small_models import TEXT, save_language_model
from textgen.decoding.chain import Chain, default_registries, resolve
from textgen.errors import UsageError
from textgen.inference import Generation, LoadedModel, Request, generate, load_model
from textgen.protocols import Batch


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return load_model(str(save_language_model(tmp_path_factory.mktemp("characters"))))


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return load_model(str(save_language_model(tmp_path_factory.mktemp("words"), kind="words")))


def chain_of(decode: str = "sample", *filters: str) -> Chain:
    return resolve(decode, filters, default_registries())


def texts(found: Iterator[Generation]) -> list[str]:
    return [each.text for each in found]


PROMPTS = ["To be", "", "T", "Whether 'tis nobler in", "The slings"]


@pytest.mark.parametrize(
    "decode", ["greedy", "sample", "top-k:k=5", "nucleus:p=0.8", "beam:width=3"]
)
def test_a_text_does_not_depend_on_its_neighbours(loaded: LoadedModel, decode: str) -> None:
    requests = [Request(text, max_tokens=25, seed=3, index=n) for n, text in enumerate(PROMPTS)]
    together = list(generate(loaded, requests, chain_of(decode), batch_size=5))
    assert [each.prompt for each in together] == PROMPTS
    alone = list(generate(loaded, requests, chain_of(decode), batch_size=1))
    turned = list(generate(loaded, requests[::-1], chain_of(decode), batch_size=3))[::-1]
    for mine, single, other in zip(together, alone, turned, strict=True):
        assert mine.tokens == single.tokens == other.tokens
        assert mine.log_prob == pytest.approx(single.log_prob, rel=1e-5)


def test_seeds_and_samples(loaded: LoadedModel) -> None:
    def run(seed: int, samples: int = 1) -> list[str]:
        return texts(generate(loaded, [Request("To", samples, 40, seed=seed)], chain_of()))

    assert run(1) == run(1)
    assert run(1) != run(2)
    several = run(1, samples=3)
    assert len(set(several)) == 3
    assert several[0] == run(1)[0] or run(1)[0] in several


def test_log_prob_is_the_model_s_own(loaded: LoadedModel) -> None:
    (found,) = generate(loaded, [Request("To be", max_tokens=12)], chain_of("top-k:k=3"))
    tokens = [loaded.tokenizer.special.bos, *loaded.tokenizer.encode("To be"), *found.tokens]
    with torch.inference_mode():
        logits, _ = loaded.model(torch.tensor([tokens[:-1]]), loaded.model.begin(Batch(1)))
        logs = logits[0].log_softmax(-1)
    own = sum(float(logs[at - 1, tokens[at]]) for at in range(6, len(tokens)))
    assert found.log_prob == pytest.approx(own, rel=1e-4)
    assert len(found.tokens) == 12
    assert found.finished == "limit"


def test_limits_are_each_request_s_own(loaded: LoadedModel) -> None:
    requests = [Request("T", max_tokens=limit, index=limit) for limit in (0, 1, 7)]
    found = list(generate(loaded, requests, chain_of("greedy")))
    assert [len(each.tokens) for each in found] == [0, 1, 7]
    assert found[0].text == ""


def stop_in(text: str) -> str:
    """Two characters that stand in the middle of a text for the first time."""
    return next(text[at : at + 2] for at in range(9, 25) if text.index(text[at : at + 2]) == at)


@pytest.mark.parametrize("decode", ["greedy", "sample", "beam:width=2"])
def test_a_text_ends_before_its_stop(loaded: LoadedModel, decode: str) -> None:
    (plain,) = generate(loaded, [Request("To", max_tokens=30)], chain_of(decode))
    stop = stop_in(plain.text)
    request = Request("To", max_tokens=30, stop=("no such text", stop))
    (found,) = generate(loaded, [request], chain_of(decode))
    assert stop not in found.text
    if decode != "beam:width=2":  # a beam may prefer another text that stops sooner
        assert found.text == plain.text[: plain.text.index(stop)]
        assert found.finished == "stop"
        assert len(found.tokens) < 30


@pytest.mark.parametrize("stop", [(), ("STOP",), None])
@pytest.mark.parametrize("decode", ["greedy", "sample", "beam:width=2"])
def test_streamed_parts_join_to_the_text(
    loaded: LoadedModel, decode: str, stop: tuple[str, ...] | None
) -> None:
    if stop is None:
        (plain,) = generate(loaded, [Request("To", max_tokens=30)], chain_of(decode))
        stop = (stop_in(plain.text),)
    parts: list[tuple[int, str]] = []
    request = Request("To", max_tokens=30, stop=stop, index=4)
    found = generate(
        loaded, [request], chain_of(decode), on_text=lambda index, text: parts.append((index, text))
    )
    (generation,) = list(found)
    assert "".join(text for _, text in parts) == generation.text
    assert {index for index, _ in parts} == {4}
    if decode == "greedy" and not stop:
        assert len(parts) >= 30  # token by token


@pytest.mark.parametrize("decode", ["greedy", "sample", "beam:width=2"])
@pytest.mark.parametrize("least", [1, 12, 29, 99])
def test_a_minimum_length_holds_stops_back(loaded: LoadedModel, decode: str, least: int) -> None:
    chain = resolve(decode, [f"minimum-length:{least}"], default_registries())
    (plain,) = generate(loaded, [Request("To", max_tokens=30)], chain)
    stops = tuple(sorted(set(plain.text[:8])))
    parts: list[str] = []
    request = Request("To", max_tokens=30, stop=stops)
    (found,) = generate(loaded, [request], chain, on_text=lambda _, text: parts.append(text))
    assert len(found.text) >= min(least, 30)
    assert "".join(parts) == found.text
    assert not set(stops) & set(found.text[least:])
    if decode != "beam:width=2":
        assert plain.text.startswith(found.text)
        assert (found.finished == "stop") == bool(set(stops) & set(plain.text[least:]))


def test_a_stop_within_a_forced_beginning_does_not_end_it(loaded: LoadedModel) -> None:
    chain = resolve("greedy", ["prefix:text=to be"], default_registries())
    (found,) = generate(loaded, [Request("To", max_tokens=30, stop=("be",))], chain)
    assert found.text.startswith("to be")
    assert "be" not in found.text[len("to be") :]


def test_as_many_texts_as_were_asked_for(loaded: LoadedModel) -> None:
    def count(decode: str, samples: int | None = None) -> int:
        chain = resolve(decode, [], default_registries())
        request = Request("To", samples, max_tokens=5, chain=chain)
        return len(list(generate(loaded, [request, Request("T", max_tokens=2)], chain)))

    assert [count("sample"), count("sample", 3)] == [2, 4]
    assert count("beam:width=3,n_best=3") == 6, "the strategy's own number holds for all"
    assert count("stochastic-beam:width=5", 5) == 10
    with pytest.raises(UsageError, match="samples 0 is out of range: allowed is 1 to"):
        count("sample", 0)
    with pytest.raises(UsageError, match="beam gives 3 results by its own options, but 1"):
        count("beam:width=3,n_best=3", 1)
    with pytest.raises(
        UsageError, match="stochastic-beam gives 5 results by its own options, but 2"
    ):
        count("stochastic-beam:width=5", 2)


def test_words_join_the_prompt_with_one_space(words: LoadedModel) -> None:
    chain = chain_of("greedy")
    (bare,) = generate(words, [Request("To be,", max_tokens=3)], chain)
    (spaced,) = generate(words, [Request("To be, ", max_tokens=3)], chain)
    assert bare.tokens == spaced.tokens
    assert not spaced.text.startswith(" ")
    if not bare.text.startswith("\n"):
        assert bare.text == " " + spaced.text


def test_requests_are_read_as_they_are_needed(loaded: LoadedModel) -> None:
    def endless() -> Iterator[Request]:
        while True:
            yield Request("T", max_tokens=2)

    found = generate(loaded, endless(), chain_of("greedy"), batch_size=4)
    assert [next(found).text for _ in range(9)]


def test_a_prompt_of_unknown_characters(loaded: LoadedModel) -> None:
    (found,) = generate(loaded, [Request("Ω≈ç", max_tokens=3)], chain_of("greedy"))
    assert len(found.tokens) == 3


def test_a_translator_does_not_continue_texts(loaded: LoadedModel) -> None:
    import dataclasses

    other = dataclasses.replace(loaded, kind="translator")
    with pytest.raises(UsageError, match="textgen translate"):
        next(generate(other, [Request("a")], chain_of()))


def test_a_device_that_is_not_there(tmp_path: Path) -> None:
    save_language_model(tmp_path / "m", text=TEXT)
    with pytest.raises(UsageError, match="There is no device 'tpu'"):
        load_model(str(tmp_path / "m"), "tpu")
