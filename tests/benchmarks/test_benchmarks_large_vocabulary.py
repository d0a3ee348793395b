"""The benchmark of large vocabularies: its targets, its sizes, its answer."""

import json

import pytest
import torch
from click.testing import CliRunner

from benchmarks import large_vocabulary as module
from textgen.models.config import LanguageModelConfig


def test_targets_follow_the_law() -> None:
    torch.manual_seed(0)
    counts = torch.bincount(module.zipf(1000, 200_000), minlength=1000)
    weights = 1 / (torch.arange(1000) + 2.7)
    expected = 200_000 * weights / weights.sum()
    assert torch.all((counts[:5] - expected[:5]).abs() < 5 * expected[:5].sqrt())


def test_parameters_of_the_output_alone() -> None:
    assert module.parameters(module.model_of("full", 4000, 16)) == 4000 * 17
    adaptive = module.parameters(module.model_of("adaptive", 4000, 16))
    assert adaptive == 2001 * 17 + 16 * 4 + 4 * 2000


def test_a_run_tells_all_figures_of_both(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_memory", lambda *_: 7)
    options = ["--sizes", "4000,64000", "--hidden", "4", "--targets", "5", "--rounds", "1"]
    told = CliRunner().invoke(module.main, [*options, "--json"], catch_exceptions=False)
    rows = json.loads(told.stdout)["rows"]
    assert [row["size"] for row in rows] == [4000, 64000]
    for row in rows:
        assert tuple(row["cutoffs"]) == LanguageModelConfig(output="adaptive").cutoffs_for(
            row["size"]
        )
        assert 0 < row["head_share"] <= 1
        for output in module.OUTPUTS:
            times = [row[output][what] for what in ("training", "one row", "64 rows")]
            assert all(value > 0 for value in times)
            assert row[output]["bytes"] == 7
    table = CliRunner().invoke(module.main, options, catch_exceptions=False).stdout
    assert "| 64,000 |" in table
