"""Model folders: what is written is read back, and damage of any kind is told."""

import errno
import itertools
import json
import os
import resource
import stat
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor, nn

from textgen import checkpoint, staging
from textgen.checkpoint import (
    CONFIG,
    LEXICON,
    TRAINING,
    WEIGHTS,
    commit_model,
    find_model,
    known_models,
    load_tensors,
    load_training_state,
    load_weights,
    read_config,
    save_config,
    save_tensors,
    save_training_state,
    save_weights,
    weights_of,
)
from textgen.data.tokenizers import ByteTokenizer, save_tokenizer
from textgen.errors import CheckpointError
from textgen.staging import staged

DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.int64, torch.uint8, torch.bool]


class Model(nn.Module):
    """Tied weights, a lasting and a passing buffer, a parameter that is a view."""

    def __init__(self, width: int = 3) -> None:
        super().__init__()
        self.first = nn.Linear(width, width)
        self.second = nn.Linear(width, width)
        self.second.weight = self.first.weight
        self.turned = nn.Parameter(torch.randn(width, 2).t())
        self.register_buffer("lasting", torch.randn(2))
        self.register_buffer("passing", torch.randn(2), persistent=False)


@given(
    st.dictionaries(
        st.text(min_size=1, max_size=8).filter(
            lambda name: name != "__metadata__" and name.isprintable()
        ),
        st.tuples(st.sampled_from(DTYPES), st.lists(st.integers(0, 3), max_size=3)),
        max_size=4,
    ),
    st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5) | st.none()),
)
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_tensors_and_facts_round_trip(
    tmp_path: Path, shapes: dict[str, Any], facts: dict[str, Any]
) -> None:
    tensors = {
        name: torch.arange(int(torch.tensor(shape).prod())).reshape(shape).to(dtype)
        for name, (dtype, shape) in shapes.items()
    }
    save_tensors(tmp_path / "x.safetensors", tensors, facts)
    read, told = load_tensors(tmp_path / "x.safetensors")
    assert told == facts
    assert read.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert read[name].dtype == tensor.dtype
        assert torch.equal(read[name], tensor)
    assert [path.name for path in tmp_path.iterdir()] == ["x.safetensors"]


def test_same_contents_make_the_same_bytes(tmp_path: Path) -> None:
    for number, order in enumerate(itertools.islice(itertools.permutations("gadfly"), 0, 720, 90)):
        tensors = {name: torch.arange(3.0) for name in order}
        save_tensors(tmp_path / str(number), tensors, dict.fromkeys(order, 1))
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1


def test_weights_round_trip(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, other = Model(), Model()
    save_weights(tmp_path, model, {"step": 7, "metrics": {"loss": 1.5}})
    passing = other.passing.clone()
    address = other.first.weight.data_ptr()
    assert load_weights(tmp_path, other) == {"step": 7, "metrics": {"loss": 1.5}}
    assert torch.equal(other.second.weight, model.first.weight)
    assert torch.equal(other.turned, model.turned)
    assert torch.equal(other.lasting, model.lasting)
    assert torch.equal(other.passing, passing)
    assert other.first.weight.data_ptr() == address == other.second.weight.data_ptr()
    assert set(weights_of(model)) == {
        "first.weight",
        "first.bias",
        "second.bias",
        "turned",
        "lasting",
    }


def test_other_tensors_may_stand_in(tmp_path: Path) -> None:
    model, other = Model(), Model()
    save_weights(tmp_path, model, {}, instead={"first.bias": torch.full((3,), 9.0)})
    load_weights(tmp_path, other)
    assert torch.equal(other.first.bias, torch.full((3,), 9.0))
    assert torch.equal(other.first.weight, model.first.weight)


def test_loaded_tensors_do_not_depend_on_the_file(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    save_tensors(path, {"a": torch.ones(5000)}, {})
    tensors, _ = load_tensors(path)
    save_tensors(path, {"a": torch.zeros(5000)}, {})
    path.unlink()
    assert torch.equal(tensors["a"], torch.ones(5000))


def test_weights_of_another_model_are_told(tmp_path: Path) -> None:
    save_weights(tmp_path, Model(4), {})
    before = weights_of(model := Model(3))
    kept = {name: tensor.clone() for name, tensor in before.items()}
    with pytest.raises(CheckpointError, match=r"model.safetensors: .*first.bias is 4, but 3"):
        load_weights(tmp_path, model)
    assert all(torch.equal(kept[name], tensor) for name, tensor in weights_of(model).items())
    save_weights(tmp_path, nn.Linear(2, 2), {})
    with pytest.raises(CheckpointError, match="bias is unknown to it"):
        load_weights(tmp_path, Model())
    save_weights(tmp_path, nn.Module(), {})
    with pytest.raises(CheckpointError, match=r"first\.bias is missing"):
        load_weights(tmp_path, Model())


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def flip_last(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


def other_fact(data: bytes) -> bytes:
    return data.replace(b'\\"step\\": 7', b'\\"step\\": 8')


def renamed(data: bytes) -> bytes:
    return data.replace(b"weight", b"weigth")


DAMAGE: list[Callable[[bytes], bytes]] = [
    cut,
    flip_last,
    other_fact,
    renamed,
    lambda data: data[:5],
    lambda _: b"",
    lambda data: data[:-1],
    lambda data: data + b"\0",
    lambda data: b"\0" * len(data),
    lambda data: b"\x80\x04" + data,
    lambda data: struct.pack("<Q", 1 << 60) + data[8:],
    lambda _: b"a text that is no model\n" * 10,
]


@pytest.mark.parametrize("name", [WEIGHTS, TRAINING])
@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_told_with_the_files_name(
    tmp_path: Path, name: str, damage: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / name
    save_tensors(path, {"weight": torch.randn(9)}, {"step": 7})
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    assert path.read_bytes() != whole
    with pytest.raises(CheckpointError, match=rf"{name}: (is|has) "):
        load_tensors(path)


@given(st.data())
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_flipped_byte_is_seen(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / WEIGHTS
    facts = {"step": 7}
    tensors = {"a": torch.arange(6.0), "b": torch.tensor([True, False])}
    save_tensors(path, tensors, facts)
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    try:
        read, told = load_tensors(path)
    except CheckpointError as error:
        assert WEIGHTS in str(error)  # noqa: PT017 both outcomes are right
    else:  # a change that means nothing, as of white space in the header
        assert told == facts
        assert all(torch.equal(read[name], tensor) for name, tensor in tensors.items())


def test_foreign_files_are_told(tmp_path: Path) -> None:
    path = tmp_path / WEIGHTS
    save_file({"a": torch.ones(2)}, path)
    with pytest.raises(CheckpointError, match="not one of textgen"):
        load_tensors(path)
    later = {"format": 99, "facts": {}, "checksum": ""}
    save_file({"a": torch.ones(2)}, path, {"textgen": json.dumps(later)})
    with pytest.raises(CheckpointError, match="has format 99, but this textgen reads 1"):
        load_tensors(path)
    save_file({"a": torch.ones(2)}, path, {"textgen": "[1]"})
    with pytest.raises(CheckpointError, match="its header cannot be read"):
        load_tensors(path)
    torch.save({"a": torch.ones(2)}, path)
    with pytest.raises(CheckpointError, match="damaged or no safetensors file"):
        load_tensors(path)
    with pytest.raises(CheckpointError, match=r"missing\.safetensors: there is no such file"):
        load_tensors(tmp_path / "missing.safetensors")
    with pytest.raises(CheckpointError, match=r"cannot be read|no safetensors file"):
        load_tensors(tmp_path)


def test_no_file_of_a_model_is_a_pickle(tmp_path: Path) -> None:
    save_config(tmp_path, "language-model", {"model": {"hidden": 3}})
    save_weights(tmp_path, Model(), {})
    save_training_state(tmp_path, {"random/cpu": torch.get_rng_state()}, {"step": 1})
    assert len(list(tmp_path.glob("*.safetensors"))) == 2
    for path in tmp_path.iterdir():
        data = path.read_bytes()
        if path.suffix == ".safetensors":
            (length,) = struct.unpack("<Q", data[:8])
            assert "__metadata__" in json.loads(data[8 : 8 + length])
        else:
            json.loads(data)


def test_files_have_the_permissions_that_the_umask_leaves(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        save_weights(tmp_path, Model(), {})
        save_config(tmp_path, "language-model", {})
        save_tokenizer(ByteTokenizer("none"), tmp_path)
    finally:
        os.umask(before)
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o640}


def test_training_state_round_trips(tmp_path: Path) -> None:
    tensors = {"random/cpu": torch.get_rng_state(), "carried/0000": torch.randn(2, 3).bfloat16()}
    save_training_state(tmp_path, tensors, {"counters": {"step": 3, "best": 0.1}})
    read, facts = load_training_state(tmp_path)
    assert facts == {"counters": {"step": 3, "best": 0.1}}
    assert all(torch.equal(read[name], tensor) for name, tensor in tensors.items())


def full_disk(tensors: dict[str, Tensor], path: Path, _: object) -> None:
    path.write_bytes(b"half of " + str(len(tensors)).encode())
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_full_disk_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_weights(tmp_path, Model(), {"step": 1})
    before = (tmp_path / WEIGHTS).read_bytes()
    monkeypatch.setattr(checkpoint, "save_file", full_disk)
    with pytest.raises(CheckpointError, match=r"model.*No space left.*before is untouched"):
        save_weights(tmp_path, Model(), {"step": 2})
    assert (tmp_path / WEIGHTS).read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == [WEIGHTS]


def test_an_error_of_the_system_while_writing_is_told(tmp_path: Path) -> None:
    """safetensors' own error, from a limit on the size of files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16, hard))
    try:
        with pytest.raises(CheckpointError, match="cannot be written"):
            save_weights(tmp_path, Model(), {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(tmp_path.iterdir())


def test_places_that_cannot_be_written_are_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(CheckpointError, match="file: cannot be made"):
        save_config(tmp_path / "file", "language-model", {})
    with pytest.raises(CheckpointError, match="cannot be written"):
        save_weights(tmp_path / "nowhere", Model(), {})


def test_rubbish_of_a_killed_save_is_replaced(tmp_path: Path) -> None:
    (tmp_path / f".{WEIGHTS}.part").write_bytes(b"half")
    save_weights(tmp_path, Model(), {"step": 1})
    assert [path.name for path in tmp_path.iterdir()] == [WEIGHTS]
    assert load_weights(tmp_path, Model()) == {"step": 1}


def test_config_round_trips(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "folder"
    config = {"model": {"hidden": 3, "embedding": None}, "name": "Слово"}
    save_config(folder, "language-model", config)
    read = read_config(folder, "language-model")
    assert (read.kind, read.config) == ("language-model", config)
    assert read.textgen
    assert "Слово" in (folder / CONFIG).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "config.json: is damaged"),
        ("[]", "is not the config.json of a textgen model"),
        ("{}", "is not the config.json of a textgen model"),
        ('{"format": true}', "is not the config.json of a textgen model"),
        (
            '{"format": 99, "textgen": "7.0"}',
            "has format 99, .* reads formats 1 to 3.* textgen 7.0",
        ),
        ('{"format": 1}', "kind or config are missing"),
        ('{"format": 1, "kind": "translator", "config": {}}', "a language-model is needed"),
    ],
)
def test_wrong_configs_are_told(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / CONFIG).write_text(text)
    with pytest.raises(CheckpointError, match=message):
        read_config(tmp_path, "language-model")


def test_config_that_is_no_text_or_missing(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"config\.json: there is no such file"):
        read_config(tmp_path)
    (tmp_path / CONFIG).write_bytes(b"\xff\xfe\0")
    with pytest.raises(CheckpointError, match=r"config\.json: is damaged"):
        read_config(tmp_path)
    (tmp_path / CONFIG).unlink()
    (tmp_path / CONFIG).mkdir()
    with pytest.raises(CheckpointError, match=r"config\.json: cannot be read"):
        read_config(tmp_path)


def test_models_are_found_by_folder_and_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(checkpoint, "_CHECKOUT", tmp_path / "checkout")
    monkeypatch.setattr(checkpoint, "_BUNDLED", tmp_path / "bundled")
    places = {
        "novel": tmp_path / "checkpoints" / "novel",
        "poems": tmp_path / "bundled" / "poems",
        "dates": tmp_path / "checkout" / "bundled" / "dates",
    }
    for folder in places.values():
        save_config(folder, "language-model", {})
    save_config(tmp_path / "bundled" / "novel", "language-model", {})
    for name, folder in places.items():
        assert find_model(name).resolve() == folder
        assert find_model(folder) == folder
    assert {path.name for path in known_models()} == {"novel", "poems", "dates"}
    with pytest.raises(CheckpointError, match=r"no model 'novle'\. Did you mean 'novel'\?"):
        find_model("novle")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match=r"empty: is no model: there is no config\.json"):
        find_model("empty")


@pytest.mark.parametrize("keep", [False, True], ids=["another model", "resumed"])
def test_a_reader_completes_what_was_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, keep: bool
) -> None:
    folder = tmp_path / "checkpoints" / "novel"
    save_config(folder, "language-model", {"of": "old"})
    for name in (LEXICON, "notes.txt", TRAINING):
        (folder / name).write_bytes(b"old")
    (folder / CONFIG).chmod(0o640)
    with staged(folder) as place:
        save_config(place, "language-model", {"of": "new"})
        (place / TRAINING).write_bytes(b"new")

        def killed(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(staging, "_finish", killed)
            with pytest.raises(KeyboardInterrupt):
                commit_model(folder, keep=keep)
    assert (folder / TRAINING).read_bytes() == b"old"
    monkeypatch.chdir(tmp_path)
    assert read_config(find_model("novel")).config == {"of": "new"}
    names = {path.name for path in folder.iterdir()}
    assert names == {CONFIG, TRAINING, "notes.txt"} | ({LEXICON} if keep else set())
    assert (folder / TRAINING).read_bytes() == b"new"
    assert stat.S_IMODE((folder / CONFIG).stat().st_mode) == 0o640
