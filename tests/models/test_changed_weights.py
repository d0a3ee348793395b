"""Weights that change after a model was made ready for decoding are used in single steps too."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from test_stepping import V, language_model, sources, translator

from textgen.models.products import Precision
from textgen.protocols import Batch


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "int8"])
@pytest.mark.parametrize("how", ["in place", "loaded", "replaced"])
@pytest.mark.parametrize("make", [language_model, translator])
@pytest.mark.usefixtures("either")
def test_single_steps_follow_the_weights(make: Any, how: str, precision: Precision) -> None:
    model = make({}).for_decoding(precision)
    batch = sources() if make is translator else Batch(3)
    tokens = torch.randint(V, (3, 1), generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        before, _ = model(tokens, model.begin(batch))
    weights = {name: value * 1.5 for name, value in model.state_dict().items()}
    with torch.no_grad():
        if how == "in place":
            for parameter in model.parameters():
                parameter.mul_(1.5)
        elif how == "loaded":
            model.load_state_dict(weights)
        else:
            for parameter in model.parameters():
                parameter.data = parameter.data * 1.5
    fresh = make({})
    fresh.load_state_dict({name: value.float() for name, value in model.state_dict().items()})
    with torch.inference_mode():
        found, _ = model(tokens, model.begin(batch))
        expected, _ = fresh.for_decoding(precision)(tokens, fresh.begin(batch))
    assert not torch.allclose(found, before, atol=1e-3)
    torch.testing.assert_close(found, expected, rtol=2e-2, atol=2e-2)
