"""Dropout: the share, the expectation, the gradient."""

from __future__ import annotations

import pytest
import torch

from textgen.models.dropout import dropout


@pytest.mark.parametrize("share", [0.0, 1e-9, 0.1, 0.5, 0.937, 1 - 1e-9])
@pytest.mark.parametrize("shape", [(100_003,), (1, 250, 400)])
def test_the_share_is_dropped_and_the_mean_stays(share: float, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    values = dropout(torch.ones(shape), share)
    dropped = values == 0
    assert values.shape == shape
    # five standard deviations of a binomial share of 100,000
    assert abs(float(dropped.double().mean()) - share) <= 5 * (share * (1 - share) / 1e5) ** 0.5
    if 1e-6 < share < 1 - 1e-6:
        assert values[~dropped].unique().tolist() == pytest.approx([1 / (1 - share)], rel=1e-3)
        assert float(values.mean()) == pytest.approx(1, abs=0.05)


def test_neighbours_are_dropped_independently() -> None:
    """Four values share one random number: pairs at distances 1 to 5 drop together by chance."""
    torch.manual_seed(1)
    dropped = (dropout(torch.ones(400_000), 0.3) == 0).double()
    for distance in range(1, 6):
        both = float((dropped[distance:] * dropped[:-distance]).mean())
        assert both == pytest.approx(0.09, abs=5 * (0.09 * 0.91 / 4e5) ** 0.5)


def test_the_gradient_is_the_mask() -> None:
    torch.manual_seed(2)
    values = torch.randn(50, 40, requires_grad=True)
    out = dropout(values, 0.4)
    out.sum().backward()  # type: ignore[no-untyped-call]
    assert values.grad is not None
    torch.testing.assert_close(values.detach() * values.grad, out.detach())


def test_a_seed_repeats_it_and_types_are_kept() -> None:
    for dtype in (torch.float64, torch.bfloat16):
        torch.manual_seed(3)
        first = dropout(torch.ones(9, 7, dtype=dtype), 0.5)
        torch.manual_seed(3)
        assert torch.equal(first, dropout(torch.ones(9, 7, dtype=dtype), 0.5))
        assert first.dtype == dtype
