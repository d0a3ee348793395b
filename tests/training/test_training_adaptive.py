"""Training, saving and using a language model with an adaptive softmax."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import textgen
from textgen.checkpoint import load_weights
from textgen.config import as_dict, structure
from textgen.data.batching import LaneBatches, SentenceBatches
from textgen.data.documents import Texts
from textgen.data.sequences import sequences_of
from textgen.data.streams import stream_of
from textgen.decoding.chain import default_registries, resolve
from textgen.errors import ConfigError
from textgen.evaluation.perplexity import perplexity
from textgen.loading import LoadedModel, load_model
from textgen.models.adaptive_softmax import AdaptiveSoftmax
from textgen.models.language_model import LanguageModel
from textgen.protocols import Batch, SpecialTokens
from textgen.recipes.recipe import LanguageModelRecipe
from textgen.tasks.language_model import train_language_model
from textgen.training.events import Event, Step, Validated
from textgen.training.frequency import count_targets
from textgen.training.loss import output_loss
from textgen.training.objective import TokenLoss, total_loss
from textgen.training.precision import MixedPrecision
from textgen.training.update import TrainStep

# word i stands at every place that i divides: small numbers are frequent, as in a text
WORDS = [f"w{j}" for i in range(1, 160) for j in range(1, 31) if i % j == 0]
TEXT = " ".join(WORDS)
SPECIAL = SpecialTokens(0, 1, 2, 3)


def recipe(**training: Any) -> LanguageModelRecipe:
    return structure(
        LanguageModelRecipe,
        {
            "tokenizer": {"kind": "words"},
            "model": {"hidden": 16, "layers": 1, "output": "adaptive", "cutoffs": [8, 20]},
            "training": {
                "steps": 60,
                "batch": 4,
                "bptt_length": 12,
                "validate_every": 0,
                "learning_rate": 0.03,
                "log_every": 10,
                "precision": "float32",
                "device": "cpu",
                **training,
            },
        },
    )


def train(out: Path, made: LanguageModelRecipe, **options: Any) -> list[Event]:
    return list(train_language_model(made, Texts([TEXT]), Texts([TEXT]), out, **options))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Event]]:
    out = tmp_path_factory.mktemp("adaptive") / "model"
    return out, train(out, recipe())


def layer_of() -> AdaptiveSoftmax:
    torch.manual_seed(1)
    layer = AdaptiveSoftmax(6, 15, (4, 9), 2).double()
    layer.order_by(torch.randint(0, 9, (15,)))
    return layer


class Factored:
    """A model that is its output layer."""

    def __init__(self, layer: AdaptiveSoftmax) -> None:
        self.factored = layer


@pytest.mark.parametrize("targets", [list(range(15)), [3, 3, 3, 7]], ids=["all", "few"])
def test_loss_and_gradients_are_those_of_all_logits(targets: list[int]) -> None:
    layer, wanted = layer_of(), torch.tensor(targets)
    features = torch.randn(len(targets), 6, dtype=torch.float64)
    ours = features.clone().requires_grad_()
    mean, total = output_loss(Factored(layer), ours, wanted)
    (2 * mean).backward()
    found = [part.grad.clone() for part in layer.parameters() if part.grad is not None]
    assert len(found) == len(list(layer.parameters()))  # zeros where a tail was not hit
    layer.zero_grad()
    plain = features.clone().requires_grad_()
    nll = -layer(plain).gather(1, wanted.unsqueeze(1))
    (2 * nll.mean()).backward()
    expected = [
        torch.zeros_like(part) if part.grad is None else part.grad for part in layer.parameters()
    ]
    torch.testing.assert_close((mean, total), (nll.mean(), nll.sum()))
    assert not total.requires_grad
    torch.testing.assert_close(ours.grad, plain.grad)
    torch.testing.assert_close(found, expected)


def test_gradcheck() -> None:
    layer, targets = layer_of(), torch.arange(15)
    features = torch.randn(15, 6, dtype=torch.float64, requires_grad=True)

    def loss(given: torch.Tensor, *_: torch.Tensor) -> torch.Tensor:
        return output_loss(Factored(layer), given, targets)[0]

    assert torch.autograd.gradcheck(loss, (features, *layer.parameters()))


def test_one_step_under_bfloat16_is_near_float32() -> None:
    stream = stream_of([3 + i * i % 11 for i in range(200)])
    gradients = {}
    for precision in ("float32", "bfloat16"):
        torch.manual_seed(0)
        made = recipe(precision=precision)
        model = LanguageModel(made.model, 30)
        train_step = TrainStep(model, MixedPrecision(made.training), TokenLoss())
        train_step.gradients([next(LaneBatches(stream, 4, 12, SPECIAL).iterate(0))])
        gradients[precision] = [part.grad for part in model.parameters()]
        assert all(
            part is not None and part.dtype == torch.float32 for part in gradients[precision]
        )
    for wide, narrow in zip(*gradients.values(), strict=True):
        assert wide is not None
        assert narrow is not None
        assert float((wide - narrow).norm()) <= 0.05 * float(wide.norm()) + 1e-4


def test_smoothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="label_smoothing: looks at every token"):
        train(tmp_path / "m", recipe(label_smoothing=0.1))
    with pytest.raises(ConfigError, match=r"needs model\.output=full"):
        output_loss(Factored(layer_of()), torch.zeros(1, 6), torch.zeros(1).long(), 0.1)
    assert not (tmp_path / "m").exists()


def test_contradictions_are_told_before_any_text_is_read(tmp_path: Path) -> None:
    made = as_dict(recipe(label_smoothing=0.1))
    made["model"] |= {"tied": True, "cutoffs": [5, 5]}
    with pytest.raises(ConfigError) as caught:
        train_language_model(structure(LanguageModelRecipe, made), Texts([""]), None, tmp_path)
    assert len(caught.value.problems) == 3


def test_a_vocabulary_too_small_is_told(tmp_path: Path) -> None:
    made = as_dict(recipe())
    made["model"]["cutoffs"] = []
    with pytest.raises(ConfigError, match="this one has 35 tokens and 4,000 are needed"):
        train(tmp_path / "m", structure(LanguageModelRecipe, made))


def test_training_lowers_the_loss(trained: tuple[Path, list[Event]]) -> None:
    _, events = trained
    losses = [event.loss for event in events if isinstance(event, Step)]
    assert losses[-1] < 0.8 * losses[0]
    assert any(isinstance(event, Validated) for event in events)


def test_ranks_are_by_the_text_and_saved(trained: tuple[Path, list[Event]]) -> None:
    loaded = load_model(str(trained[0]))
    ranks, tokenizer = loaded.model.factored.ranks, loaded.tokenizer
    order = [tokenizer.encode(f"w{number}")[0] for number in (1, 2, 3, 30)]
    assert ranks[order].tolist() == sorted(ranks[order].tolist())
    assert int(ranks[order[0]]) == 0  # and not 5, as the token's number
    assert int(ranks[tokenizer.special.pad]) >= 30  # a pad is never predicted


def nll_by_logits(loaded: LoadedModel, tokens: list[int]) -> float:
    model = loaded.model
    inputs = torch.tensor([[loaded.tokenizer.special.bos, *tokens[:-1]]])
    with torch.no_grad():
        logits, _ = model(inputs, model.begin(Batch(1)))
        return -float(logits[0].double().log_softmax(-1)[range(len(tokens)), tokens].sum())


def test_perplexity_is_that_of_all_logits(trained: tuple[Path, list[Event]]) -> None:
    out, events = trained
    loaded = load_model(str(out))
    tokens = loaded.tokenizer.encode(TEXT)
    expected = nll_by_logits(loaded, tokens)
    found = perplexity(loaded, Texts([TEXT]))
    assert found.nll == pytest.approx(expected, rel=1e-5)
    batches = LaneBatches(stream_of(tokens), 1, 50, loaded.tokenizer.special)
    nats, count = total_loss(loaded.model, batches, MixedPrecision(loaded.recipe.training))
    assert (nats, count) == (pytest.approx(expected, rel=1e-5), len(tokens))
    told = [event.metrics["loss"] for event in events if isinstance(event, Validated)][-1]
    assert nats / count == pytest.approx(told, rel=1e-5)


@pytest.mark.parametrize("decode", ["greedy", "beam:width=4", "sample", "contrastive"])
def test_decoding_and_rescoring_agree(trained: tuple[Path, list[Event]], decode: str) -> None:
    loaded = load_model(str(trained[0]))
    chain = resolve(decode, [], default_registries())
    request = textgen.Request("w1 w2", max_tokens=12)
    (generation,) = textgen.generate(loaded, [request], chain)
    prompt = loaded.tokenizer.encode("w1 w2")
    tokens = [*prompt, *generation.tokens]
    expected = nll_by_logits(loaded, prompt) - nll_by_logits(loaded, tokens)
    assert generation.log_prob == pytest.approx(expected, rel=1e-4, abs=1e-4)


def test_an_interrupted_training_goes_on_bit_for_bit(tmp_path: Path) -> None:
    made = recipe(steps=12, save_every=0.0)
    train(tmp_path / "whole", made)
    events = train_language_model(made, Texts([TEXT]), Texts([TEXT]), tmp_path / "cut")
    for event in events:
        if event.step == 10:
            events.close()  # type: ignore[attr-defined]
            break
    train(tmp_path / "cut", made, resume=True)
    models = [LanguageModel(made.model, 35) for _ in range(2)]
    for name, model in zip(("whole", "cut"), models, strict=True):
        load_weights(tmp_path / name, model)
    assert models[0].factored is not None
    assert models[0].factored.ranks.tolist() != list(range(35))
    weights = [model.state_dict().values() for model in models]
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(*weights, strict=True))


def test_counts_of_targets() -> None:
    stream = LaneBatches(stream_of([5, 4, 4, 6, 4, 5, 4]), 2, 2, SPECIAL, seed=1)
    counts = count_targets(stream, 8).tolist()
    assert counts[4:] == [4, 2, 1, 0]
    lines = SentenceBatches(sequences_of([[4, 5], [4]]), 4, SPECIAL)
    assert count_targets(lines, 6)[2:].tolist() == [2, 0, 2, 1]  # eos of each line
    long = LaneBatches(stream_of([4] * 100), 2, 10, SPECIAL)
    assert int(count_targets(long, 5, enough=30)[4]) == 40  # no more than is enough
