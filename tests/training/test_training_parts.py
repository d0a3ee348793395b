"""Schedules, clipping, optimisers, averages, devices and Ctrl-C, each by itself."""

import math
import os
import signal
import subprocess
import sys
import threading
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from textgen.config import structure
from textgen.errors import CheckpointError, ConfigError, Terminated, TrainingError
from textgen.recipes.training import TrainingConfig
from textgen.training import precision
from textgen.training.averaging import EVERY, MovingAverage, RecentMean, make_average
from textgen.training.clipping import clip, global_norm
from textgen.training.interrupts import Interrupts
from textgen.training.optimisers import Optimiser
from textgen.training.precision import (
    MixedPrecision,
    choose_device,
    has_bfloat16,
    resolve_precision,
)
from textgen.training.schedules import START, rate_factor
from textgen.training.state import Counters, TrainingState

SCHEDULES = ["one-cycle", "cosine", "linear", "plateau", "constant"]


def config(**changes: Any) -> TrainingConfig:
    return TrainingConfig(**changes)


@given(st.sampled_from(SCHEDULES), st.floats(0, 1), st.floats(0, 0.99), st.floats(0, 1))
def test_rates_stay_within_their_bounds(
    schedule: Any, progress: float, warmup: float, final: float
) -> None:
    made = config(schedule=schedule, warmup=warmup, final_learning_rate=final)
    assert min(START, final) - 1e-12 <= rate_factor(made, progress) <= 1 + 1e-12


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_rates_begin_peak_and_end_where_they_should(schedule: Any) -> None:
    made = config(schedule=schedule, warmup=0.25, final_learning_rate=0.1)
    assert rate_factor(made, 0.0) == pytest.approx(START)
    assert rate_factor(made, 0.25) == pytest.approx(1)
    last = {"constant": 1.0, "plateau": 1.0}.get(schedule, 0.1)
    assert rate_factor(made, 1.0) == pytest.approx(last)


def test_courses_between() -> None:
    half = 0.25 + 0.75 * 0.5
    quarter = 0.25 + 0.75 * 0.25
    expected = {"linear": (0.5, 0.75), "cosine": (0.5, (1 + math.sqrt(0.5)) / 2)}
    expected["one-cycle"] = expected["cosine"]
    for schedule, (middle, early) in expected.items():
        made = config(schedule=schedule, warmup=0.25, final_learning_rate=0.0)
        assert rate_factor(made, half) == pytest.approx(middle)
        assert rate_factor(made, quarter) == pytest.approx(early)
    assert rate_factor(config(schedule="linear", warmup=0.2), 0.1) == pytest.approx(0.52)
    assert rate_factor(config(schedule="one-cycle", warmup=0.2), 0.1) == pytest.approx(0.52)
    early = rate_factor(config(schedule="one-cycle", warmup=0.2), 0.05)
    assert early < rate_factor(config(schedule="linear", warmup=0.2), 0.05)
    assert rate_factor(config(schedule="plateau", decay=0.5), 0.7, decays=3) == 0.125


@given(st.floats(0.01, 100), st.integers(0, 2**31))
def test_clipping_is_the_rule(limit: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    parameters = [nn.Parameter(torch.zeros(3, 2)), nn.Parameter(torch.zeros(4))]
    gradients = [torch.randn(p.shape, generator=generator) * 3 for p in parameters]
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient.clone()
    flat = torch.cat([gradient.flatten() for gradient in gradients]).double()
    norm = float(flat.norm())
    told = clip([*parameters, nn.Parameter(torch.zeros(1))], limit)
    assert float(told) == pytest.approx(norm, rel=1e-5)
    scale = limit / norm if norm > limit else 1.0
    for parameter, gradient in zip(parameters, gradients, strict=True):
        torch.testing.assert_close(parameter.grad, gradient * scale)


def test_norm_without_gradients_is_zero() -> None:
    assert global_norm([nn.Parameter(torch.ones(2))]).item() == 0


class Tiny(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.matrix = nn.Parameter(torch.tensor([[1.0, -2.0], [0.5, 3.0]]))
        self.bias = nn.Parameter(torch.tensor([0.3, -0.7]))
        self.frozen = nn.Parameter(torch.ones(2), requires_grad=False)


def give_gradients(model: Tiny, scale: float = 1.0) -> None:
    model.matrix.grad = torch.tensor([[3.0, -1.0], [2.0, 0.5]]) * scale
    model.bias.grad = torch.tensor([1.0, -4.0]) * scale


@pytest.mark.parametrize("limit", [0.0, 0.5, 1000.0])
def test_adamw_is_its_equations(limit: float) -> None:
    made = config(max_grad_norm=limit, weight_decay=0.1, beta1=0.8, beta2=0.9)
    model = Tiny()
    optimiser = Optimiser(model, made)
    values = {name: p.detach().double().clone() for name, p in model.named_parameters()}
    means = {name: torch.zeros_like(value) for name, value in values.items()}
    squares = {name: torch.zeros_like(value) for name, value in values.items()}
    for step, scale in enumerate([1.0, -0.5, 2.0], start=1):
        give_gradients(model, scale)
        gradients = {
            name: p.grad.double().clone()
            for name, p in model.named_parameters()
            if p.grad is not None
        }
        norm = math.sqrt(sum(float(each.square().sum()) for each in gradients.values()))
        assert optimiser.step(0.05).item() == pytest.approx(norm)
        assert model.matrix.grad is None
        factor = limit / norm if limit and norm > limit else 1.0
        for name, gradient in gradients.items():
            means[name] = 0.8 * means[name] + 0.2 * factor * gradient
            squares[name] = 0.9 * squares[name] + 0.1 * (factor * gradient).square()
            decay = 0.1 if name == "matrix" else 0.0
            mean, square = means[name] / (1 - 0.8**step), squares[name] / (1 - 0.9**step)
            values[name] = values[name] * (1 - 0.05 * decay) - 0.05 * mean / (square.sqrt() + 1e-8)
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.double(), values[name], rtol=1e-5, atol=1e-6)


def test_sgd_is_its_equations() -> None:
    model = Tiny()
    optimiser = Optimiser(model, config(optimiser="sgd", momentum=0.9, max_grad_norm=0.0))
    value, velocity = model.bias.detach().clone(), torch.zeros(2)
    for _ in range(3):
        give_gradients(model)
        optimiser.step(0.1)
        velocity = 0.9 * velocity + torch.tensor([1.0, -4.0])
        value = value - 0.1 * velocity
    torch.testing.assert_close(model.bias.detach(), value)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_update_that_is_not_finite_changes_nothing(name: Any, bad: float) -> None:
    model = Tiny()
    optimiser = Optimiser(model, config(optimiser=name, momentum=0.9))
    give_gradients(model)
    optimiser.step(0.1)
    weights = {key: value.clone() for key, value in model.state_dict().items()}
    moments = {key: value.clone() for key, value in optimiser.tensors().items()}
    give_gradients(model)
    assert model.matrix.grad is not None
    model.matrix.grad[0, 0] = bad
    assert not math.isfinite(optimiser.step(0.1).item())
    assert all(torch.equal(value, weights[key]) for key, value in model.state_dict().items())
    assert all(torch.equal(value, moments[key]) for key, value in optimiser.tensors().items())


def test_foreign_moments_are_refused() -> None:
    optimiser = Optimiser(Tiny(), config())
    with pytest.raises(CheckpointError, match="matrix/exp_avg does not fit"):
        optimiser.restore({"matrix/exp_avg": torch.zeros(3, 3)})
    with pytest.raises(CheckpointError, match="other/exp_avg does not fit"):
        optimiser.restore({"other/exp_avg": torch.zeros(3, 3)})


def test_average_is_its_definition() -> None:
    """Of weights n, n + 1, … the average lags behind by D / (1 − D) updates once D is constant."""
    model = Tiny()
    average = MovingAverage(model, 0.99)
    expected = model.bias.detach().double()
    for step in range(1, 1201):
        with torch.no_grad():
            model.bias.copy_(torch.full_like(model.bias, step / 100))
        average.update(step)
        if step % EVERY == 0:
            decay = min(0.99**EVERY, (1 + step) / (10 + step))
            expected = decay * expected + (1 - decay) * model.bias.detach().double()
    expected = expected.float()
    torch.testing.assert_close(average.tensors()["bias"], expected)
    lag = EVERY * 0.99**EVERY / (1 - 0.99**EVERY) / 100
    torch.testing.assert_close(expected, torch.full_like(expected, 12 - lag), rtol=1e-4, atol=0)
    own = model.bias.detach().clone()
    with average.applied():
        torch.testing.assert_close(model.bias.detach(), expected)
    assert torch.equal(model.bias, own)
    with pytest.raises(CheckpointError, match="average of bias"):
        average.restore({"matrix": torch.zeros(2, 2)}, {})
    fresh = MovingAverage(model, 0.99)
    fresh.restore({}, {name: torch.full_like(p, 3.0) for name, p in model.named_parameters()})
    assert (fresh.tensors()["bias"] == 3).all()


@pytest.mark.parametrize(("decay", "since"), [(0.99, 216), (0.999, 2248)])
def test_the_decay_of_the_average_holds_after_its_warm_up(decay: float, since: int) -> None:
    """It was reached after four times as many steps, when updates were counted as steps."""
    model = Tiny()
    average, other = MovingAverage(model, decay), MovingAverage(model, (decay + 1) / 2)
    differs = []
    for step in range(EVERY, 2600, EVERY):
        with torch.no_grad():
            model.bias.fill_(step)
        for each in (average, other):
            each.update(step)
        if not torch.equal(average.tensors()["bias"], other.tensors()["bias"]):
            differs.append(step)
    assert differs[0] == pytest.approx(since, abs=EVERY)


def test_the_mean_of_the_last_validations() -> None:
    model = Tiny()
    average = RecentMean(model, 3)
    for value in (1.0, 2.0, 4.0, 9.0):
        with torch.no_grad():
            model.bias.fill_(value)
        average.update(1)
        average.mark()
    with average.applied():
        assert (model.bias == 5).all()  # of 2, 4 and 9
    assert (model.bias == 9).all()
    again = RecentMean(model, 3)
    again.restore({name: each.clone() for name, each in average.tensors().items()}, {})
    with torch.no_grad():
        model.bias.fill_(14.0)
    again.mark()
    with again.applied():
        assert (model.bias == 9).all()  # of 4, 9 and 14


def test_which_average() -> None:
    model = Tiny()
    assert isinstance(make_average(model, 0.9, 0), MovingAverage)
    assert isinstance(make_average(model, 0.0, 4), RecentMean)
    assert make_average(model, 0.0, 0) is None
    with pytest.raises(ConfigError, match="give one of them"):
        config(steps=1, ema_decay=0.9, average_checkpoints=3).require_bound()


def test_devices_and_precisions(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = torch.device("cpu")
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert choose_device("auto") == choose_device("cpu") == cpu
    with pytest.raises(ConfigError, match=r"no CUDA device here\. Allowed: auto, cpu"):
        choose_device("cuda")
    assert resolve_precision("float32", cpu) == torch.float32
    assert resolve_precision("bfloat16", cpu) == torch.bfloat16
    for has, expected in ((True, torch.bfloat16), (False, torch.float32)):
        monkeypatch.setattr(precision, "has_bfloat16", lambda _, has=has: has)
        assert resolve_precision("auto", cpu) == expected
    assert has_bfloat16(cpu) in {True, False}
    with MixedPrecision(config(precision="bfloat16", device="cpu")).autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16
    with MixedPrecision(config(precision="float32", device="cpu")).autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32


def test_first_interrupt_is_noted_and_the_second_interrupts() -> None:
    with pytest.raises(KeyboardInterrupt), Interrupts() as interrupts:  # noqa: PT012 in order
        assert not interrupts.noted()
        os.kill(os.getpid(), signal.SIGINT)
        assert interrupts.noted()
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_what_was_noted_as_sigterm_ends_as_terminated() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Terminated), Interrupts() as interrupts:  # noqa: PT012 in order
        os.kill(os.getpid(), signal.SIGTERM)
        assert interrupts.noted()
        raise KeyboardInterrupt
    assert signal.getsignal(signal.SIGTERM) is before
    with Interrupts() as interrupts:  # it came when all had ended anyway
        os.kill(os.getpid(), signal.SIGTERM)
    with pytest.raises(TrainingError), Interrupts():  # noqa: PT012 in order
        os.kill(os.getpid(), signal.SIGTERM)
        raise TrainingError


def test_a_second_sigterm_ends_at_once() -> None:
    script = (
        "import os, signal\n"
        "from textgen.training.interrupts import Interrupts\n"
        "with Interrupts():\n"
        "    for _ in range(2): os.kill(os.getpid(), signal.SIGTERM)\n"
        "    print('still here')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (-signal.SIGTERM, b"")


def test_interrupts_leave_others_handlers_and_threads_alone() -> None:
    seen = []
    signal.signal(signal.SIGINT, lambda *_: seen.append(1))
    try:
        with Interrupts():
            os.kill(os.getpid(), signal.SIGINT)
        assert seen == [1]
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    noted = []

    def enter() -> None:
        with Interrupts() as interrupts:
            noted.append(interrupts.noted())

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert noted == [False]


def test_wrong_configuration_is_told_all_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        structure(
            TrainingConfig,
            {"steps": 0, "optimiser": "adam", "learning_rte": 1, "ema_decay": 1.0, "minutes": -1},
        )
    text = str(caught.value)
    for part in ("steps:", "optimiser:", "learning_rte", "ema_decay:", "minutes:"):
        assert part in text
    assert "Did you mean 'learning_rate'?" in text


def test_counters_survive_and_damage_is_told() -> None:
    counters = Counters(step=3, best=1.5, seconds=2.25)
    state = TrainingState.restore({}, TrainingState({}, counters).facts())
    assert state.counters == counters
    with pytest.raises(CheckpointError, match=r"damaged.*step"):
        TrainingState.restore({}, {"step": "many"})
