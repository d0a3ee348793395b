"""Folders as models: ensembles, if they fit together, and other precisions."""

import copy
import json
from pathlib import Path

import pytest
import torch

from small_models import save_language_model, save_translator
from textgen.components import CELLS
from textgen.decoding import make_session, padded, rescore
from textgen.decoding.chain import default_registries, resolve
from textgen.errors import CheckpointError, UsageError
from textgen.evaluation.forced_alignment import force
from textgen.inference import Request, generate
from textgen.loading import load_ensemble, load_model
from textgen.models.config import TranslatorConfig
from textgen.models.translator import Translator
from textgen.protocols import Batch, SpecialTokens
from textgen.translation import TranslationOptions, translate

LINES = ["To be, or not to be,", "The slings", "Whether 'tis nobler in the mind"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("models")
    return [str(save_translator(folder / str(seed), seed=seed)) for seed in (1, 2)]


def test_one_model_is_itself(folders: list[str]) -> None:
    assert type(load_ensemble(folders[:1], "cpu").model) is type(
        load_model(folders[0], "cpu").model
    )


def test_probabilities_are_averaged(folders: list[str]) -> None:
    source, target = [[5, 6, 7]], [[8, 5, 2]]
    single = [
        torch.from_numpy(force(load_model(each, "cpu"), source, target)[0].log_probs).double()
        for each in folders
    ]
    mean = torch.stack(single).exp().mean(0).log()
    both = force(load_ensemble(folders, "cpu"), source, target)[0]
    torch.testing.assert_close(torch.from_numpy(both.log_probs).double(), mean, atol=1e-4, rtol=0)
    logs = force(load_ensemble(folders, "cpu", "log-probabilities"), source, target)[0]
    assert (torch.from_numpy(logs.log_probs).double() >= torch.stack(single).mean(0) - 1e-5).all()


def test_an_ensemble_translates_with_attention(folders: list[str]) -> None:
    loaded = load_ensemble(folders, "cpu")
    assert loaded.name == " + ".join(folders)
    assert loaded.attends
    chain = resolve("beam:width=3", [], default_registries())
    for found in translate(loaded, LINES, chain, TranslationOptions(attention=True)):
        weights = found.candidates[0].attention
        assert weights is not None
        assert weights.sum(1) == pytest.approx(1, abs=1e-5)


def test_what_does_not_fit_is_refused(folders: list[str], tmp_path: Path) -> None:
    texts = ("other words here", "OTHER WORDS HERE")
    other = str(save_translator(tmp_path / "other", texts=texts))
    with pytest.raises(UsageError, match="those of the source differ between"):
        load_ensemble([folders[0], other], "cpu")
    with pytest.raises(UsageError, match="models of one kind"):
        load_ensemble([folders[0], str(save_language_model(tmp_path / "lm"))], "cpu")
    with pytest.raises(CheckpointError, match="There is no model"):
        load_ensemble([folders[0], "nowhere"], "cpu")
    with pytest.raises(UsageError, match="name one"):
        load_ensemble([], "cpu")


@pytest.mark.parametrize("cell", list(CELLS.builtin))
def test_bfloat16_decodes_with_nearly_the_same_probabilities(cell: str) -> None:
    config = TranslatorConfig(hidden=16, embedding=8, cell=cell)  # type: ignore[arg-type]
    torch.manual_seed(3)
    exact = Translator(config, 20, 20).eval()
    rough = copy.deepcopy(exact).bfloat16()
    source, lengths = padded([[5, 6, 7, 2], [8, 2]], 0)
    batch, prefixes = Batch(2, source, lengths), [[1], [1, 9]]
    special = SpecialTokens(0, 1, 2, 3)
    session = make_session(rough, batch, prefixes, special=special, limits=8, attention=True)
    found = resolve("beam:width=3", [], default_registries()).decode(session)
    assert found.token_log_probs.dtype == torch.float32
    again = make_session(exact, batch, prefixes, special=special, limits=8)
    torch.testing.assert_close(rescore(again, found), found.token_log_probs, atol=0.05, rtol=0.02)
    assert not torch.equal(rescore(again, found), found.token_log_probs)


def test_a_precision_goes_along_with_the_model(folders: list[str], tmp_path: Path) -> None:
    loaded = load_ensemble(folders, "cpu", precision="bfloat16")
    assert loaded.precision == "bfloat16"
    assert {each.dtype for each in loaded.model.parameters()} == {torch.bfloat16}
    rough = load_model(str(save_language_model(tmp_path)), "cpu", "bfloat16")
    exact = load_model(str(tmp_path), "cpu")
    requests = [Request("To be", max_tokens=40), Request("Whether", max_tokens=9)]
    chain = resolve("greedy", [], default_registries())
    texts = [generate(each, requests, chain) for each in (rough, exact)]
    for one, other in zip(*texts, strict=True):
        assert one.text[:5] == other.text[:5]
    with pytest.raises(UsageError, match=r"no precision 'half'\. Allowed: float32, bfloat16"):
        load_model(folders[0], "cpu", "half")


def test_a_model_of_a_task_that_is_not_here(tmp_path: Path) -> None:
    save_language_model(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    (tmp_path / "config.json").write_text(json.dumps({**config, "kind": "summariser"}))
    with pytest.raises(
        CheckpointError, match=r"'summariser' cannot be loaded here: There is no task"
    ):
        load_model(str(tmp_path))
