"""Ensembles: several folders as one model, if they fit together."""

from pathlib import Path

import pytest
import torch

from small_models import save_language_model, save_translator
from textgen.decoding.chain import default_registries, resolve
from textgen.errors import CheckpointError, UsageError
from textgen.evaluation.forced_alignment import force
from textgen.loading import load_ensemble, load_model
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
