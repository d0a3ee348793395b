"""Vectors as text and in files, what is said of wrong ones, and drawn lines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from checks import some
from textgen.data.corpora import open_pair_corpus
from textgen.data.drawn_text import FONTS, draw_line, to_columns, to_picture
from textgen.data.tokenizers import TokenizerConfig, load_tokenizer, save_tokenizer, train_tokenizer
from textgen.data.vectors import (
    VectorPairs,
    mean_and_scale,
    read_vectors,
    vectors_from_text,
    vectors_to_text,
)
from textgen.errors import ConfigError, DataError

RAGGED = [np.arange(6, dtype=np.float32).reshape(3, 2), np.ones((1, 2), np.float32)]


@given(
    arrays(
        np.float32,
        st.tuples(st.integers(1, 4), st.integers(1, 4)),
        elements=st.floats(-1e6, 1e6, width=32),
    )
)
def test_vectors_survive_their_text(vectors: NDArray[np.float32]) -> None:
    assert (vectors_from_text(vectors_to_text(vectors)) == vectors).all()


def test_one_vector_is_a_sequence_of_one() -> None:
    assert vectors_from_text(vectors_to_text(np.array([1, 2]))).tolist() == [[1, 2]]


@pytest.mark.parametrize(
    ("given_vectors", "message"),
    [
        (np.array([[1.0, np.nan]]), "number 1 of vector 0 is nan"),
        (np.array([[1.0], [np.inf]]), "number 0 of vector 1 is inf"),
        (np.zeros((0, 3)), "got \\(0, 3\\)"),
        (np.zeros((1, 2, 3)), "got \\(1, 2, 3\\)"),
        (np.array([1 + 2j]), "expected real numbers, .* got complex128"),
        (np.array([1e300]), "a number is too large for float32: 1e\\+300"),
        (np.array(["a"]), "expected real numbers, .* got <U1"),
    ],
)
def test_vectors_that_are_none(given_vectors: NDArray[np.float64], message: str) -> None:
    with pytest.raises(DataError, match=message):
        vectors_to_text(given_vectors, "x")


@pytest.mark.parametrize("text", ["The cat", "vectors:1×2:AAAA", "vectors:1×1:AADAfw=="])
def test_texts_that_are_no_vectors(text: str) -> None:
    with pytest.raises(DataError):
        vectors_from_text(text)


def write_npy(path: Path) -> Path:
    np.save(path / "v.npy", np.stack([RAGGED[0][:1], RAGGED[1]]))
    return path / "v.npy"


def write_rows(path: Path) -> Path:
    np.save(path / "v.npy", np.stack([RAGGED[0][0], RAGGED[1][0]]))
    return path / "v.npy"


def write_npz(path: Path) -> Path:
    np.savez(path / "v.npz", **{f"v{number + 9}": each for number, each in enumerate(RAGGED)})
    return path / "v.npz"


def write_safetensors(path: Path) -> Path:
    from safetensors.numpy import save_file

    save_file({str(number): each for number, each in enumerate(RAGGED)}, path / "v.safetensors")
    return path / "v.safetensors"


def write_parquet(path: Path) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"v": [each.tolist() for each in RAGGED]}), path / "v.parquet")
    return path / "v.parquet"


@pytest.mark.parametrize(
    "write", [write_npy, write_rows, write_npz, write_safetensors, write_parquet]
)
def test_files_of_vectors(write: Callable[[Path], Path], tmp_path: Path) -> None:
    path = write(tmp_path)
    found = [vectors_from_text(vectors_to_text(each)) for each in read_vectors(path)]
    ragged = write in {write_npz, write_safetensors, write_parquet}
    assert found[0].tolist() == (RAGGED[0] if ragged else RAGGED[0][:1]).tolist()
    assert found[1].tolist() == RAGGED[1].tolist()
    (tmp_path / "t.txt").write_text("a\nb\n", encoding="utf-8")
    pairs = list(VectorPairs(path, tmp_path / "t.txt").pairs())
    assert [pair.target for pair in pairs] == ["a", "b"]
    (tmp_path / "t.txt").write_text("a\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"has 2 examples, but .* has 1 lines"):
        VectorPairs(path, tmp_path / "t.txt")


def test_files_that_are_broken(tmp_path: Path) -> None:
    (tmp_path / "v.npy").write_bytes(b"nothing")
    with pytest.raises(DataError, match="cannot be read"):
        list(read_vectors(tmp_path / "v.npy"))
    with pytest.raises(DataError, match="there is no such file"):
        list(read_vectors(tmp_path / "w.npz"))
    with pytest.raises(DataError, match="is no file of vectors"):
        list(read_vectors(tmp_path / "w.txt"))
    np.save(tmp_path / "v.npy", np.zeros(3))
    with pytest.raises(DataError, match=r"expected \(N, D\) or \(N, S, D\)"):
        list(read_vectors(tmp_path / "v.npy"))


def test_the_tokenizer_standardises_and_is_saved(tmp_path: Path) -> None:
    texts = [vectors_to_text(each) for each in RAGGED]
    tokenizer = train_tokenizer(TokenizerConfig(kind="vectors"), texts)
    rows = np.concatenate([tokenizer.encode_array(text) for text in texts])
    assert rows.mean(0) == pytest.approx([0, 0], abs=1e-6)
    assert rows.std(0) == pytest.approx([1, 1], abs=1e-6)
    save_tokenizer(tokenizer, tmp_path)
    again = load_tokenizer(tmp_path)
    assert again.fingerprint() == tokenizer.fingerprint()
    with pytest.raises(DataError, match="have 1 numbers, but the model reads 2"):
        again.encode_array(vectors_to_text(np.ones((2, 1))))
    with pytest.raises(DataError, match="have 3 numbers, not 2"):
        mean_and_scale([*texts, vectors_to_text(np.ones(3))])


@pytest.mark.parametrize(("factor", "shift"), [(1e-8, 0.0), (1.0, 1e6), (1e6, 0.0)])
def test_vectors_of_any_size_are_standardised(factor: float, shift: float) -> None:
    random = np.random.default_rng(2)
    vectors = (random.normal(size=(400, 2)) + shift) * factor
    vectors[:, 1] = 7.0
    tokenizer = train_tokenizer(TokenizerConfig(kind="vectors"), [vectors_to_text(vectors)])
    rows = tokenizer.encode_array(vectors_to_text(vectors))
    assert float(rows[:, 0].std()) == pytest.approx(1, abs=0.01)
    assert not rows[:, 1].any()  # what never changes is 0


def test_drawn_lines_say_what_they_show() -> None:
    splits = open_pair_corpus("drawn-text:size=40,scripts=greek,words=1,noise=0")
    lines = [{pair.target for pair in part.pairs()} for part in some(splits) if part is not None]
    assert len(lines) == 3
    assert not lines[0] & (lines[1] | lines[2])
    assert splits.train is not None
    first = list(splits.train.pairs())
    assert first == list(splits.train.pairs())
    assert first != list(splits.train.pairs(1))
    greek = {character for line in lines[0] for character in line if not character.isdigit()}
    assert all("\u0370" <= character <= "\u03ff" for character in greek)
    assert len(greek) > 10


def test_a_picture_survives_its_columns() -> None:
    picture = draw_line("Ab 12", np.random.default_rng(3), height=16, noise=0.1)
    vectors = to_columns(picture, 3)
    back = to_picture(vectors_to_text(vectors), 16)
    assert vectors.shape[1] == 48
    assert (back[:, : picture.shape[1]] == picture).all()
    assert not back[:, picture.shape[1] :].any()
    assert picture.max() > 0.5  # there is ink
    assert len(FONTS) > 5


def test_scripts_are_known() -> None:
    with pytest.raises(ConfigError, match="no script 'latn'"):
        open_pair_corpus("drawn-text:scripts=latn")
