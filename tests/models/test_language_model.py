"""The language model: step = sequence, ragged rows, state as a value, regularisation."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from checks import some
from textgen.components import CELLS
from textgen.models.config import LanguageModelConfig
from textgen.models.dropout import SequenceDropout, TokenEmbedding
from textgen.models.language_model import LanguageModel
from textgen.protocols import Batch

V = 11


def model_of(**options: object) -> LanguageModel:
    torch.manual_seed(5)
    config = LanguageModelConfig(**{"hidden": 6, "embedding": 5, "layers": 2, **options})  # type: ignore[arg-type]
    return LanguageModel(config, V).double().eval()


VARIANTS = [{"cell": name} for name in CELLS.builtin] + [
    {"residual": True, "layers": 3},
    {"layer_norm": True},
    {"tied": True},
    {"tied": True, "embedding": None},
    {"cell": "lstm-peephole", "diagonal": True},
]


@pytest.mark.parametrize("options", VARIANTS, ids=str)
def test_step_equals_sequence(options: dict[str, object]) -> None:
    model = model_of(**options)
    tokens = torch.randint(V, (3, 9))
    with torch.no_grad():
        whole, last = model(tokens, model.begin(Batch(3)))
        state = model.begin(Batch(3))
        for step in range(9):
            logits, state = model(tokens[:, step : step + 1], state)
            torch.testing.assert_close(logits[:, 0], whole[:, step], rtol=1e-10, atol=1e-12)
        for ours, theirs in zip(state.tensors(), last.tensors(), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("options", VARIANTS, ids=str)
@settings(max_examples=8, deadline=None)
@given(lengths=st.lists(st.integers(1, 8), min_size=1, max_size=4))
def test_ragged_rows_equal_single_rows(options: dict[str, object], lengths: list[int]) -> None:
    model = model_of(**options)
    rows, width = len(lengths), max(lengths)
    tokens = torch.randint(V, (rows, width))
    with torch.no_grad():
        features, state = model.features(tokens, model.begin(Batch(rows)), torch.tensor(lengths))
        for row, length in some(enumerate(lengths)):
            alone, last = model.features(tokens[row : row + 1, :length], model.begin(Batch(1)))
            torch.testing.assert_close(features[row, :length], alone[0], rtol=1e-9, atol=1e-11)
            for ours, theirs in some(zip(state.tensors(), last.tensors(), strict=True)):
                torch.testing.assert_close(ours[row], theirs[0], rtol=1e-9, atol=1e-11)


def test_select_and_keep_move_rows_within_their_source() -> None:
    model = model_of()
    state = model.begin(Batch(2))
    parts = [torch.randn(2, 6, dtype=torch.float64) for _ in state.tensors()]
    state = state.with_tensors(parts)
    wide = state.select(torch.tensor([[0, 0, 0], [0, 0, 0]]))
    assert wide.width == 3
    assert torch.equal(wide.tensors()[0], parts[0].repeat_interleave(3, dim=0))
    marked = wide.with_tensors([torch.arange(6.0).unsqueeze(1) for _ in parts])
    moved = marked.select(torch.tensor([[2, 0], [1, 1]]))
    assert moved.tensors()[0].flatten().tolist() == [2, 0, 4, 4]
    assert moved.keep(torch.tensor([1])).tensors()[0].flatten().tolist() == [4, 4]
    assert state.width == 1  # the old value is what it was
    assert torch.equal(state.tensors()[0], parts[0])


def test_detach_cuts_the_history() -> None:
    model = model_of()
    _, state = model(torch.randint(V, (2, 4)), model.begin(Batch(2)))
    assert state.tensors()[0].requires_grad
    assert not state.detach().tensors()[0].requires_grad


def test_tied_weights_are_one_parameter() -> None:
    model = model_of(tied=True)
    assert model.projection.weight is model.embedding.weight
    untied = sum(p.numel() for p in model_of().parameters())
    assert sum(p.numel() for p in model.parameters()) == untied - V * 6 + 5 * 6


def test_a_fresh_model_is_near_uniform() -> None:
    model = model_of(hidden=64, embedding=64)
    with torch.no_grad():
        logits, _ = model(torch.randint(V, (4, 20)), model.begin(Batch(4)))
    entropy = -(logits.softmax(-1) * logits.log_softmax(-1)).sum(-1).mean()
    assert math.isclose(float(entropy), math.log(V), rel_tol=0.02)


def test_dropout_in_training_alone() -> None:
    regular = {"dropout": 0.5, "drop_connect": 0.5, "embedding_dropout": 0.3, "variational": True}
    model = model_of(**regular)
    tokens = torch.randint(V, (2, 5))
    first, _ = model(tokens, model.begin(Batch(2)))
    again, _ = model(tokens, model.begin(Batch(2)))
    assert torch.equal(first, again)
    model.train()
    first, _ = model(tokens, model.begin(Batch(2)))
    again, _ = model(tokens, model.begin(Batch(2)))
    assert not torch.allclose(first, again)


def test_variational_dropout_draws_one_mask_for_all_steps() -> None:
    torch.manual_seed(0)
    ones = torch.ones(3, 50, 40)
    dropped = SequenceDropout(0.4, variational=True).train()(ones)
    assert torch.equal(dropped, dropped[:, :1].expand_as(dropped))
    assert dropped.unique().tolist() == [0.0, pytest.approx(1 / 0.6, rel=1e-4)]
    each = SequenceDropout(0.4, variational=False).train()(ones)
    assert not torch.equal(each, each[:, :1].expand_as(each))
    assert abs(float((each == 0).double().mean()) - 0.4) < 0.03


def test_embedding_dropout_drops_whole_tokens() -> None:
    torch.manual_seed(0)
    embedding = TokenEmbedding(50, 8, share=0.5).train()
    vectors = embedding(torch.arange(50).repeat(2, 1))
    zero = (vectors == 0).all(-1)
    assert torch.equal(zero, (vectors == 0).any(-1))
    assert torch.equal(zero[0], zero[1])  # the same token falls wherever it stands
    assert 10 < int(zero[0].sum()) < 40


def test_word_dropout_drops_positions() -> None:
    torch.manual_seed(0)
    embedding = TokenEmbedding(5, 8, word_share=0.5).train()
    tokens = torch.arange(5).repeat(40, 4)
    vectors = embedding(tokens)
    zero = (vectors == 0).all(-1)
    assert torch.equal(zero, (vectors == 0).any(-1))
    assert 300 < int(zero.sum()) < 500  # of 800
    assert not torch.equal(zero[:, :5], zero[:, 5:10])  # the same tokens fare differently
    torch.testing.assert_close(vectors[~zero], 2 * embedding.weight[tokens[~zero]])
    assert torch.equal(embedding.eval()(tokens), embedding.weight[tokens])


def test_configuration_is_a_value() -> None:
    config = LanguageModelConfig(hidden=8)
    assert config.embedding_size == 8
    assert dataclasses.replace(config, dropout=0.3).output_dropout_share == 0.3
    assert dataclasses.replace(config, dropout=0.3, output_dropout=0.0).output_dropout_share == 0.0
