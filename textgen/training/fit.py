"""The training loop, as a generator of events."""

from __future__ import annotations

import dataclasses
import itertools
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, nullcontext
from typing import Any

import torch
from torch import nn

from textgen.checkpoint import restore_weights, weights_of
from textgen.data.batching import Batches
from textgen.errors import TrainingError
from textgen.models.float32 import fast_float32
from textgen.recipes.training import TrainingConfig
from textgen.training.averaging import make_average
from textgen.training.budget import used_shares
from textgen.training.events import (
    Event,
    Improved,
    Note,
    Reason,
    Snapshot,
    Step,
    Stopped,
    Validated,
)
from textgen.training.group import ProcessGroup, rank_seed
from textgen.training.objective import Objective, TokenLoss
from textgen.training.optimisers import Optimiser
from textgen.training.precision import MixedPrecision
from textgen.training.schedules import rate_factor
from textgen.training.state import (
    Counters,
    TrainingState,
    joined_parts,
    random_tensors,
    restore_random,
    under,
)
from textgen.training.update import TrainStep

Validate = Callable[[nn.Module], Mapping[str, float]]


def fit(
    model: nn.Module,
    batches: Batches[Any],
    validate: Validate | None,
    config: TrainingConfig,
    *,
    objective: Objective[Any] | None = None,
    state: TrainingState | None = None,
    criterion: str = "loss",
    interrupted: Callable[[], bool] = bool,
    group: ProcessGroup | None = None,
) -> Iterator[Event]:
    """Train a model.

    A training that goes on from ``state`` makes the very numbers that it would have made without
    the interruption, on the same machine with the same number of threads, when its budget is
    in steps or epochs; a budget in minutes depends on the clock.

    Args:
        model: what the objective works on; is moved to the device and trained in place.
        batches: of the corpus.
        validate: figures of the model in evaluation mode, without gradients; random numbers that
            it uses do not disturb the training. None never validates.
        config: of the training.
        objective: what is minimised; None is the ``TokenLoss`` of a ``textgen.protocols.Model``.
        state: to go on from.
        criterion: the metric that must fall, or with a "-" before it must rise; the best value is
            marked by ``Improved``.
        interrupted: asked after each step; true ends the training after a last ``Snapshot``.
        group: of the processes that train together, all with the same other arguments; only the
            first one's ``validate`` is called. None is this process alone.

    Yields:
        Events; what each promises about the model stands there.

    Raises:
        ConfigError: if there is no stopping criterion or the device is not there.
        CheckpointError: if the state is not of this model.
        TrainingError: if loss or gradient are no longer finite. The weights are then those
            before the first such update.
    """
    config.require_bound()
    group = group or ProcessGroup()
    loop = _Loop(
        model,
        batches,
        validate,
        config,
        objective=objective or TokenLoss(config.label_smoothing),
        criterion=criterion,
        interrupted=interrupted,
        group=group,
    )
    if state is not None:
        loop.restore(state.of_rank(group.rank, group.size))
    with ExitStack() as stack:
        if loop.mixed_precision.device.type == "cpu":
            stack.enter_context(fast_float32())
        stack.callback(model.train, model.training)
        yield from loop.run()


class _Loop:
    """A running training."""

    def __init__(
        self,
        model: nn.Module,
        batches: Batches[Any],
        validate: Validate | None,
        config: TrainingConfig,
        *,
        objective: Objective[Any],
        criterion: str,
        interrupted: Callable[[], bool],
        group: ProcessGroup,
    ) -> None:
        self.mixed_precision = MixedPrecision(config)
        group.require_device(self.mixed_precision.device)
        self.model = model.to(self.mixed_precision.device)
        self.batches, self.validate, self.config = batches, validate, config
        self.criterion, self.interrupted, self.group = criterion, interrupted, group
        self.optimiser = Optimiser(model, config)
        self.train_step = TrainStep(model, self.mixed_precision, objective, group)
        self.unit = objective.unit
        self.average = make_average(model, config.ema_decay, config.average_checkpoints)
        self.counters = Counters()
        self.rate = 0.0
        self.norm = self.largest = torch.zeros((), device=self.mixed_precision.device)
        self.progress = 0.0
        self._validation_seconds = 0.0
        if not group.leads:  # the same weights, but dropout of its own
            torch.manual_seed(rank_seed(config.seed, group.rank))

    def run(self) -> Iterator[Event]:
        """Steps, reports, validations and snapshots until a bound is reached."""
        self._start = time.perf_counter() - self.counters.seconds
        self._saved = self.counters.seconds
        self.progress = self._used()
        self._mark()
        self.model.train()
        reason = self._reason()
        if reason not in {None, "interrupted"} and self.counters.step:
            yield Note(self._over(reason), self.counters.step)
        while reason is None:
            before = self.counters.step
            batches = self.batches.iterate(self.counters.epoch, self.counters.index)
            while some := list(itertools.islice(batches, self.config.accumulate)):
                self._step(some)
                yield from self._due()
                reason = self._reason()
                if reason is not None:
                    break
            if self.counters.step == before:
                raise TrainingError("There are no batches to train on.")
        if self.counters.step > self._reported:
            yield self._report()
        if reason != "interrupted" and self.counters.step > self.counters.validated:
            yield from self._validate()
        yield self._snapshot()
        yield Stopped(self.counters.step, reason)

    def _over(self, reason: Reason | None) -> str:
        """What a training that is resumed after its end needs to go on."""
        bound, value = f"training.{reason}", getattr(self.config, str(reason))
        return (
            f"This training was over at step {self.counters.step:,}: its {bound} are used up "
            f"({value}). To train longer, give a larger total: --set {bound}=…"
        )

    def restore(self, state: TrainingState) -> None:
        """Go back to a saved moment."""
        restore_weights(self.model, state.part("weights"), "training state")
        self.optimiser.restore(state.part("optimiser"))
        if self.average is not None:
            self.average.restore(state.part("average"), state.part("weights"))
        self.train_step.restore(list(state.part("carried").values()))
        restore_random(state.part("random"), self.mixed_precision.device)
        self.counters = dataclasses.replace(state.counters)

    def _step(self, batches: Sequence[Any]) -> None:
        """One update, by the gradients of some batches."""
        counters = self.counters
        self.rate = self.config.learning_rate * rate_factor(
            self.config, self.progress, counters.decays
        )
        self.train_step.gradients(batches)
        self.norm = self.optimiser.step(self.rate)
        counters.step += 1
        counters.tokens += sum(batch.count for batch in batches)
        counters.index += len(batches)
        if counters.index >= len(self.batches):
            counters.epoch, counters.index = counters.epoch + 1, 0
        if self.average is not None:
            self.average.update(counters.step)
        counters.seconds = self._clock()
        self.progress = max(self.progress, self._used())
        self.largest = torch.maximum(self.largest, self.norm)  # not finite once, so for ever
        if self.mixed_precision.device.type == "cpu":  # a GPU would have to be waited for
            self._require_finite(self.largest.item())

    def _clock(self) -> float:
        """Seconds of training, the same in all processes: decisions depend on them."""
        return self.group.number(time.perf_counter() - self._start)

    def _due(self) -> Iterator[Event]:
        """What this step is followed by."""
        counters, config = self.counters, self.config
        if counters.step % config.log_every == 0:
            yield self._report()
        first = counters.best is None
        if config.validate_every and counters.step % config.validate_every == 0:
            yield from self._validate()
        first &= counters.best is not None
        if first or counters.seconds - self._saved >= config.save_every:
            yield self._snapshot()  # the first best weights go with a state

    def _report(self) -> Step:
        counters = self.counters
        nll, tokens = self.train_step.take_losses()
        self._require_finite(nll + self.largest.item())
        seconds = time.perf_counter() - self._start
        progress = self.progress
        event = Step(
            step=counters.step,
            epoch=counters.epoch,
            loss=nll / tokens,
            tokens=counters.tokens,
            tokens_per_second=tokens / max(seconds - self._since, 1e-9),
            gradient_norm=self.norm.item(),
            learning_rate=self.rate,
            seconds=seconds,
            progress=progress,
            remaining=seconds / progress - seconds if progress > 0 else None,
            unit=self.unit,
        )
        self._mark()
        return event

    def _mark(self) -> None:
        """A report's interval begins."""
        self._since = time.perf_counter() - self._start
        self._reported = self.counters.step

    def _validate(self) -> Iterator[Event]:
        if self.validate is None:
            return
        begun = self._clock()
        counters = self.counters
        self._require_finite(self.largest.item())
        if self.average is not None:
            self.average.mark()
        with self.average.applied() if self.average else nullcontext():
            validate = self.validate
            metrics = self.group.first(lambda: self._figures(validate))
            counters.validated = counters.step
            figure = metrics[self.criterion.removeprefix("-")]
            value = -figure if self.criterion.startswith("-") else figure
            self._require_finite(value)
            improved = counters.best is None or value < counters.best
            if improved:
                counters.best, counters.stale, counters.bad = value, 0, 0
            else:
                counters.stale += 1
                counters.bad += 1
                if counters.bad > self.config.decay_patience:  # and then counts anew
                    counters.decays, counters.bad = counters.decays + 1, 0
            yield Validated(counters.step, metrics, self.unit)
            if improved:
                yield Improved(counters.step, figure)
        self._validation_seconds = self._clock() - begun
        self._since += self._validation_seconds

    def _figures(self, validate: Validate) -> Mapping[str, float]:
        """Validate aside: mode and random numbers afterwards are as before."""
        cuda = self.mixed_precision.device.type == "cuda"
        self.model.eval()
        devices = [torch.cuda.current_device()] if cuda else []
        with torch.random.fork_rng(devices), torch.no_grad():
            metrics = validate(self.model)
        self.model.train()
        return metrics

    def _snapshot(self) -> Snapshot:
        self._require_finite(self.largest.item())
        counters = self.counters
        counters.seconds = self._saved = self._clock()
        carried = {f"{n:04}": part for n, part in enumerate(self.train_step.carried_tensors())}
        random = random_tensors(self.mixed_precision.device)
        own = under("random", random) | under("carried", carried)
        tensors = joined_parts(self.group.collected(own))
        parts = {
            "weights": weights_of(self.model),
            "optimiser": self.optimiser.tensors(),
            "average": self.average.tensors() if self.average else {},
        }
        for prefix, part in parts.items():
            tensors.update(under(prefix, part))
        return Snapshot(counters.step, TrainingState(tensors, dataclasses.replace(counters)))

    def _used(self) -> float:
        """Share of the budget that is used."""
        return min(1.0, max(self._shares().values()))

    def _shares(self) -> dict[Reason, float]:
        """Used shares of the budget's bounds; the last validation belongs to the minutes."""
        return used_shares(self.config, self.counters, len(self.batches), self._validation_seconds)

    def _reason(self) -> Reason | None:
        """The bound that is reached, or None."""
        if self.group.any(self.interrupted()):
            return "interrupted"
        if self.config.patience and self.counters.stale >= self.config.patience:
            return "patience"
        if self.progress < 1:
            return None
        shares = self._shares()
        return max(shares, key=shares.__getitem__)

    def _require_finite(self, value: float) -> None:
        if not math.isfinite(value):
            raise TrainingError(
                f"At step {self.counters.step} loss or gradient are no longer finite "
                f"(gradient norm {self.norm.item():g}, learning rate {self.rate:g}). "
                "Lower training.learning_rate or training.max_grad_norm, or set "
                "training.precision=float32."
            )
