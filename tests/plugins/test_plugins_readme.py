"""The examples of plugins/README.md, dropped into a folder and used by name."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from fakes import SPECIAL, random_model
from textgen.config import describe
from textgen.decoding import decode, make_session, rescore
from textgen.decoding.chain import Registries, resolve
from textgen.errors import ConfigError
from textgen.protocols import Batch, Beam, Filter, Hypotheses, Session
from textgen.registry import Registry
from textgen_decoders.beam import BeamSearch

README = Path(__file__).parents[2] / "plugins" / "README.md"
FILES = ["no_echo.py", "soft_echo.py", "fading_echo.py", "second_best.py", "test_my_plugins.py"]
LENGTH = 40


@pytest.fixture
def registries(tmp_path: Path) -> Registries:
    found = re.findall(r"```python (\S+)\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert [name for name, _ in found] == FILES
    for name, code in found:
        (tmp_path / name).write_text(code, encoding="utf-8")
    return Registries(
        Registry("strategy", "textgen.strategies", [tmp_path]),
        Registry("filter", "textgen.filters", [tmp_path]),
    )


def run(registries: Registries, spec: str, filters: tuple[str, ...] = ()) -> Hypotheses:
    model = random_model(vocabulary=8, spread=2.0)
    model.logits[:, :, SPECIAL.eos] = -20.0
    session = make_session(model, Batch(3), [[1], [1, 4], [1]], special=SPECIAL, limits=LENGTH)
    chain = resolve(spec, filters, registries)
    found = chain.decode(session)
    torch.testing.assert_close(rescore(session, found), found.token_log_probs)
    return found


def echoes(found: Hypotheses) -> int:
    return int((found.tokens[:, :, 1:] == found.tokens[:, :, :-1]).sum())


def test_the_filter_of_ten_lines(registries: Registries) -> None:
    assert echoes(run(registries, "sample")) > 0
    assert echoes(run(registries, "no-echo")) == 0


def test_the_filter_with_options(registries: Registries) -> None:
    few, many = run(registries, "soft-echo:50"), run(registries, "soft-echo:cost=0")
    assert echoes(few) == 0
    assert torch.equal(many.tokens, run(registries, "sample").tokens)
    with pytest.raises(ConfigError, match=r"soft-echo.*greater than or equal to 0"):
        registries.filters.build("soft-echo:cost=-1")
    (option,) = describe(registries.filters.load("soft-echo"))
    assert option.help == "nats that a repetition costs"


def test_the_filter_that_keeps_something(registries: Registries) -> None:
    assert echoes(run(registries, "fading-echo:cost=60,decay=0")) == 0
    plain = run(registries, "fading-echo:cost=0")
    assert torch.equal(plain.tokens, run(registries, "sample").tokens)
    look = Formula(registries.filters.build("fading-echo:cost=1.5,decay=0.5"))
    model = random_model(vocabulary=8, spread=2.0)
    session = make_session(
        model, Batch(3), [[1], [1, 4], [1]], special=SPECIAL, limits=[9, 30, 20], filters=[look]
    )
    decode(BeamSearch(width=4), session)
    assert look.steps > 8


class Formula:
    """Compares the filter with its formula, written out for each row of a search."""

    def __init__(self, one: Any) -> None:
        self.one, self.steps = one, 0

    def start(self, session: Session) -> Filter:
        running = self.one.start(session)

        def check(log_probs: Tensor, beam: Beam) -> Tensor:
            result: Tensor = running(log_probs, beam)
            left = 0.5 ** torch.arange(beam.step - 1, -1, -1)  # (T,)
            said = torch.zeros_like(log_probs)
            said = said.scatter_add(2, beam.tokens, left.expand(beam.tokens.shape))
            live = ~beam.finished
            torch.testing.assert_close(result[live], (log_probs - 1.5 * said)[live])
            self.steps += 1
            return result

        return check

    def __call__(self, log_probs: Tensor, beam: Beam) -> Tensor:
        raise AssertionError(log_probs, beam)


def test_the_plugins_keep_the_laws_by_the_test_that_is_shown(
    registries: Registries, tmp_path: Path
) -> None:
    assert "fading-echo" in registries.filters.names()
    path = tmp_path / "test_my_plugins.py"
    spec = importlib.util.spec_from_file_location("test_my_plugins", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.test_filters()
    module.test_strategies()


def test_the_strategy_of_thirty_lines(registries: Registries) -> None:
    never, greedy = run(registries, "second-best:q=0"), run(registries, "greedy")
    assert torch.equal(never.tokens, greedy.tokens)
    slips = run(registries, "second-best:q=0.3,tries=3")
    assert slips.tokens.shape[:2] == (3, 1)
    assert not torch.equal(slips.tokens, greedy.tokens)
    strategy = registries.strategies.build("second-best:q=0.3,tries=3")
    session = make_session(
        random_model(vocabulary=8), Batch(5), [[1]] * 5, special=SPECIAL, limits=LENGTH
    )
    again = decode(strategy, session)
    torch.testing.assert_close(rescore(session, again), again.token_log_probs)


def test_the_examples_are_as_short_as_promised() -> None:
    found = re.findall(r"```python (\S+)\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    lines = {name: [line for line in code.splitlines() if line.strip()] for name, code in found}
    assert len(lines["no_echo.py"]) <= 10
    assert len(lines["second_best.py"]) <= 30
