"""The code on a device that is not the CPU: a pretended one, which gives what the CPU gives."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from accelerator import WAITS, Held, accelerator
from checks import some
from plugin_specs import specs
from small_models import TEXT, save_language_model, save_translator
from textgen.data.documents import Texts
from textgen.decoding.chain import Chain, default_registries, resolve
from textgen.evaluation.forced_alignment import align
from textgen.evaluation.perplexity import perplexity
from textgen.inference import Request, generate
from textgen.loading import LoadedModel, load_model
from textgen.native import without
from textgen.translation.grouping import TranslationOptions
from textgen.translation.length import MaxLength
from textgen.translation.lexicon import learn_lexicon, save_lexicon
from textgen.translation.lines import translate

WORDS = TEXT.split()
LINES = [" ".join(WORDS[n : n + 1 + n % 7]) for n in range(0, 20, 3)]


@pytest.fixture
def there() -> Iterator[torch.device]:
    """The device; what runs without it runs in Python too, since nothing is compiled for it."""
    with without(), accelerator() as device:
        yield device


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("models")
    return {
        "translator": str(save_translator(folder / "translator")),
        "other": str(save_translator(folder / "other", seed=8)),
        "words": str(save_language_model(folder / "words", kind="words", text=TEXT.upper())),
        "characters": str(save_language_model(folder / "characters")),
    }


def chain_of(spec: str, *filters: str) -> Chain:
    return resolve(spec, filters, default_registries())


def test_the_device_keeps_to_itself(there: torch.device) -> None:
    ours = torch.arange(4, device=there)
    assert isinstance(ours, Held)
    assert not ours.is_cpu
    assert ours.device == there
    with pytest.raises(RuntimeError, match="two devices"):
        ours + torch.arange(4)
    with pytest.raises(RuntimeError):
        ours.numpy()
    with pytest.raises(RuntimeError):
        ours.data_ptr()
    WAITS.clear()
    assert ours.tolist() == ours.cpu().tolist() == [0, 1, 2, 3]
    assert bool((ours == 2).any())
    assert sum(WAITS.values()) == 3


STRATEGIES = [
    *("greedy", "sample", "beam:width=4", "beam:width=3,stop=first", "contrastive:k=3,alpha=0.5"),
    *("diverse-beam", "stochastic-beam", "mbr:n=4", "best-of:n=4", "best-of:n=3,lm={words}"),
    *("shallow-fusion:lm={words},weight=0.3,width=3", "speculative:draft={words}"),
    *('constrained:["THE"],width=4', "speculative:draft={other},tokens=2"),
]
FILTERS = [
    'allowed:["THE","TO"]',
    'banned:["TO"]',
    'logit-bias:{"THE"=1.5}',
    "regex:[A-Z ]+",
    'prefix:"THE"',
    *(spec for spec in specs("filter") if '"' not in spec and not spec.startswith("regex")),
]


def translated(model: str, spec: str, filters: list[str], device: Any, **options: Any) -> list[Any]:
    loaded = load_model(model, str(device), options.pop("precision", "float32"))
    found = translate(loaded, LINES, chain_of(spec, *filters), TranslationOptions(**options))
    return [
        (each.tokens, pytest.approx(each.score, rel=1e-4), each.finished, each.attention is None)
        for one in found
        for each in one.candidates
    ]


@pytest.mark.parametrize("spec", STRATEGIES)
def test_strategies(models: dict[str, str], there: torch.device, spec: str) -> None:
    spec = spec.format(**models)
    here = translated(models["translator"], spec, [], "cpu")
    assert translated(models["translator"], spec, [], there) == here


@pytest.mark.parametrize("one", FILTERS)
def test_filters(models: dict[str, str], there: torch.device, one: str) -> None:
    here = translated(models["translator"], "sample", [one], "cpu")
    assert translated(models["translator"], "sample", [one], there) == here


@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
@pytest.mark.parametrize("spec", ["greedy", "beam:width=4", "speculative:draft={words}"])
def test_fewer_bits(models: dict[str, str], there: torch.device, spec: str, precision: str) -> None:
    """Rounded elsewhere they may differ: they are of the right types, and near."""
    spec = spec.format(**models)
    here = translated(models["translator"], spec, [], "cpu", precision=precision)
    found = translated(models["translator"], spec, [], there, precision=precision)
    assert len(found) == len(here)
    same = sum(one[0] == other[0] for one, other in zip(found, here, strict=True))
    assert same >= len(here) / 2


def test_attention_and_prefixes(models: dict[str, str], there: torch.device) -> None:
    options = TranslationOptions(attention=True)
    lines, prefixes = LINES[1:4], ["THE", "", "TO BE,"]
    tables = []
    for device in ("cpu", str(there)):
        loaded = load_model(models["translator"], device)
        found = translate(loaded, lines, chain_of("beam:width=3"), options, prefixes=prefixes)
        tables.append([(one.text, one.candidates[0].attention) for one in found])
    for (text, weights), (mine, own) in some(zip(*tables, strict=True)):
        assert text == mine
        assert weights is not None
        assert own is not None
        assert own == pytest.approx(weights, abs=1e-5)


def test_shortlists(tmp_path: Path, there: torch.device) -> None:
    folder = str(save_translator(tmp_path / "model"))
    loaded = load_model(folder, "cpu")
    save_lexicon(learn_lexicon(loaded, [(line, line.upper()) for line in LINES]), loaded)
    here = translated(folder, "beam:width=3", [], "cpu", shortlist=5)
    assert translated(folder, "beam:width=3", [], there, shortlist=5) == here


@pytest.mark.parametrize("spec", ["greedy", "nucleus:p=0.8", "beam:width=3", "contrastive:k=3"])
def test_texts(models: dict[str, str], there: torch.device, spec: str) -> None:
    requests = [
        Request("To be", 2, 12, seed=3),
        Request("", 2, 7, seed=3, index=1, stop=("to", "T")),
    ]

    def said(device: str) -> list[Any]:
        loaded = load_model(models["characters"], device)
        texts = [each.text for each in generate(loaded, requests, chain_of(spec))]
        told: list[str] = []
        one = Request("or not", max_tokens=9)
        list(generate(loaded, [one], chain_of(spec), on_text=lambda _, text: told.append(text)))
        return [texts, told]

    assert said(str(there)) == said("cpu")


def test_perplexity_and_alignment(models: dict[str, str], there: torch.device) -> None:
    def figures(device: str) -> list[Any]:
        language, translator = (
            load_model(models[name], device) for name in ("characters", "translator")
        )
        pairs = align(translator, [(line, line.upper()) for line in LINES])
        return [perplexity(language, Texts([TEXT])).nll, *(each.links() for each in pairs)]

    here, found = figures("cpu"), figures(str(there))
    assert found[0] == pytest.approx(here[0], rel=1e-5)
    assert found[1:] == here[1:]


def waits(loaded: LoadedModel, spec: str, steps: int) -> int:
    """How often the host waited for a batch of so many steps."""
    options = TranslationOptions(max_length=MaxLength(0, steps))
    chain = chain_of(spec, "minimum-length:99")  # nothing ends before
    WAITS.clear()
    for each in translate(loaded, ["To be or not"] * 4, chain, options):
        assert len(each.candidates[0].tokens) == steps
    return sum(WAITS.values())


@pytest.mark.parametrize("spec", ["greedy", "sample", "beam:width=4", "beam:width=4,stop=first"])
def test_the_host_waits_once_a_step(models: dict[str, str], there: torch.device, spec: str) -> None:
    loaded = load_model(models["translator"], str(there))
    assert waits(loaded, spec, 20) - waits(loaded, spec, 8) == 12


def test_a_batch_is_read_at_once(models: dict[str, str], there: torch.device) -> None:
    """However many lines it has."""
    loaded = load_model(models["translator"], str(there))
    numbers = []
    for count in (2, 9):
        WAITS.clear()
        options = TranslationOptions(max_length=MaxLength(0, 5))
        list(translate(loaded, ["To be"] * count, chain_of("greedy"), options))
        numbers.append(sum(WAITS.values()))
    assert numbers[0] == numbers[1]
