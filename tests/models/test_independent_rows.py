"""Weights of 16 and 8 bits multiplied in C: a row's numbers do not depend on its neighbours."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from test_stepping import LANGUAGE_MODELS, TRANSLATORS, V, language_model, translator
from torch import Tensor

from textgen.models.products import Precision
from textgen.native import kernels
from textgen.protocols import Batch

pytestmark = pytest.mark.skipif(kernels() is None, reason="textgen.native was not compiled")

PRECISIONS = ["bfloat16", "int8"]
SOURCES = 19
"""More than one chunk of rows of every kernel, and no multiple of any."""
LONGEST = 9


def batch_of(places: list[int], *, with_source: bool) -> tuple[Batch, Tensor, Tensor]:
    """Sources, prefixes (B, P) and their lengths (B,), padded to the longest among them."""
    generator = torch.Generator().manual_seed(4)
    tokens = torch.randint(4, V, (SOURCES, LONGEST), generator=generator)[places]
    lengths = torch.randint(1, LONGEST + 1, (SOURCES,), generator=generator)[places]
    prefix = torch.randint(4, V, (SOURCES, 4), generator=generator)[places]
    prefix_lengths = torch.randint(1, 5, (SOURCES,), generator=generator)[places]
    source = tokens[:, : int(lengths.max())] if with_source else None
    batch = Batch(len(places), source, lengths if with_source else None)
    return batch, prefix[:, : int(prefix_lengths.max())], prefix_lengths


def walk(model: Any, places: list[int], width: int, *, with_source: bool) -> Tensor:
    """Log-probabilities (B, K, 4, V) of the prefix's last token and of three steps after it."""
    batch, prefix, lengths = batch_of(places, with_source=with_source)
    rows = torch.arange(len(places))
    with torch.inference_mode():
        features, state = model.features(prefix, model.begin(batch), lengths)
        last = model.output(features[rows, lengths - 1].unsqueeze(1)).log_softmax(-1)
        state = state.select(torch.zeros(len(places), width, dtype=torch.int64))
        found = [last.expand(-1, width, -1).reshape(-1, V)]
        for step in range(3):
            tokens = (torch.tensor(places).repeat_interleave(width) * 7 + step) % V
            logits, state = model(tokens.unsqueeze(1), state)
            found.append(logits.float().log_softmax(-1)[:, 0])
    return torch.stack(found, 1).view(len(places), width, 4, V)


def check(model: Any, precision: Precision, *, with_source: bool) -> None:
    model = model.for_decoding(precision)
    whole = walk(model, list(range(SOURCES)), 3, with_source=with_source)
    assert whole.isfinite().all()
    groups = [[place] for place in range(0, SOURCES, 4)] + [[5, 1], list(range(17, 0, -1))]
    for places in groups:
        for width in (1, 3):
            alone = walk(model, places, width, with_source=with_source)
            assert torch.equal(alone, whole[places, :width]), (places, width)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("options", LANGUAGE_MODELS, ids=str)
def test_language_models(options: dict[str, object], precision: Precision) -> None:
    check(language_model(options), precision, with_source=False)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(
    "options",
    [*TRANSLATORS, {"summary": "mean"}, {"summary": "max"}, {"merge": "sum"}],
    ids=str,
)
def test_translators(options: dict[str, object], precision: Precision) -> None:
    check(translator(options), precision, with_source=True)
