"""What loaded models with methods share: their chains, and how they travel to other processes."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

import torch

from textgen.checkpoint import find_model, weights_checksum
from textgen.decoding.binding import Binder
from textgen.decoding.chain import Chain, Registries, default_registries, resolve
from textgen.errors import CheckpointError, UsageError
from textgen.loaded.history import TrainingHistory
from textgen.loaded.keywords import FilterLike, StrategyLike
from textgen.loading import LoadedModel, load_ensemble
from textgen.models.ensemble import Average
from textgen.progress import counting
from textgen.short_options import Decoding
from textgen.workers.streaming import streamed

T = TypeVar("T")

_processes = {os.getpid()}
"""Those in which it is known how many threads to compute with."""


@dataclass(frozen=True, repr=False)
class UsableModel(LoadedModel):
    """A loaded model with methods; one subclass for each kind of model.

    It is pickled as the paths of its folders; unpickling loads them.

    Attributes:
        folders: of the model, or of the members of an ensemble; absolute.
        checksums: of the weights in these folders.
        average: what is averaged over the members.
        history: of the training, where ``textgen.train`` gave the model; else empty.
    """

    folders: tuple[Path, ...] = ()
    checksums: tuple[str, ...] = ()
    average: Average = "probabilities"
    history: TrainingHistory = field(default_factory=TrainingHistory)

    @classmethod
    def of(
        cls,
        loaded: LoadedModel,
        names: tuple[str | Path, ...],
        average: Average = "probabilities",
        history: TrainingHistory | None = None,
    ) -> Self:
        """A loaded model with methods.

        Args:
            loaded: the model.
            names: by which it, or the members of the ensemble, were asked for.
            average: of the ensemble.
            history: of the training that made it.
        """
        values = {each.name: getattr(loaded, each.name) for each in fields(LoadedModel)}
        folders = tuple(find_model(name).resolve() for name in names)
        return cls(
            **values,
            folders=folders,
            checksums=tuple(map(weights_checksum, folders)),
            average=average,
            history=history or TrainingHistory(),
        )

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Explain a method that another kind of model has."""
            if name.startswith("_") or "name" not in vars(self):
                raise AttributeError(name)
            verbs = [each for each in dir(type(self)) if callable(getattr(type(self), each))]
            known = ", ".join(each for each in verbs if not each.startswith("_") and each != "of")
            raise AttributeError(
                f"{type(self).__name__} has no attribute {name!r}. {self.name} is a {self.kind}, "
                f"with the methods {known}."
            )

    def __reduce__(self) -> tuple[Callable[..., UsableModel], tuple[Any, ...]]:
        how = {
            "device": str(self.device),
            "precision": self.precision,
            "average": self.average,
        }
        return _load_anew, (type(self), tuple(map(str, self.folders)), self.checksums, how)

    @functools.cached_property
    def _binder(self) -> Binder:
        """Makes chains ready; plugins that were bound once stay so."""
        return self.binder()


def use_threads_of_this_process() -> None:
    """Compute with one thread in a forked process, until the caller sets another number.

    A fork lacks the OpenMP threads that its parent has started: waiting for them never ends.
    """
    if os.getpid() not in _processes:
        _processes.add(os.getpid())
        torch.set_num_threads(1)


def _load_anew(
    cls: type[UsableModel], names: Sequence[str], checksums: Sequence[str], how: Mapping[str, Any]
) -> UsableModel:
    """A model that was pickled.

    Raises:
        CheckpointError: if a folder holds no model, or other weights than when it was pickled.
    """
    use_threads_of_this_process()
    loaded = cls.of(load_ensemble(names, **how), tuple(names), how["average"])
    for name, before, now in zip(names, checksums, loaded.checksums, strict=True):
        if before != now:
            raise CheckpointError(
                f"{name}: holds other weights than when the model was pickled: load it anew."
            )
    return loaded


def make_chain(
    decode: StrategyLike,
    filters: FilterLike,
    short: Mapping[str, object],
    default: str,
    *,
    allow_unknown: bool,
) -> Chain:
    """The chain that keyword arguments name; see ``textgen.decoding.chain.resolve``."""
    plugins = [filters] if isinstance(filters, str) or callable(filters) else list(filters)
    words = [each for each in plugins if isinstance(each, str)]
    values = tuple((name, each) for name, each in short.items() if isinstance(each, int | float))
    if len(words) == len(plugins) and len(values) == len(short) and not callable(decode):
        return _chain_of_words(Decoding(decode, tuple(words), values, allow_unknown), default)
    return resolve(
        decode, plugins, _registries(), short, default=default, allow_unknown=allow_unknown
    )


@functools.lru_cache(256)
def _chain_of_words(words: Decoding, default: str) -> Chain:
    """Cached, since building plugins takes as long as decoding a short text."""
    return resolve(
        words.decode,
        words.filters,
        _registries(),
        dict(words.short),
        default=default,
        allow_unknown=words.allow_unknown,
    )


@functools.cache
def _registries() -> Registries:
    """Where names are looked up; what is installed is read once."""
    return default_registries()


def shown(results: Iterable[T], unit: str, inputs: Iterable[Any]) -> Iterator[T]:
    """Results as they come, counted for people.

    Args:
        results: one for each of the inputs.
        unit: what the inputs are, in the plural.
        inputs: asked for their number, where they know it.
    """
    total = 1 if isinstance(inputs, str) else len(inputs) if isinstance(inputs, Sized) else None
    with counting(unit) as show:
        for number, result in enumerate(results, start=1):
            show(number, total or number)
            yield result


def streamed_text(run: Callable[[Callable[[str], None]], T]) -> Generator[str, None, T]:
    """The pieces that a function passes to its callback; see ``workers.streaming``."""
    threads = torch.get_num_threads()

    def told(tell: Callable[[str], None]) -> T:
        torch.set_num_threads(threads)  # each thread has a number of its own
        return run(lambda text: tell(text) if text else None)

    return streamed(told)


def require_one_result(chain: Chain, remedy: str) -> None:
    """See that a strategy's own options do not name several results.

    Raises:
        UsageError: if they do.
    """
    if (number := chain.results()) > 1:
        raise UsageError(
            f"{chain.name} gives {number} results by its own options: "
            f"{remedy.format(number=number)}."
        )
