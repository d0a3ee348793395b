"""The loop: what it tells, and that it goes on bit for bit."""

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import settings as settings_of_hypothesis
from hypothesis import strategies as st
from torch import Tensor, nn

from checks import some
from textgen.checkpoint import load_training_state, save_training_state, weights_of
from textgen.data.batching import Batches, LaneBatches, SentenceBatches, TrainingBatch
from textgen.data.sequences import sequences_of
from textgen.data.streams import stream_of
from textgen.errors import CheckpointError, ConfigError, TrainingError
from textgen.models.config import LanguageModelConfig
from textgen.models.language_model import LanguageModel
from textgen.protocols import Batch, SpecialTokens
from textgen.recipes.training import TrainingConfig
from textgen.training.events import Event, Improved, Note, Snapshot, Step, Stopped, Validated
from textgen.training.fit import fit
from textgen.training.state import TrainingState

SPECIAL = SpecialTokens(0, 1, 2, None)
STREAM = stream_of([3 + (i * i + i // 7) % 9 for i in range(400)])


def lanes(window: int = 8, count: int = 4) -> LaneBatches:
    return LaneBatches(STREAM, count, window, SPECIAL, seed=5)


def sentences() -> SentenceBatches:
    rows = [[3 + (i + j) % 9 for j in range(1 + i % 7)] for i in range(40)]
    return SentenceBatches(sequences_of(rows), 40, SPECIAL, seed=5)


def make_model(cell: str = "lstm", dropout: float = 0.3, *, tied: bool = False) -> LanguageModel:
    torch.manual_seed(1)
    config = LanguageModelConfig(cell=cell, hidden=8, dropout=dropout, tied=tied)  # type: ignore[arg-type]
    return LanguageModel(config, 12)


def settings(**changes: Any) -> TrainingConfig:
    values = {"steps": 30, "learning_rate": 0.02, "validate_every": 7, "log_every": 3}
    return TrainingConfig(**{**values, "precision": "float32", "save_every": 1e9, **changes})


def weight_norm(model: nn.Module) -> dict[str, float]:
    """A figure that depends on the weights, and a validation that draws random numbers."""
    torch.rand(3)
    assert not model.training
    assert not torch.is_grad_enabled()
    return {"loss": float(sum(p.square().sum() for p in model.parameters()))}


def run(model: nn.Module, config: TrainingConfig, batches: Batches | None = None) -> list[Event]:
    return list(fit(model, batches or lanes(), weight_norm, config))


def kinds(events: list[Event]) -> list[tuple[str, int]]:
    return [(type(event).__name__, event.step) for event in events]


def same(left: nn.Module, right: nn.Module) -> bool:
    others = weights_of(right)
    return all(torch.equal(value, others[name]) for name, value in weights_of(left).items())


def test_events_come_in_order() -> None:
    falling = itertools.count(9, -1)
    events = list(fit(make_model(), lanes(), lambda _: {"loss": next(falling)}, settings(steps=10)))
    assert kinds(events) == [
        ("Step", 3),
        ("Step", 6),
        ("Validated", 7),
        ("Improved", 7),
        ("Snapshot", 7),
        ("Step", 9),
        ("Step", 10),
        ("Validated", 10),
        ("Improved", 10),
        ("Snapshot", 10),
        ("Stopped", 10),
    ]
    stopped = events[-1]
    assert isinstance(stopped, Stopped)
    assert stopped.reason == "steps"


def test_only_better_values_are_improvements() -> None:
    values = iter([3.0, 4.0, 2.0, 2.0, 5.0])
    events = list(
        fit(
            make_model(),
            lanes(),
            lambda _: {"loss": 0.0, "x": next(values)},
            settings(),
            criterion="x",
        )
    )
    improved = [(event.step, event.value) for event in events if isinstance(event, Improved)]
    assert improved == [(7, 3.0), (21, 2.0)]


def test_an_objective_with_a_minus_must_rise() -> None:
    values = iter([3.0, 4.0, 2.0, 4.0, 5.0])
    events = list(
        fit(make_model(), lanes(), lambda _: {"x": next(values)}, settings(), criterion="-x")
    )
    improved = [(event.step, event.value) for event in events if isinstance(event, Improved)]
    assert improved == [(7, 3.0), (14, 4.0), (30, 5.0)]


def test_loss_falls_and_is_the_mean_of_plain_nats() -> None:
    torch.manual_seed(3)
    model = make_model(dropout=0.0)
    expected, tokens = 0.0, 0
    state = None
    for batch in itertools.islice(lanes().iterate(0), 2):
        state = model.begin(Batch(4)) if state is None else state
        features, state = model.features(batch.inputs, state)
        logs = model.output(features).detach().double().log_softmax(-1)
        expected -= float(logs.gather(2, batch.targets[:, :, None]).sum())
        tokens += batch.count
    # a rate of nearly nothing, so that both steps see the same weights
    config = settings(steps=2, learning_rate=1e-12, label_smoothing=0.2, log_every=2)
    first = run(model, config)[0]
    assert isinstance(first, Step)
    assert first.loss == pytest.approx(expected / tokens, rel=1e-5)
    assert first.tokens == tokens
    events = run(make_model(dropout=0.0), settings(steps=150, learning_rate=0.1))
    steps = [event for event in events if isinstance(event, Step)]
    assert steps[-1].loss < 0.85 * steps[0].loss
    assert [step.progress for step in steps] == sorted(step.progress for step in steps)
    assert steps[-1].progress == 1
    assert steps[-1].remaining == 0


def reference_steps(model: LanguageModel, batches: Batches, config: TrainingConfig) -> None:
    """The training written out with torch's plain tools."""
    optimiser = torch.optim.AdamW(
        model.parameters(), lr=0.0, betas=(config.beta1, config.beta2), weight_decay=0.0
    )
    state = None
    for done, batch in enumerate(itertools.islice(batches.iterate(0), config.steps)):
        if state is None or not batch.continues:
            state = model.begin(Batch(batch.inputs.shape[0]))
        features, state = model.features(batch.inputs, state.detach(), batch.lengths)
        loss = nn.functional.cross_entropy(
            model.output(features).flatten(0, 1),
            batch.targets.flatten(),
            ignore_index=0,
            label_smoothing=config.label_smoothing,
        )
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), config.max_grad_norm)
        assert config.steps is not None
        optimiser.param_groups[0]["lr"] = config.learning_rate * (
            1 - (1 - config.final_learning_rate) * done / config.steps
        )
        optimiser.step()


@pytest.mark.parametrize("make", [lanes, sentences])
def test_steps_are_those_of_plain_torch(make: Callable[[], Batches]) -> None:
    config = settings(steps=6, max_grad_norm=0.05, schedule="linear", warmup=0.0)
    ours, plain = make_model(dropout=0.0), make_model(dropout=0.0)
    run(ours, config, make())
    reference_steps(plain, make(), config)
    for name, value in some(weights_of(plain).items()):
        torch.testing.assert_close(weights_of(ours)[name], value, rtol=1e-3, atol=2e-5)


def snapshots_at(
    model: nn.Module, config: TrainingConfig, batches: Batches, wanted: int
) -> TrainingState:
    """Train to a step and stop there as Ctrl-C does."""
    count = itertools.count()
    events = fit(model, batches, weight_norm, config, interrupted=lambda: next(count) >= wanted)
    *_, snapshot, stopped = events
    assert isinstance(snapshot, Snapshot)
    assert isinstance(stopped, Stopped)
    assert (snapshot.step, stopped.reason) == (wanted, "interrupted")
    return snapshot.state


def go_on(
    state: TrainingState, model: nn.Module, config: TrainingConfig, batches: Batches, folder: Any
) -> list[Event]:
    """Save, load and resume, with everything else disturbed."""
    save_training_state(folder, state.tensors, state.facts())
    torch.manual_seed(99)
    tensors, facts = load_training_state(folder)
    restored = TrainingState.restore(tensors, facts)
    return list(fit(model, batches, weight_norm, config, state=restored))


@pytest.mark.parametrize(
    "changes",
    [
        {"ema_decay": 0.9},
        {"accumulate": 3},
        {"schedule": "plateau"},
        {"optimiser": "sgd", "momentum": 0.9, "learning_rate": 0.5},
        {"precision": "bfloat16"},
        {"steps": None, "epochs": 2.3},
        {"patience": 2},
    ],
    ids=str,
)
def test_resumed_training_is_the_same_bit_for_bit(changes: dict[str, Any], tmp_path: Any) -> None:
    config = settings(**changes)
    straight = make_model()
    expected = run(straight, config)
    last = expected[-1].step
    for wanted in {1, 7, 8, 13, last - 1}:
        state = snapshots_at(make_model(), config, lanes(), wanted)
        resumed = make_model("lstm")
        nn.init.zeros_(resumed.projection.weight)
        events = go_on(state, resumed, config, lanes(), tmp_path)
        assert same(straight, resumed), wanted
        assert events[-1] == expected[-1]
        told = [event for event in events if isinstance(event, Validated | Improved)]
        before = [
            event
            for event in expected
            if isinstance(event, Validated | Improved) and event.step > wanted
        ]
        assert [event for event in told if event.step > wanted] == before


@pytest.mark.parametrize("cell", ["rnn", "gru", "gru-fused", "lstm-peephole"])
def test_every_kind_of_state_is_carried_on(cell: str, tmp_path: Any) -> None:
    config = settings(steps=12)
    straight, resumed = make_model(cell), make_model(cell)
    run(straight, config)
    go_on(snapshots_at(make_model(cell), config, lanes(), 6), resumed, config, lanes(), tmp_path)
    assert same(straight, resumed)


def test_sentences_and_tied_weights_resume(tmp_path: Any) -> None:
    config = settings(steps=12, ema_decay=0.9)
    straight, resumed = make_model(tied=True), make_model(tied=True)
    run(straight, config, sentences())
    state = snapshots_at(make_model(tied=True), config, sentences(), 5)
    go_on(state, resumed, config, sentences(), tmp_path)
    assert same(straight, resumed)


def test_two_interruptions_in_a_row(tmp_path: Any) -> None:
    """The second comes before a step was made: what was carried is not lost."""
    config = settings(steps=12)
    straight, resumed = make_model(), make_model()
    run(straight, config)
    state = snapshots_at(make_model(), config, lanes(), 6)
    again = list(
        fit(make_model(), lanes(), weight_norm, config, state=state, interrupted=lambda: True)
    )
    snapshot = again[0]
    assert isinstance(snapshot, Snapshot)
    go_on(snapshot.state, resumed, config, lanes(), tmp_path)
    assert same(straight, resumed)


def test_finished_training_resumes_to_nothing_and_a_longer_budget_goes_on(tmp_path: Any) -> None:
    model = make_model()
    *_, snapshot, _ = run(model, settings(steps=10))
    assert isinstance(snapshot, Snapshot)
    events = go_on(snapshot.state, make_model(), settings(steps=10), lanes(), tmp_path)
    assert kinds(events) == [("Note", 10), ("Snapshot", 10), ("Stopped", 10)]
    assert isinstance(events[0], Note)
    assert "was over at step 10: its training.steps are used up (10)" in events[0].text
    assert "give a larger total: --set training.steps=…" in events[0].text
    longer = go_on(snapshot.state, make_model(), settings(steps=12), lanes(), tmp_path)
    assert kinds(longer)[-1] == ("Stopped", 12)


def test_carried_state_is_used_where_batches_continue() -> None:
    seen: list[Tensor] = []

    class Watched(LanguageModel):
        def features(self, tokens: Tensor, state: Any, lengths: Tensor | None = None) -> Any:
            seen.append(state.tensors()[0].clone())
            features, after = super().features(tokens, state, lengths)
            seen.append(after.tensors()[0].detach().clone())
            return features, after

    torch.manual_seed(0)
    model = Watched(LanguageModelConfig(hidden=8), 12)
    batches = lanes(window=50)
    assert len(batches) == 2
    list(fit(model, batches, None, settings(steps=4)))
    starts, ends = seen[::2], seen[1::2]
    assert not starts[0].any()
    assert torch.equal(starts[1], ends[0])
    assert not starts[2].any()  # a new epoch
    assert torch.equal(starts[3], ends[2])


def test_validated_weights_are_the_average_and_training_goes_on_from_its_own() -> None:
    model = make_model()
    averages: list[dict[str, Tensor]] = []
    last: Mapping[str, Tensor] = {}
    for event in fit(model, lanes(), weight_norm, settings(ema_decay=0.9, steps=20)):
        if isinstance(event, Validated):
            averages.append({name: value.clone() for name, value in weights_of(model).items()})
        if isinstance(event, Snapshot):
            last = event.state.part("average")
            own = event.state.part("weights")
            assert all(torch.equal(own[name], value) for name, value in weights_of(model).items())
            assert any(not torch.equal(own[name], value) for name, value in last.items())
    assert all(torch.equal(averages[-1][name], value) for name, value in last.items())


def test_abandoned_validation_gives_the_weights_back() -> None:
    model = make_model()
    events = fit(model, lanes(), weight_norm, settings(ema_decay=0.9))
    next(event for event in events if isinstance(event, Validated))
    averaged = {name: value.clone() for name, value in weights_of(model).items()}
    assert isinstance(events, Iterator)
    events.close()  # type: ignore[attr-defined]
    assert any(not torch.equal(averaged[name], value) for name, value in weights_of(model).items())


def test_consumer_sees_the_mode_it_left() -> None:
    model = make_model().eval()
    run(model, settings(steps=2))
    assert not model.training


def test_minutes_end_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = itertools.count()
    monkeypatch.setattr("time.perf_counter", lambda: next(clock) * 0.1)
    events = list(fit(make_model(), lanes(), None, settings(steps=None, minutes=0.5)))
    assert isinstance(events[-1], Stopped)
    assert events[-1].reason == "minutes"
    steps = [event for event in events if isinstance(event, Step)]
    assert steps[-1].seconds == pytest.approx(30, abs=1)
    half = min(steps, key=lambda step: abs(step.progress - 0.5))
    assert half.remaining == pytest.approx(half.seconds, rel=0.1)


def test_patience_ends_the_training() -> None:
    rising = itertools.count()
    config = settings(steps=500, patience=3)
    events = list(fit(make_model(), lanes(), lambda _: {"loss": next(rising)}, config))
    assert events[-1] == Stopped(28, "patience")


def test_plateau_lowers_the_rate() -> None:
    rising = itertools.count()
    config = settings(steps=40, schedule="plateau", warmup=0.0, decay=0.1)
    events = list(fit(make_model(), lanes(), lambda _: {"loss": next(rising)}, config))
    rates = {event.step: event.learning_rate for event in events if isinstance(event, Step)}
    assert rates[12] == pytest.approx(0.02)
    assert rates[15] == pytest.approx(0.002)
    assert rates[24] == pytest.approx(0.0002)


@given(
    losses=st.lists(st.integers(0, 5), min_size=12, max_size=12),
    patience=st.integers(0, 3),
)
@settings_of_hypothesis(max_examples=25, deadline=None)
def test_plateau_lowers_the_rate_when_torch_does(losses: list[int], patience: int) -> None:
    """``ReduceLROnPlateau`` counts anew after each decay."""
    parameter = nn.Parameter(torch.zeros(()))
    theirs = torch.optim.SGD([parameter], lr=0.02)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(
        theirs, factor=0.5, patience=patience, threshold=0.0
    )
    expected = []
    for loss in losses:
        expected.append(theirs.param_groups[0]["lr"])
        scheduler.step(loss)
    config = settings(
        steps=len(losses),
        schedule="plateau",
        warmup=0.0,
        decay_patience=patience,
        validate_every=1,
        log_every=1,
    )
    values = iter(losses)
    events = fit(make_model(), lanes(), lambda _: {"loss": float(next(values))}, config)
    rates = [event.learning_rate for event in events if isinstance(event, Step)]
    assert rates == pytest.approx(expected)


def test_snapshots_come_by_the_clock() -> None:
    events = run(make_model(), settings(steps=5, save_every=0.0))
    assert [event.step for event in events if isinstance(event, Snapshot)] == [1, 2, 3, 4, 5, 5]


class Poisoned(LaneBatches):
    """From batch 4 on the model meets a token whose vector is not finite."""

    def iterate(self, epoch: int, start: int = 0) -> Iterator[TrainingBatch]:
        for index, batch in enumerate(super().iterate(epoch, start), start):
            if index >= 4:
                batch.inputs[:, -1] = 11
            yield batch


@pytest.mark.parametrize("clip", [0.0, 1.0])
@pytest.mark.parametrize("optimiser", ["adamw", "sgd"])
def test_values_that_are_not_finite_stop_before_the_weights_are_spoilt(
    optimiser: str, clip: float
) -> None:
    def poisoned() -> LanguageModel:
        model = make_model(dropout=0.0)
        with torch.no_grad():
            model.embedding.weight[11] = math.inf
        return model

    config = settings(optimiser=optimiser, max_grad_norm=clip, validate_every=0, steps=8)
    batches = Poisoned(stream_of([3 + i % 7 for i in range(400)]), 4, 8, SPECIAL, seed=5)
    model, before = poisoned(), poisoned()
    with pytest.raises(TrainingError, match=r"step 5 .*no longer finite.*learning_rate"):
        list(fit(model, batches, None, config))
    list(snapshots_at(before, config, batches, 4).tensors)
    assert same(model, before)


def test_validation_that_is_not_finite_stops() -> None:
    with pytest.raises(TrainingError, match="no longer finite"):
        list(fit(make_model(), lanes(), lambda _: {"loss": math.nan}, settings()))


def test_unbounded_training_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"steps, \.epochs or .minutes"):
        list(fit(make_model(), lanes(), None, settings(steps=None)))


def test_missing_gpu_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(ConfigError, match="no CUDA device"):
        list(fit(make_model(), lanes(), None, settings(device="cuda")))


def test_empty_epoch_is_no_endless_loop() -> None:
    class Nothing:
        def __len__(self) -> int:
            return 1

        def iterate(self, epoch: int, start: int = 0) -> Iterator[TrainingBatch]:  # noqa: ARG002 a fake
            return iter(())

    with pytest.raises(TrainingError, match="no batches"):
        list(fit(make_model(), Nothing(), None, settings()))


def test_state_of_another_model_is_refused(tmp_path: Any) -> None:
    state = snapshots_at(make_model(), settings(), lanes(), 3)
    with pytest.raises(CheckpointError, match="training state: does not fit"):
        go_on(state, make_model("gru"), settings(), lanes(), tmp_path)
    with pytest.raises(CheckpointError, match="recurrent state does not fit"):
        go_on(state, make_model(), settings(), lanes(count=3), tmp_path)


def test_caller_may_share_the_models_random_numbers_with_validation() -> None:
    """Random numbers used by a validation leave the training as it is."""
    calm, noisy = make_model(), make_model()
    list(fit(calm, lanes(), lambda _: {"loss": 1.0}, settings()))
    torch.manual_seed(1)
    make_model()
    list(fit(noisy, lanes(), lambda _: {"loss": float(torch.rand(5).sum())}, settings()))
    assert same(calm, noisy)
