"""Whatever fails or is killed while a model is saved: the folder holds the old or the new one."""

import resource
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from faults import CLEANING, Killed, injected
from small_models import save_translator
from textgen.checkpoint import CONFIG, LEXICON, OWN, TRAINING, WEIGHTS, read_config, recover_model
from textgen.config import structure
from textgen.data.documents import Texts
from textgen.errors import CheckpointError, DataError, TextgenError, TrainingError
from textgen.loading import load_model
from textgen.recipes.recipe import LanguageModelRecipe
from textgen.staging import MOVING, STAGED
from textgen.tasks.language_model import train_language_model

WORDS = ["the", "cat", "sat", "on", "a", "mat", "and", "the", "dog", "ran", "off", "with", "it"]
TEXT = "".join(WORDS[i * i % 13] + " " for i in range(60))


def language_model(out: Path, *, hidden: int = 4, steps: int = 2, **options: Any) -> None:
    training = {
        "steps": steps,
        "batch": 2,
        "bptt_length": 5,
        "validate_every": options.pop("validate_every", 1),
        "ema_decay": options.pop("average", 0.0),
        "average_checkpoints": options.pop("average_last", 0),
        "learning_rate": options.pop("learning_rate", 0.01),
        "precision": "float32",
        "device": "cpu",
    }
    recipe = structure(
        LanguageModelRecipe,
        {"model": {"hidden": hidden, "layers": 1}, "training": training},
    )
    options.setdefault("text", TEXT)
    text = options.pop("text")
    list(train_language_model(recipe, Texts([text]), None, out, **options))


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def own(files: dict[str, bytes]) -> dict[str, bytes]:
    return {name: data for name, data in files.items() if name in OWN}


NOTES = {"notes.txt": b"a user's", "runs/events": b"of another tool"}
STALE = {LEXICON: b"old", "source_tokenizer.json": b"old", "source_tokenizer.model": b"old"}
"""What stands in the folder beside an old model: files of the user's, and files that go with it."""


@dataclass(frozen=True)
class Case:
    """A training into a folder that may hold something."""

    name: str
    prepare: Callable[[Path], None]
    run: Callable[[Path], None]


def old_model(folder: Path) -> None:
    language_model(folder, hidden=3)
    for name, data in STALE.items():
        (folder / name).write_bytes(data)
    add_notes(folder)


def add_notes(folder: Path) -> None:
    (folder / "runs").mkdir()
    for name, data in NOTES.items():
        (folder / name).write_bytes(data)


def nothing(folder: Path) -> None:
    pass


def old_translator(folder: Path) -> None:
    save_translator(folder, kind="bytes")
    add_notes(folder)


CASES = [
    Case("fresh", nothing, language_model),
    Case("overwrite", old_model, lambda out: language_model(out, overwrite=True)),
    Case("of another kind", old_translator, lambda out: language_model(out, overwrite=True)),
    Case("resume", old_model, lambda out: language_model(out, hidden=3, steps=3, resume=True)),
]


@pytest.fixture(params=CASES, ids=lambda case: case.name)
def case(request: pytest.FixtureRequest) -> Case:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def places(case: Case, tmp_path: Path) -> tuple[Path, dict[str, bytes], dict[str, bytes]]:
    """The folder before, its files, and those of the new model when nothing goes wrong."""
    case.prepare(tmp_path / "before")
    new = tmp_path / "new"
    if (tmp_path / "before").exists():
        shutil.copytree(tmp_path / "before", new)
    case.run(new)
    before = contents(tmp_path / "before") if (tmp_path / "before").exists() else {}
    return tmp_path / "before", before, contents(new)


def attempts(case: Case, before: Path, *, kill: bool, every: int) -> Iterator[tuple[Path, str]]:
    """The folder after each fault, and where that was."""
    at = 0
    while True:
        out = before.with_name("out")
        shutil.rmtree(out, ignore_errors=True)
        if before.exists():
            shutil.copytree(before, out)
        stop: BaseException | None = None
        with injected(at, kill=kill) as faults:
            try:
                case.run(out)
            except (Killed, TextgenError) as error:  # anything else is a fault of its own
                stop = error
        if not faults.hit:
            return
        assert isinstance(stop, Killed) == kill
        yield out, f"{faults.hit} {at}"
        at += every


def require_one_of(out: Path, before: dict[str, bytes], new: dict[str, bytes]) -> None:
    """The folder holds the old model, or the new one as it was saved at some step."""
    recover_model(out)
    if before or (out / CONFIG).exists():
        load_model(str(out))  # all fits together
    found = contents(out) if out.exists() else {}
    assert {name: found[name] for name in NOTES if name in before} == {
        name: data for name, data in NOTES.items() if name in before
    }
    if found.get(CONFIG) == before.get(CONFIG):
        assert own(found) == own(before)
        return
    assert found[CONFIG] == new[CONFIG]
    assert {name for name in own(found) if found[name] != new.get(name)} <= {WEIGHTS, TRAINING}
    assert own(found).keys() >= own(new).keys()


@pytest.mark.parametrize("every", [3, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kill", [False, True], ids=["fail", "kill"])
def test_the_folder_holds_the_old_model_or_the_new_one(
    case: Case,
    places: tuple[Path, dict[str, bytes], dict[str, bytes]],
    kill: bool,
    every: int,
) -> None:
    before, old, new = places
    count = 0
    for out, where in attempts(case, before, kill=kill, every=every):
        count += 1
        if not kill and where.partition(" ")[0] not in CLEANING:
            litter = [name for name in contents(out) if ".part" in name] if out.exists() else []
            assert not litter, where
            assert not (out / STAGED).exists(), where
        require_one_of(out, old, new)
        if kill and count % 5 == 0:  # whatever is left, the next training goes through
            language_model(out, overwrite=True)
            files = contents(out).keys() - NOTES.keys()
            assert files == {CONFIG, WEIGHTS, TRAINING, "tokenizer.json"}, where
    assert count >= 20 // every


def test_a_model_that_is_replaced_loses_nothing_before(tmp_path: Path) -> None:
    """A text or a loss that fails before the first save; a call without an iteration."""
    out = tmp_path / "out"
    old_model(out)
    before = contents(out)
    with pytest.raises(DataError):
        language_model(out, overwrite=True, text="a")
    with pytest.raises(TrainingError, match="no longer finite"):
        language_model(out, overwrite=True, learning_rate=3e38, steps=20, validate_every=20)
    assert contents(out) == before
    recipe = structure(LanguageModelRecipe, {"training": {"steps": 1, "device": "cpu"}})
    train_language_model(recipe, Texts([TEXT]), None, out, overwrite=True)
    events = train_language_model(recipe, Texts([TEXT]), None, out, overwrite=True)
    next(events)
    assert contents(out).items() >= before.items()
    events.close()  # type: ignore[attr-defined]
    assert contents(out) == before


def test_a_resume_that_fails_changes_nothing(tmp_path: Path) -> None:
    out = tmp_path / "out"
    language_model(out, average=0.9)
    before = contents(out)
    with pytest.raises(CheckpointError, match="average"):
        language_model(out, average_last=3, steps=4, resume=True)
    assert contents(out) == before
    language_model(out, average=0.9, steps=4, resume=True)


def recipe_of(**training: Any) -> LanguageModelRecipe:
    return structure(LanguageModelRecipe, {"training": {"device": "cpu", **training}})


@pytest.mark.parametrize("resume", [False, True])
def test_a_second_training_in_a_folder_is_refused(tmp_path: Path, resume: bool) -> None:
    """It would remove what the first one has staged, and their files would be mixed."""
    out = tmp_path / "out"
    language_model(out)
    recipe = recipe_of(steps=8, batch=2, bptt_length=5, log_every=1)
    text = Texts([TEXT])
    first = train_language_model(recipe, text, None, out, overwrite=True)
    next(first)
    before = contents(out)
    with pytest.raises(CheckpointError, match=r"another training writes here. Wait"):
        language_model(out, overwrite=not resume, resume=resume)
    assert contents(out) == before
    assert len(list(first)) > 1
    assert read_config(out).config["model"]["hidden"] == recipe.model.hidden
    language_model(out, overwrite=True)
    load_model(str(out))


def test_a_model_is_read_while_a_training_runs(tmp_path: Path) -> None:
    """Also where the training before it was killed while it put its files in place."""
    out = tmp_path / "out"
    language_model(out)
    (out / MOVING).mkdir()
    (out / WEIGHTS).replace(out / MOVING / WEIGHTS)
    load_model(str(out))
    training = train_language_model(recipe_of(steps=8), Texts([TEXT]), None, out, overwrite=True)
    next(training)
    load_model(str(out))
    training.close()  # type: ignore[attr-defined]


def test_weights_are_not_put_in_place_without_their_state(tmp_path: Path) -> None:
    """A disk that is full, or a limit of the size of files, reached by the larger state alone."""
    out = tmp_path / "out"
    language_model(out, hidden=3)
    before = contents(out)
    sizes = {name: len(data) for name, data in before.items()}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    limit = 3 * sizes[WEIGHTS] // 2
    assert sizes[WEIGHTS] < limit < sizes[TRAINING]
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limits[1]))
    try:
        with pytest.raises(CheckpointError, match="too large"):
            language_model(out, hidden=3, overwrite=True, learning_rate=0.02)
        with pytest.raises(CheckpointError, match="too large"):
            language_model(tmp_path / "fresh", hidden=3)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert contents(out) == before
    assert not (tmp_path / "fresh").exists()


def test_nothing_was_saved_is_told(tmp_path: Path) -> None:
    (tmp_path / STAGED).mkdir()
    with pytest.raises(CheckpointError, match=r"no training to resume.* before its first save"):
        language_model(tmp_path, resume=True)


def test_a_failed_training_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(TrainingError):
        language_model(tmp_path / "out", learning_rate=3e38, steps=20, validate_every=20)
    assert not (tmp_path / "out").exists()


def test_files_of_a_model_have_names_that_are_known(tmp_path: Path) -> None:
    for kind in ("unigram", "words"):
        save_translator(tmp_path, kind=kind)
    assert contents(tmp_path).keys() <= set(OWN)
    assert {LEXICON, TRAINING} <= set(OWN)
