"""Several threads that translate say what one says, and end when nobody listens any more."""

import itertools
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

import pytest
import torch
from torch import Tensor

from small_models import TEXT, save_translator
from textgen.decoding.chain import Chain, default_registries, resolve
from textgen.errors import UsageError
from textgen.loading import LoadedModel, load_model
from textgen.protocols import Beam, Hypotheses, Session, Strategy
from textgen.translation import (
    SourceLine,
    Translation,
    TranslationOptions,
    translate,
    translate_windows,
)
from textgen.translation.pools import batch_work
from textgen.workers import WorkerPool

WORDS = TEXT.split()
LINES = ["", *(" ".join(WORDS[start : start + 1 + start % 7]) for start in range(20)), " ", "x"]
MANY = LINES * 3


def chain(spec: str = "beam:width=3", *filters: str) -> Chain:
    return resolve(spec, filters, default_registries())


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return load_model(str(save_translator(tmp_path_factory.mktemp("words"))), "cpu")


def said(found: Iterator[Translation]) -> list[tuple[int, str, bool, list[str]]]:
    return [
        (each.index, each.source, each.cut, [one.text for one in each.candidates]) for each in found
    ]


def working() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "worker"]


@pytest.mark.parametrize("workers", [2, 3])
@pytest.mark.parametrize("spec", ["beam:width=3", "sample", "mbr:n=4"])
def test_threads_say_what_one_says(loaded: LoadedModel, spec: str, workers: int) -> None:
    alone = TranslationOptions(candidates=2, attention=True, seed=4, max_source=5)
    together = replace(alone, workers=workers, batch_tokens=40, window=30)
    expected = list(translate(loaded, MANY, chain(spec), alone))
    found = list(translate(loaded, MANY, chain(spec), together))
    assert said(iter(found)) == said(iter(expected))
    for one, other in zip(found, expected, strict=True):
        assert one.source_tokens == other.source_tokens
        for mine, theirs in zip(one.candidates, other.candidates, strict=True):
            assert mine.token_log_probs == pytest.approx(theirs.token_log_probs, abs=1e-5)
            assert (mine.attention is None) == (theirs.attention is None)
    assert working() == []


def test_the_threads_of_the_caller_are_as_before(loaded: LoadedModel) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        list(translate(loaded, LINES, chain(), TranslationOptions(workers=2)))
        assert torch.get_num_threads() == 3
        found: list[int] = []
        fresh = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
        fresh.start()
        fresh.join()
        assert found == [3]
    finally:
        torch.set_num_threads(before)


def test_a_small_window_is_shared_out(loaded: LoadedModel) -> None:
    sizes: list[int] = []
    work = batch_work(loaded, chain(), TranslationOptions())

    def counting(batch: list) -> list[Translation]:  # type: ignore[type-arg]
        sizes.append(len(batch))
        return work(batch)

    windows = [[SourceLine("the mind to")] * 8]
    pool = WorkerPool([counting] * 4)
    assert len(list(translate_windows(loaded, windows, chain(), pool=pool))) == 8
    assert sizes == [2, 2, 2, 2]


def test_a_line_is_answered_before_the_next_is_there(loaded: LoadedModel) -> None:
    answered = threading.Event()

    def windows() -> Iterator[list[SourceLine]]:
        for line in LINES[1:4]:
            yield [SourceLine(line)]
            assert answered.wait(30)
            answered.clear()

    options = TranslationOptions(workers=2)
    for _ in translate_windows(loaded, windows(), chain(), options):
        answered.set()


def test_little_is_read_ahead(loaded: LoadedModel) -> None:
    asked = 0

    def endless() -> Iterator[str]:
        nonlocal asked
        for line in itertools.cycle(LINES[1:]):
            asked += 1
            yield line

    options = TranslationOptions(workers=2, window=16, batch_tokens=20)
    found = translate(loaded, endless(), chain("greedy"), options)
    for taken in range(1, 100):
        assert next(found).index == taken - 1
        assert asked <= taken + 16 * 20
    found.close()  # type: ignore[attr-defined]
    assert working() == []


def test_prefixes_that_run_out_are_told_in_their_place(loaded: LoadedModel) -> None:
    options = TranslationOptions(workers=2)
    found = translate(loaded, LINES, chain(), options, prefixes=[""] * 17)
    assert [next(found).index for _ in range(16)] == list(range(16))
    with pytest.raises(UsageError, match="There are 17 prefixes"):
        list(found)


class Never:
    """A strategy that searches without an end, as it seems."""

    def __call__(self, session: Session) -> Hypotheses:
        endless = replace(session, limit=torch.full_like(session.limit, 10**6))
        return chain("greedy", "minimum-length:1000000").decode(endless)


def test_a_search_ends_when_nobody_listens(loaded: LoadedModel) -> None:
    slow = Chain(Never(), (), ["never"])
    windows = [[SourceLine("mind"), SourceLine("be,", chain=slow), SourceLine("to", chain=slow)]]
    found = translate_windows(loaded, windows, chain("greedy"), TranslationOptions(workers=3))
    assert next(found).index == 0
    began = time.monotonic()
    found.close()  # type: ignore[attr-defined]
    assert working() == []
    assert time.monotonic() - began < 20


class Careless:
    """A strategy that breaks when two threads call it at once."""

    threads: ClassVar[bool] = False

    def __init__(self) -> None:
        self.inside = 0
        self.callers: set[str] = set()

    def __call__(self, session: Session) -> Hypotheses:
        self.callers.add(threading.current_thread().name)
        self.inside += 1
        time.sleep(0.005)
        if self.inside != 1:
            raise UsageError("two at once")
        self.inside -= 1
        return chain("greedy").decode(session)


class CarelessFilter:
    threads: ClassVar[bool] = False

    def __call__(self, log_probs: Tensor, beam: Beam) -> Tensor:
        del beam
        assert threading.current_thread() is threading.main_thread()
        return log_probs


def test_a_strategy_that_is_not_for_threads_runs_alone(loaded: LoadedModel) -> None:
    options = TranslationOptions(workers=3, batch_tokens=30)
    careless = Careless()
    command = Chain(careless, (), ["careless"])
    assert not command.threads
    expected = said(translate(loaded, MANY, chain("greedy")))
    assert said(translate(loaded, MANY, command, options)) == expected
    assert careless.callers == {"MainThread"}
    filtered = Chain(chain("greedy").strategy, (CarelessFilter(),), [])
    assert said(translate(loaded, MANY, filtered, options)) == expected


def test_lines_with_such_a_strategy_of_their_own_take_turns(loaded: LoadedModel) -> None:
    options = TranslationOptions(workers=3, batch_tokens=30)
    careless: Strategy = Careless()
    windows = [[SourceLine(line, chain=Chain(careless, (), [])) for line in MANY]]
    found = said(translate_windows(loaded, windows, chain(), options))
    assert found == said(translate(loaded, MANY, chain("greedy")))
