"""Ensembles against their definition."""

from __future__ import annotations

import pytest
import torch

from textgen.errors import ConfigError
from textgen.models.config import TranslatorConfig
from textgen.models.ensemble import Ensemble
from textgen.models.translator import Translator
from textgen.protocols import Batch

V = 7


def member(seed: int, **options: object) -> Translator:
    torch.manual_seed(seed)
    config = TranslatorConfig(**{"hidden": 6, "embedding": 5, **options})  # type: ignore[arg-type]
    return Translator(config, 9, V).double().eval()


def batch() -> Batch:
    return Batch(2, torch.tensor([[3, 4, 5], [6, 7, 0]]), torch.tensor([3, 2]))


@pytest.mark.parametrize("average", ["probabilities", "log-probabilities"])
def test_average(average: str) -> None:
    models = [member(1), member(2, hidden=8, attention="none")]
    tokens = torch.randint(V, (2, 4))
    with torch.no_grad():
        ensemble = Ensemble(models, average)  # type: ignore[arg-type]
        ours, state = ensemble(tokens, ensemble.begin(batch()))
        each = [model(tokens, model.begin(batch()))[0].softmax(-1) for model in models]
        if average == "probabilities":
            expected = (each[0] + each[1]) / 2
        else:
            expected = (each[0] * each[1]).sqrt()
            expected = expected / expected.sum(-1, keepdim=True)
        torch.testing.assert_close(ours.exp().double(), expected, rtol=1e-5, atol=1e-6)
        attention = models[0](tokens, models[0].begin(batch()))[1].attention
        torch.testing.assert_close(state.attention, attention)


def test_rows_move_in_all_members() -> None:
    ensemble = Ensemble([member(1), member(2)])
    with torch.no_grad():
        _, state = ensemble(torch.tensor([[1], [2]]), ensemble.begin(batch()))
        wide = state.select(torch.zeros(2, 3, dtype=torch.int64))
        logits, _ = ensemble(torch.full((6, 1), 4), wide)
        alone, _ = ensemble(torch.full((1, 1), 4), state.keep(torch.tensor([1])))
    torch.testing.assert_close(logits[3:], alone.expand(3, -1, -1))


def test_vocabularies_must_agree() -> None:
    other = Translator(TranslatorConfig(hidden=6, embedding=5), 9, V + 1)
    with pytest.raises(ConfigError, match=r"one vocabulary, got sizes \[7, 8\]"):
        Ensemble([member(1), other])
