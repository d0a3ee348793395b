"""The examples of plugins/README.md, dropped into a folder and used by name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from fakes import MARKS, random_model
from textgen.config import describe
from textgen.decoding import decode, make_session, rescore
from textgen.decoding.chain import Registries, resolve
from textgen.errors import ConfigError
from textgen.protocols import Batch, Hypotheses
from textgen.registry import Registry

README = Path(__file__).parents[2] / "plugins" / "README.md"
LENGTH = 40


@pytest.fixture
def registries(tmp_path: Path) -> Registries:
    found = re.findall(r"```python (\S+)\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert [name for name, _ in found] == ["no_echo.py", "soft_echo.py", "second_best.py"]
    for name, code in found:
        (tmp_path / name).write_text(code, encoding="utf-8")
    return Registries(
        Registry("strategy", "textgen.strategies", [tmp_path]),
        Registry("filter", "textgen.filters", [tmp_path]),
    )


def run(registries: Registries, spec: str, filters: tuple[str, ...] = ()) -> Hypotheses:
    model = random_model(vocabulary=8, spread=2.0)
    model.logits[:, :, MARKS.eos] = -20.0
    session = make_session(model, Batch(3), [[1], [1, 4], [1]], marks=MARKS, limits=LENGTH)
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


def test_the_strategy_of_thirty_lines(registries: Registries) -> None:
    never, greedy = run(registries, "second-best:q=0"), run(registries, "greedy")
    assert torch.equal(never.tokens, greedy.tokens)
    slips = run(registries, "second-best:q=0.3,tries=3")
    assert slips.tokens.shape[:2] == (3, 1)
    assert not torch.equal(slips.tokens, greedy.tokens)
    strategy = registries.strategies.build("second-best:q=0.3,tries=3")
    session = make_session(
        random_model(vocabulary=8), Batch(5), [[1]] * 5, marks=MARKS, limits=LENGTH
    )
    again = decode(strategy, session)
    torch.testing.assert_close(rescore(session, again), again.token_log_probs)


def test_the_examples_are_as_short_as_promised() -> None:
    found = re.findall(r"```python (\S+)\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    lines = {name: [line for line in code.splitlines() if line.strip()] for name, code in found}
    assert len(lines["no_echo.py"]) <= 10
    assert len(lines["second_best.py"]) <= 30
