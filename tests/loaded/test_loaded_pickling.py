"""Loaded models travel to other processes as folders: pickle, datasets, forked processes, Ray."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

import textgen
from small_models import save_language_model, save_translator
from textgen.loaded.base import UsableModel

LINES = ["3 May 2021", "", "the 4th of June 2022", "1 January 1999"]
RIGHT = ["2021 05 03", "", "2022 06 04", "1999 01 01"]


@pytest.fixture(scope="module")
def mt() -> textgen.LoadedTranslator:
    return textgen.load("dates", device="cpu")


def again(model: UsableModel) -> Any:
    return pickle.loads(pickle.dumps(model))  # noqa: S301 - it is our own


def test_a_pickled_model_is_its_folder(mt: textgen.LoadedTranslator) -> None:
    data = pickle.dumps(mt)
    assert len(data) < 1000
    other = again(mt)
    assert type(other) is textgen.LoadedTranslator
    assert other.folders == mt.folders
    assert all(each.is_absolute() for each in mt.folders)
    assert other.translate(LINES) == mt.translate(LINES)
    assert copy.deepcopy(mt).translate(LINES) == mt.translate(LINES)


def test_device_precision_and_members_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in (1, 2):
        save_translator(tmp_path / str(seed), seed=seed)
    monkeypatch.chdir(tmp_path)
    both = textgen.load(
        "1", "2", kind=textgen.LoadedTranslator, precision="bfloat16", average="log-probabilities"
    )
    monkeypatch.chdir("/")
    other = again(both)
    assert (other.precision, other.average) == ("bfloat16", "log-probabilities")
    assert other.folders == (tmp_path / "1", tmp_path / "2")
    assert other.translate("to be") == both.translate("to be")


def test_other_weights_than_those_that_were_pickled_are_refused(tmp_path: Path) -> None:
    data = pickle.dumps(textgen.load(save_language_model(tmp_path / "one")))
    save_language_model(tmp_path / "one", sharpness=3.0)
    with pytest.raises(textgen.CheckpointError, match="holds other weights than when"):
        pickle.loads(data)  # noqa: S301
    (tmp_path / "one" / "config.json").unlink()
    with pytest.raises(textgen.CheckpointError, match="is no model"):
        pickle.loads(data)  # noqa: S301


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of fork, where threads run
def test_data_sets_are_translated_by_two_processes(
    mt: textgen.LoadedTranslator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path)
    data = datasets.Dataset.from_dict({"en": LINES * 3})
    translated = data.map(
        lambda batch: {"de": [str(each) for each in mt.translate(batch["en"])]},
        batched=True,
        num_proc=2,
    )
    assert list(translated["de"]) == RIGHT * 3


def test_data_sets_know_a_model_by_its_weights(tmp_path: Path) -> None:
    hasher = pytest.importorskip("datasets").fingerprint.Hasher
    first = textgen.load(save_language_model(tmp_path / "one"))
    same = textgen.load(tmp_path / "one")
    save_language_model(tmp_path / "one", sharpness=3.0)
    assert hasher.hash(first) == hasher.hash(same)
    assert hasher.hash(first) != hasher.hash(textgen.load(tmp_path / "one"))


FORK = """
    import multiprocessing
    import sys

    import torch

    import textgen

    torch.mm(torch.randn(900, 900), torch.randn(900, 900))
    model = textgen.load("shakespeare", device="cpu")


    def texts(number):
        return [str(each) for each in model.generate(["A", "B"] * 16, max_tokens=number)]


    def main():
        here = texts(3)
        with multiprocessing.get_context("fork").Pool(2) as pool:
            assert pool.map(texts, [3, 3]) == [here, here]
        sys.stdout.write("done")


    main()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_forked_process_does_not_wait_for_threads_that_it_lacks() -> None:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(FORK)],
        env={**os.environ, "OMP_NUM_THREADS": "2"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.returncode) == ("done", 0), done.stderr


@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_two_workers_of_ray(mt: textgen.LoadedTranslator) -> None:
    ray = pytest.importorskip("ray")
    pytest.importorskip("ray.data")

    class Translate:
        def __init__(self, model: textgen.LoadedTranslator) -> None:
            self.model = model

        def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
            found = self.model.translate(batch["en"])
            return {**batch, "de": [str(each) for each in found], "by": [os.getpid()] * len(found)}

    ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False)
    try:
        data = ray.data.from_items([{"en": line} for line in LINES * 50]).repartition(8)
        translated = data.map_batches(
            Translate,
            fn_constructor_args=(mt,),
            compute=ray.data.ActorPoolStrategy(size=2),
            batch_size=10,
        ).take_all()
    finally:
        ray.shutdown()
    right = dict(zip(LINES, RIGHT, strict=True))
    assert len(translated) == len(LINES) * 50
    assert all(each["de"] == right[each["en"]] for each in translated)
    assert len({each["by"] for each in translated}) == 2
