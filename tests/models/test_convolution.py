"""The convolution encoder and attention pooling against their equations, in float64."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from checks import some
from textgen.errors import ConfigError
from textgen.models.config import EncoderConfig, TranslatorConfig
from textgen.models.convolution import ConvolutionEncoder
from textgen.models.encoder import AttentionPooling, RecurrentEncoder, make_encoder
from textgen.models.translator import Translator
from textgen.protocols import Batch
from textgen.testing import check_encoder

WIDTH = 3
LENGTHS = [7, 4, 1]


def make(**options: object) -> ConvolutionEncoder:
    torch.manual_seed(5)
    encoder: ConvolutionEncoder = ConvolutionEncoder(
        WIDTH,
        EncoderConfig(),
        **{"widths": (1, 2, 3), "filters": 4, **options},  # type: ignore[arg-type]
    )
    return encoder.double().eval()


def outputs(encoder: ConvolutionEncoder, group: int, row: Tensor) -> list[Tensor]:
    """Every output of one width over one text (L, I), by loops."""
    weight, bias = encoder.convolutions[group].parameters()  # (F, I, w), (F,)
    width, length = encoder.widths[group], len(row)
    if encoder.padding == "same":
        begins = [at - (width - 1) // 2 for at in range(0, length, encoder.stride)]
    else:
        begins = list(range(0, max(length, width) - width + 1, encoder.stride))
    found = []
    for begin in begins:
        value = bias.clone()
        for j in range(width):
            if 0 <= begin + j < length:
                value += weight[:, :, j] @ row[begin + j]
        found.append(value.clamp(min=0))
    if encoder.pool == 1:
        return found
    return [
        torch.stack(found[at : at + encoder.pool]).amax(0)
        for at in range(0, len(found), encoder.pool)
    ]


def pooled(values: list[Tensor], pooling: str) -> Tensor:
    stacked = torch.stack(values)
    if pooling == "max":
        return stacked.amax(0)
    return stacked.sum(0) / (len(values) if pooling == "mean" else 1)


OPTIONS: list[dict[str, object]] = [
    {},
    {"padding": "none"},
    {"stride": 2},
    {"stride": 2, "padding": "none", "pooling": "mean"},
    {"pool": 2, "pooling": "sum"},
    {"pool": 3, "padding": "none", "stride": 2},
    {"join": "sum", "pooling": "mean"},
    {"widths": 1},
    {"widths": [9], "padding": "none"},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_equations(options: dict[str, object]) -> None:
    encoder = make(**options)
    inputs = torch.randn(len(LENGTHS), max(LENGTHS), WIDTH, dtype=torch.float64)
    with torch.no_grad():
        found = encoder(inputs, torch.tensor(LENGTHS))
        for row, length in some(enumerate(LENGTHS)):
            groups = [
                outputs(encoder, group, inputs[row, :length])
                for group in range(len(encoder.widths))
            ]
            states = min(map(len, groups))
            assert int(found.lengths[row]) == states
            summaries = [pooled(group, encoder.pooling) for group in groups]
            parts = [torch.stack(group[:states]) for group in groups]
            if encoder.join == "concat":
                expected, summary = torch.cat(parts, 1), torch.cat(summaries)
            else:
                expected, summary = sum(parts), sum(summaries)  # type: ignore[assignment]
            torch.testing.assert_close(found.states[row, :states], expected)
            torch.testing.assert_close(found.summary[row], summary)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_it_is_an_encoder(options: dict[str, object]) -> None:
    check_encoder(make(**options), WIDTH)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("widths=[]", "widths is empty"),
        ("widths=[3,0]", "widths must be whole numbers of at least 1, got 0"),
        ("filters=-1", "filters must be whole numbers of at least 1, got -1"),
        ("stride=1.5", "stride must be whole numbers"),
        ("padding=zeros", "padding is 'zeros'; allowed: same, none"),
        ("pooling=last", "pooling is 'last'; allowed: max, mean, sum"),
        ("join=add", "join is 'add'; allowed: concat, sum"),
        ("width=3", "unexpected keyword argument 'width'"),
    ],
)
def test_wrong_options_are_refused(options: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make_encoder(f"convolution:{options}", WIDTH, EncoderConfig())
    assert message in str(caught.value)


@pytest.mark.parametrize(("options", "states"), [("", 6), ("stride=2", 3), ("pool=4", 2)])
def test_a_translator_reads_with_it(options: str, states: int) -> None:
    torch.manual_seed(1)
    spec = "convolution:widths=[2,3],filters=4" + (f",{options}" if options else "")
    config = TranslatorConfig(hidden=8, embedding=5, encoder=spec)
    model = Translator(config, 9, 7).double().eval()
    source = torch.randint(1, 9, (2, 6))
    lengths = torch.tensor([6, 2])
    with torch.no_grad():
        logits, state = model(torch.tensor([[1, 2, 3]] * 2), model.begin(Batch(2, source, lengths)))
        assert state.memory is not None
        assert state.memory.mask.shape == (2, 1, states)
        assert (state.attention is None) == bool(options)
        alone = model.begin(Batch(1, source[1:, :2], lengths[1:]))
        other, _ = model(torch.tensor([[1, 2, 3]]), alone)
    torch.testing.assert_close(logits[1:], other)
    assert model.shortens == bool(options)


def test_attention_pooling_is_a_weighted_mean() -> None:
    torch.manual_seed(1)
    pooling = AttentionPooling(WIDTH).double()
    states = torch.randn(2, 5, WIDTH, dtype=torch.float64)
    states[1, 3:] = math.nan  # what is after a row's end is undefined
    found, weights = pooling(states, torch.tensor([5, 3])), None
    for row, length in some(enumerate([5, 3])):
        own = states[row, :length]
        scores = torch.tanh(own @ pooling.hidden.weight.T + pooling.hidden.bias)
        scores = (scores @ pooling.score.weight.T).squeeze(1)
        weights = scores.exp() / scores.exp().sum()
        torch.testing.assert_close(found[row], weights @ own)


def test_a_recurrent_encoder_pools_by_attention() -> None:
    torch.manual_seed(2)
    config = EncoderConfig(layers=1, hidden=4, summary="attention")
    check_encoder(RecurrentEncoder(WIDTH, config), WIDTH)
