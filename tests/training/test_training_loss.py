"""The fused cross-entropy against its definition in float64 and torch's own."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from textgen.training import loss as module
from textgen.training.loss import cross_entropy, token_nll


@given(
    st.integers(1, 7), st.integers(2, 9), st.sampled_from([0.0, 0.1, 0.7]), st.integers(0, 2**31)
)
@settings(max_examples=40, deadline=None)
def test_losses_and_gradient_are_the_definition(
    count: int, size: int, smoothing: float, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(count, size, generator=generator, dtype=torch.float64) * 3
    targets = torch.randint(0, size, (count,), generator=generator)
    ours = logits.clone().requires_grad_()
    mean, total = cross_entropy(ours, targets, smoothing)
    (mean * 3).backward()
    plain = logits.clone().requires_grad_()
    wanted = torch.full((count, size), smoothing / size, dtype=torch.float64)
    wanted[torch.arange(count), targets] += 1 - smoothing
    expected = -(wanted * plain.log_softmax(1)).sum() / count
    (expected * 3).backward()
    torch.testing.assert_close(mean, expected)
    torch.testing.assert_close(ours.grad, plain.grad)
    nll = -plain.log_softmax(1)[torch.arange(count), targets]
    torch.testing.assert_close(total, nll.sum())
    torch.testing.assert_close(token_nll(logits, targets), nll)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch, smoothing: float) -> None:
    logits, targets = torch.randn(10, 6, dtype=torch.float64), torch.randint(0, 6, (10,))
    whole = logits.clone().requires_grad_()
    expected = cross_entropy(whole, targets, smoothing)
    expected[0].backward()
    nll = token_nll(logits, targets)
    monkeypatch.setattr(module, "CHUNK", 18)  # three rows at a time
    parts = logits.clone().requires_grad_()
    mean, total = cross_entropy(parts, targets, smoothing)
    mean.backward()
    torch.testing.assert_close((mean, total), expected)
    torch.testing.assert_close(parts.grad, whole.grad)
    torch.testing.assert_close(token_nll(logits, targets), nll)


def test_bfloat16_logits_are_summed_in_float32() -> None:
    logits = (torch.randn(500, 40) * 4).bfloat16()
    targets = torch.randint(0, 40, (500,))
    ours = logits.clone().requires_grad_()
    mean, total = cross_entropy(ours, targets, 0.1)
    mean.backward()
    wide = logits.float().requires_grad_()
    expected = F.cross_entropy(wide, targets, label_smoothing=0.1)
    expected.backward()
    assert mean.dtype == total.dtype == torch.float32
    torch.testing.assert_close(mean, expected)
    assert ours.grad is not None
    assert wide.grad is not None
    assert ours.grad.dtype == torch.bfloat16
    torch.testing.assert_close(ours.grad.float(), wide.grad, rtol=1e-2, atol=1e-6)


def test_huge_logits_stay_finite() -> None:
    logits = torch.tensor([[1e4, -1e4, 0.0]], requires_grad=True)
    mean, _ = cross_entropy(logits, torch.tensor([1]))
    mean.backward()
    assert mean.item() == 2e4
    assert torch.equal(logits.grad, torch.tensor([[1.0, -1.0, 0.0]]))  # type: ignore[arg-type]


def test_the_plain_sum_has_no_gradient() -> None:
    logits = torch.randn(2, 3, requires_grad=True)
    assert not cross_entropy(logits, torch.tensor([0, 1]))[1].requires_grad
