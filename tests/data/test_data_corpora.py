import dataclasses
import json
from pathlib import Path

import datasets
import pytest

from textgen.data import corpora
from textgen.data.corpora import HubOrigin, card, cards, open_dataset
from textgen.data.hub import HubTable, HubText, open_hub
from textgen.errors import ConfigError, DataError, UsageError


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set as `datasets` reads it from disk: two columns, three splits."""
    path = tmp_path_factory.mktemp("hub")
    for split, size in (("train", 5), ("validation", 2), ("test", 1)):
        rows = [{"text": f"{split} {number}", "label": str(number)} for number in range(size)]
        content = "".join(json.dumps(row) + "\n" for row in rows)
        (path / f"{split}.jsonl").write_text(content)
    return path


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    datasets.disable_progress_bars()


@pytest.mark.parametrize("streaming", [False, True])
def test_a_data_set_is_read_by_split_and_column(folder: Path, streaming: bool) -> None:
    source = open_hub(str(folder), split="validation", streaming=streaming)
    assert list(source.documents()) == list(source.documents()) == ["validation 0", "validation 1"]
    other = open_hub(str(folder), split="train", column="label", streaming=streaming)
    assert list(other.documents()) == ["0", "1", "2", "3", "4"]
    assert other.fingerprint() != source.fingerprint()
    splits = open_dataset(str(folder), streaming=streaming)
    assert [len(list(part.documents())) for part in splits if part] == [5, 2, 1]


def test_rows_may_be_lines_of_one_document() -> None:
    dataset = datasets.Dataset.from_dict({"text": ["a", "", "b\n"]})
    lines = HubText(HubTable(dataset, "x"), rows="lines")
    assert list(lines.documents()) == ["a\n\nb\n"]
    assert list(HubText(HubTable(dataset, "x")).documents()) == ["a", "b\n"]


def test_what_a_data_set_lacks_is_said(folder: Path) -> None:
    with pytest.raises(DataError, match=r"no split 'valid'. Did you mean 'validation'\?"):
        open_hub(str(folder), split="valid")
    with pytest.raises(DataError, match=r"no column 'txt'. Did you mean 'text'\?"):
        open_hub(str(folder), column="txt")
    with pytest.raises(DataError, match="cannot be loaded"):
        open_hub(str(folder), "no-such-config")
    with pytest.raises(DataError, match=r"cannot be loaded.*Check its name and the network"):
        open_hub(str(folder / "missing"))
    numbers = datasets.Dataset.from_dict({"text": [1]})
    with pytest.raises(DataError, match="holds int, not text"):
        list(HubText(HubTable(numbers, "x")).documents())


def test_a_stream_that_breaks_off_is_a_data_error() -> None:
    def rows() -> object:
        yield {"text": "first"}
        raise ConnectionError("gone")

    source = HubTable(datasets.IterableDataset.from_generator(rows), "x")
    with pytest.raises(DataError, match="x: cannot be read: gone"):
        list(source.rows())


def test_every_card_can_be_read_and_says_what_it_must() -> None:
    found = cards()
    assert {"python-reference", "python-library", "tiny-shakespeare", "ptb", "wikitext-2"} <= {
        each.name for each in found
    }
    for each in found:
        assert card(each.name) == each
        assert all((each.title, each.source, each.licence, each.size, each.splits, each.language))
        assert (each.builtin is None) != (each.hub is None)
        if each.hub and each.kind == "parallel":
            assert each.hub.source
            assert each.hub.target
        assert each.name in (corpora._folder() / "README.md").read_text()


def test_an_unknown_corpus_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"no corpus 'pyton-libary'. .* 'python-library'"):
        card("pyton-libary")
    with pytest.raises(UsageError, match=r"no corpus '\.\./x'"):
        card("../x")


def test_a_wrong_card_names_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpora, "_folder", lambda: tmp_path)
    (tmp_path / "mine.toml").write_text('title = "x"\nkind = "txt"\n')
    with pytest.raises(ConfigError, match=r"mine\.toml"):
        card("mine")


def test_the_wheel_brings_the_cards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "textgen"
    monkeypatch.setattr(corpora, "__file__", str(package / "data" / "corpora.py"))
    assert corpora._folder() == tmp_path / "corpora"
    (package / "_bundled" / "corpora").mkdir(parents=True)
    assert corpora._folder() == package / "_bundled" / "corpora"


def test_a_card_with_a_hub_opens_its_splits(folder: Path) -> None:
    origin = HubOrigin(str(folder), valid="validation", test="", rows="lines", column="text")
    splits = dataclasses.replace(card("wikitext-2"), hub=origin).open()
    assert list(splits.train.documents()) == ["".join(f"train {n}\n" for n in range(5))]
    assert splits.valid is not None
    assert list(splits.valid.documents()) == ["validation 0\nvalidation 1\n"]
    assert splits.test is None


def test_the_language_reference_is_cut_in_order() -> None:
    from pydoc_data.topics import topics

    splits = card("python-reference").open()
    parts = ["".join(part.documents()) for part in splits if part]
    whole = "".join(topics[name] for name in sorted(topics))
    assert "".join(parts) == whole
    assert len(parts[0]) == int(len(whole) * 0.9)
    assert len(list(splits.train.documents())) > 60


def test_the_library_is_divided_by_whole_files() -> None:
    splits = card("python-library").open()
    assert splits.valid is not None
    assert splits.test is not None
    names = [set(part.names) for part in splits]
    assert not names[0] & names[1]
    assert not (names[0] | names[1]) & names[2]
    assert "argparse.py" in names[0] | names[1] | names[2]
    assert not any("/test/" in f"/{name}" for part in names for name in part)
    assert 0.01 < len(names[1]) / len(names[0]) < 0.12
    assert "import" in next(splits.valid.documents()) + next(splits.test.documents())
    for part in splits:
        assert all(text.strip() for text in list(part.documents())[:20])


def test_pairs_are_no_text() -> None:
    with pytest.raises(DataError, match="pairs of sentences"):
        card("multi30k").open()
