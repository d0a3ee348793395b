"""Models prepacked for decoding: their single steps are those of the model as it was trained."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

from textgen.components import CELLS
from textgen.models import stepping
from textgen.models.config import LanguageModelConfig, TranslatorConfig
from textgen.models.language_model import LanguageModel
from textgen.models.products import NUMBERS, Precision
from textgen.models.translator import Translator
from textgen.protocols import Batch

V = 23
LANGUAGE_MODELS = [
    *({"cell": name, "layers": 2} for name in CELLS.builtin),
    {"layers": 3, "residual": True},
    {"layers": 2, "layer_norm": True},
    {"tied": True},
    {"cell": "lstm-peephole", "diagonal": True},
    {"output": "adaptive", "cutoffs": (8,)},
]
TRANSLATORS = [
    *({"attention": name} for name in ("none", "dot", "general", "additive")),
    *({"cell": name} for name in CELLS.builtin),
    {"layers": 2, "residual": True},
    {"query": "previous"},
    {"input_feeding": True},
    {"input_feeding": True, "layers": 2, "cell": "gru"},
    {"tied": "none"},
]


def language_model(options: dict[str, object]) -> LanguageModel:
    torch.manual_seed(3)
    return LanguageModel(LanguageModelConfig(**{"hidden": 12, "embedding": 8, **options}), V).eval()  # type: ignore[arg-type]


def translator(options: dict[str, object]) -> Translator:
    torch.manual_seed(3)
    config = TranslatorConfig(**{"hidden": 12, "embedding": 8, **options})  # type: ignore[arg-type]
    return Translator(config, V, V).eval()


def sources() -> Batch:
    tokens = torch.randint(4, V, (3, 5), generator=torch.Generator().manual_seed(1))
    return Batch(3, tokens, torch.tensor([5, 2, 4]))


def walk(model: LanguageModel | Translator, batch: Batch) -> list[Tensor]:
    """Log-probabilities of six single steps, rows rearranged on the way."""
    found, generator = [], torch.Generator().manual_seed(2)
    with torch.inference_mode():
        state = model.begin(batch).select(torch.tensor([[0, 0]] * batch.size))
        for step in range(6):
            tokens = torch.randint(V, (2 * batch.size, 1), generator=generator)
            logits, state = model(tokens, state)
            found.append(torch.log_softmax(logits.float(), -1))
            if step == 2:
                state = state.select(torch.tensor([[1, 0]] * batch.size))
    return found


def compare(model: LanguageModel | Translator, batch: Batch, precision: Precision) -> None:
    expected = walk(copy.deepcopy(model), batch)
    prepacked = model.for_decoding(precision)
    found = walk(prepacked, batch)
    within = {"float32": 2e-6, "bfloat16": 2e-2, "int8": 3e-2}[precision]
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=within)


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "int8"])
@pytest.mark.parametrize("options", LANGUAGE_MODELS, ids=str)
@pytest.mark.usefixtures("either")
def test_language_models_step_as_before(options: dict[str, object], precision: Precision) -> None:
    compare(language_model(options), Batch(3), precision)


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "int8"])
@pytest.mark.parametrize("options", TRANSLATORS, ids=str)
@pytest.mark.usefixtures("either")
def test_translators_step_as_before(options: dict[str, object], precision: Precision) -> None:
    compare(translator(options), sources(), precision)


@pytest.mark.parametrize("options", [{"cell": name} for name in CELLS.builtin], ids=str)
@pytest.mark.usefixtures("either")
def test_a_vocabulary_too_large_for_a_table(
    options: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stepping, "TABLE", 0)
    compare(language_model(options), Batch(2), "float32")


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("make", [language_model, translator])
@pytest.mark.usefixtures("either")
def test_steps_and_sequences_follow_each_other(make: object, precision: Precision) -> None:
    """Two or many tokens at once after single steps, and single steps after these."""
    model = make({}).for_decoding(precision)  # type: ignore[operator]
    batch = sources()
    tokens = torch.randint(V, (3, 9), generator=torch.Generator().manual_seed(5))
    within = {"float32": 2e-6, "bfloat16": 3e-2}[precision]
    with torch.inference_mode():
        whole, _ = model(tokens, model.begin(batch))
        state, begin = model.begin(batch), 0
        for size in (1, 2, 1, 4, 1):
            logits, state = model(tokens[:, begin : begin + size], state)
            expected = torch.log_softmax(whole[:, begin : begin + size].float(), -1)
            found = torch.log_softmax(logits.float(), -1)
            torch.testing.assert_close(found, expected, rtol=0, atol=within)
            begin += size


def test_memory_cells_stay_float32() -> None:
    model = language_model({}).for_decoding("bfloat16")
    with torch.inference_mode():
        _, state = model(torch.tensor([[3]]), model.begin(Batch(1)))
    hidden, memory = state.layers[0]
    assert (hidden.dtype, memory.dtype) == (NUMBERS["bfloat16"], torch.float32)


@pytest.mark.parametrize("make", [language_model, translator])
def test_training_goes_on_with_the_weights_as_they_change(make: object) -> None:
    model = make({}).for_decoding()  # type: ignore[operator]
    model.train().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.5)
    compare(model, sources(), "float32")
