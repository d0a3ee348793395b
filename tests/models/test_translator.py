"""The translator: step = sequence, padding and neighbours without influence, equations."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from textgen.components import CELLS
from textgen.errors import ConfigError
from textgen.models.config import TranslatorConfig
from textgen.models.encoder import RecurrentEncoder, at_end, reverse
from textgen.models.translator import Translator
from textgen.protocols import Batch

V_SOURCE, V = 9, 7
VARIANTS: list[dict[str, Any]] = [
    *({"cell": name} for name in CELLS.builtin),
    *({"attention": name} for name in ("none", "dot", "scaled-dot", "additive")),
    {"query": "previous"},
    {"input_feeding": True},
    {"input_feeding": True, "query": "previous", "attention": "additive"},
    {"layers": 2, "encoder_layers": 2, "residual": True, "layer_norm": True},
    {"bidirectional": False},
    {"merge": "sum"},
    {"summary": "mean"},
    {"summary": "max", "encoder_cell": "gru"},
    {"tied": "none"},
]


def translator_of(**options: Any) -> Translator:
    torch.manual_seed(2)
    config = TranslatorConfig(**{"hidden": 6, "embedding": 5, **options})
    return Translator(config, V_SOURCE, V).double().eval()


def batch_of(lengths: list[int]) -> Batch:
    torch.manual_seed(4)
    source = torch.randint(1, V_SOURCE, (len(lengths), max(lengths)))
    return Batch(len(lengths), source, torch.tensor(lengths))


@pytest.mark.parametrize("options", VARIANTS, ids=str)
def test_step_equals_sequence(options: dict[str, Any]) -> None:
    model, batch = translator_of(**options), batch_of([4, 2, 1])
    tokens = torch.randint(V, (3, 6))
    with torch.no_grad():
        whole, last = model(tokens, model.begin(batch))
        state = model.begin(batch)
        for step in range(6):
            logits, state = model(tokens[:, step : step + 1], state)
            torch.testing.assert_close(logits[:, 0], whole[:, step], rtol=1e-10, atol=1e-12)
            if last.attention is not None and state.attention is not None:
                torch.testing.assert_close(state.attention[:, 0], last.attention[:, step])
        for ours, theirs in zip(state.tensors(), last.tensors(), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("options", VARIANTS, ids=str)
def test_padding_and_neighbours_change_nothing(options: dict[str, Any]) -> None:
    model, batch = translator_of(**options), batch_of([5, 1, 3])
    assert batch.source is not None
    assert batch.source_lengths is not None
    tokens, lengths = torch.randint(V, (3, 6)), torch.tensor([2, 6, 4])
    with torch.no_grad():
        features, state = model.features(tokens, model.begin(batch), lengths)
        for row in range(3):
            size, real = int(batch.source_lengths[row]), int(lengths[row])
            alone = Batch(1, batch.source[row : row + 1, :size], torch.tensor([size]))
            single, last = model.features(tokens[row : row + 1, :real], model.begin(alone))
            torch.testing.assert_close(features[row, :real], single[0], rtol=1e-9, atol=1e-11)
            for ours, theirs in zip(state.tensors(), last.tensors(), strict=True):
                torch.testing.assert_close(ours[row], theirs[0], rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("options", VARIANTS, ids=str)
def test_hypotheses_share_their_source(options: dict[str, Any]) -> None:
    """A selected row goes on as if its history had been its own."""
    model, batch = translator_of(**options), batch_of([4, 2])
    with torch.no_grad():
        _, state = model(torch.tensor([[1, 2], [3, 4]]), model.begin(batch))
        wide = state.select(torch.zeros(2, 3, dtype=torch.int64))
        tokens = torch.randint(V, (6, 1))
        logits, after = model(tokens, wide)
        for row in range(6):
            source = state.keep(torch.tensor([row // 3]))
            alone, _ = model(tokens[row : row + 1], source)
            torch.testing.assert_close(logits[row], alone[0])
        if wide.memory is not None:
            assert wide.memory is state.memory  # never copied, never reordered
        chosen = after.select(torch.tensor([[2], [0]]))
        for part, whole in zip(chosen.tensors(), after.tensors(), strict=True):
            assert torch.equal(part, whole[[2, 3]])


def test_the_whole_translator_against_its_equations() -> None:
    """One layer, two directions, h_t, written out for one sentence."""
    model = translator_of(attention="general", tied="none")
    batch = batch_of([3])
    assert batch.source is not None
    tokens = torch.tensor([[1, 5, 2]])
    with torch.no_grad():
        logits, _ = model(tokens, model.begin(batch))
        vectors = model.source_embedding.weight[batch.source[0]]

        def direction(cell: Any, values: Tensor) -> list[Tensor]:
            layer, outputs = cell.zeros(1), []
            for value in values:
                layer = cell.step(cell.project(value.unsqueeze(0)), layer, cell.weight_recurrent)
                outputs.append(layer[0][0])
            return outputs

        forward, backward = model.encoder.layers[0]
        ahead = direction(forward, vectors)
        behind = direction(backward, vectors.flip(0))[::-1]
        states = [torch.cat(pair) for pair in zip(ahead, behind, strict=True)]  # g([→h; ←h])
        summary = torch.cat([ahead[-1], behind[0]])
        bridged = model.bridge.weight @ summary + model.bridge.bias
        layer = (torch.tanh(bridged[:6]).unsqueeze(0), bridged[6:].unsqueeze(0))
        cell = model.stack.layers[0]
        attention = model.attention
        assert attention is not None
        w_c = torch.cat([attention.weight_context, attention.weight_hidden], dim=1)
        score: Any = attention.score
        for step, token in enumerate(tokens[0]):
            x = model.target_embedding.weight[token].unsqueeze(0)
            layer = cell.step(cell.project(x), layer, cell.weight_recurrent)  # type: ignore[assignment]
            h = layer[0][0]
            alpha = torch.stack([h @ score.weight @ state for state in states]).softmax(0)
            context = torch.stack(states).T @ alpha
            a = torch.tanh(w_c @ torch.cat([context, h]))
            expected = model.projection.weight @ a + model.projection.bias
            torch.testing.assert_close(logits[0, step], expected)


def test_reverse_turns_each_row_within_its_length() -> None:
    values = torch.arange(8.0).view(2, 4, 1)
    turned = reverse(values, torch.tensor([4, 2]))
    assert turned[..., 0].tolist() == [[3, 2, 1, 0], [5, 4, 6, 7]]
    assert at_end(values, torch.tensor([4, 2])).flatten().tolist() == [3, 5]


def test_summaries() -> None:
    torch.manual_seed(0)
    inputs, lengths = torch.randn(2, 4, 5, dtype=torch.float64), torch.tensor([4, 2])
    for summary in ("last", "mean", "max"):
        config = TranslatorConfig(hidden=6, embedding=5, summary=summary).encoder_config  # type: ignore[arg-type]
        encoder = RecurrentEncoder(5, config).double()
        states, vector, _ = encoder(inputs, lengths)
        real = states[1, :2]
        expected = {
            "last": torch.cat([real[1, :3], real[0, 3:]]),
            "mean": real.mean(0),
            "max": real.amax(0),
        }
        torch.testing.assert_close(vector[1], expected[summary])


def test_three_way_tying_needs_a_joint_vocabulary() -> None:
    with pytest.raises(ConfigError, match="one joint vocabulary"):
        translator_of(tied="all")
    model = Translator(TranslatorConfig(hidden=6, embedding=5, tied="all"), V, V)
    assert model.source_embedding.weight is model.projection.weight


def test_an_infinite_score_cannot_come_from_padding() -> None:
    model, batch = translator_of(), batch_of([5, 1])
    logits, state = model(torch.randint(V, (2, 3)), model.begin(batch))
    logits.sum().backward()
    assert state.attention is not None
    torch.testing.assert_close(state.attention.sum(-1), torch.ones(2, 3, dtype=torch.float64))
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            assert torch.isfinite(parameter.grad).all(), name
