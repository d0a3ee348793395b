"""``textgen lexicon``, and translating with what it made."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from small_models import TEXT, save_language_model, save_translator
from textgen.cli.failures import guarded

WORDS = TEXT.split()
LINES = [" ".join(WORDS[start : start + 1 + start % 7]) for start in range(20)]
FILES = ("--train", "train.en", "train.de")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model, its pairs, and others to judge by."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("textgen.translation.shortlist.COMMON", 2)
    save_translator(tmp_path / "model")
    text = "\n".join(LINES) + "\n"
    for name in ("train", "valid"):
        (tmp_path / f"{name}.en").write_text(text, encoding="utf-8")
        (tmp_path / f"{name}.de").write_text(text.upper(), encoding="utf-8")
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *words: str, text: str = "") -> tuple[int, str, str]:
    """The exit code, stdout and stderr."""
    before, sys.stdin = sys.stdin, io.TextIOWrapper(io.BytesIO(text.encode()))
    try:
        code = guarded(list(words))
    finally:
        sys.stdin = before
    shown = capsys.readouterr()
    return code, shown.out, shown.err


def lexicon(
    capsys: pytest.CaptureFixture[str], *words: str, model: str = "model"
) -> tuple[int, str, str]:
    return run(capsys, "lexicon", "--model", model, *words)


def translate(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    given = ("translate", "--model", "model", "--device", "cpu", "--decode", "greedy", *words)
    return run(capsys, *given, text="\n".join(LINES) + "\n")


def test_it_is_learnt_kept_and_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, said = lexicon(capsys, *FILES, "--valid", "valid.en", "valid.de")
    path = folder / "model" / "lexicon.safetensors"
    assert (code, path.is_file()) == (0, True)
    first, _, head, *rows = out.splitlines()
    assert first.startswith(f"{path.relative_to(folder)}: ")
    assert "entries from 20 pairs" in first
    assert head.split()[0] == "SHORTLIST"
    assert [row.split()[0] for row in rows] == ["5", "10", "20", "50"]
    assert [line.split("  ")[0] for line in said.splitlines()] == [
        f"round {number} of 5" for number in range(1, 6)
    ]


def test_the_same_in_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, said = lexicon(
        capsys, *FILES, "--valid", "valid.en", "valid.de", "--rounds", "2", "--json"
    )
    found = json.loads(out)
    assert code == 0
    assert len(said.splitlines()) == 2
    assert found["pairs"] == 20
    assert found["bytes"] == (folder / found["file"]).stat().st_size
    sizes = [each["size"] for each in found["coverage"]]
    shares = [each["covered"] for each in found["coverage"]]
    assert [each["best"] for each in found["coverage"]] == [5, 10, 20, 50]
    assert sizes == sorted(sizes)
    assert shares == sorted(shares)
    assert sizes[-1] <= found["vocabulary"]
    assert shares[-1] > 0.9
    assert json.loads(lexicon(capsys, *FILES, "--json")[1])["coverage"] == []


@pytest.mark.usefixtures("folder")
def test_translating_with_a_shortlist(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, said = translate(capsys, "--shortlist", "1")
    assert (code, out) == (1, "")
    assert "has no lexicon: `textgen lexicon --model model --train SOURCE TARGET` makes" in said
    assert lexicon(capsys, *FILES)[0] == 0
    code, short, said = translate(capsys, "--shortlist", "1")
    assert (code, said, len(short.splitlines())) == (0, "", len(LINES))
    assert short != translate(capsys)[1]


@pytest.mark.usefixtures("folder")
def test_scores_and_requests_with_a_shortlist(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lexicon(capsys, *FILES)
    plain = translate(capsys, "--shortlist", "2")[1]
    files = ("--source", "valid.en", "--reference", "valid.de", "--output", "out.txt")
    measured = ("evaluate", "translation", "--model", "model", "--device", "cpu", *files)
    assert run(capsys, *measured, "--decode", "greedy", "--shortlist", "2")[0] == 0
    assert Path("out.txt").read_text(encoding="utf-8") == plain
    requests = "".join(json.dumps({"source": line}) + "\n" for line in LINES)
    words = ("translate", "--model", "model", "--jsonl", "--decode", "greedy", "--shortlist", "2")
    answers = [json.loads(line) for line in run(capsys, *words, text=requests)[1].splitlines()]
    assert [answer["translation"] for answer in answers] == plain.splitlines()


@pytest.mark.usefixtures("folder")
def test_plugins_that_need_the_vocabulary_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    lexicon(capsys, *FILES)
    banned = "banned:words=['OR']"
    code, out, said = translate(capsys, "--shortlist", "2", "--filter", banned)
    assert (code, out) == (2, "")
    assert "does not go with a shortlist" in said
    request = json.dumps({"source": "to be", "filters": [banned]})
    words = ("translate", "--model", "model", "--jsonl", "--shortlist", "2")
    (answer,) = run(capsys, *words, text=f"{request}\n")[1].splitlines()
    assert "does not go with a shortlist" in json.loads(answer)["error"]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ((), 2, "Give the pairs to learn once"),
        (("--train", "train.en"), 2, ""),
        ((*FILES, "--rounds", "0"), 2, "0 is not in the range"),
        (("--train", "train.en", "nowhere.de"), 1, "nowhere.de"),
        ((*FILES, "--test", "valid.en", "valid.de"), 2, "No such option"),
    ],
)
def test_wrong_requests(
    words: tuple[str, ...], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = lexicon(capsys, *words)
    assert (found[0], found[1]) == (code, "")
    assert said in found[2]


def test_a_language_model_has_no_lexicon(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_language_model(folder / "lm")
    code, out, said = lexicon(capsys, *FILES, model="lm")
    assert (code, out) == (2, "")
    assert "a translator is needed" in said


@pytest.mark.parametrize("option", ["--train", "--valid"])
def test_exchanged_sides_are_refused(
    folder: Path, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    """A model with random weights cannot tell; the words of the other side are unknown to it."""
    del folder
    turned = {"--train": ["train.de", "train.en"], "--valid": ["valid.de", "valid.en"]}
    files = {"--train": ["train.en", "train.de"], "--valid": ["valid.en", "valid.de"]}
    files[option] = turned[option]
    words = [word for name, pair in files.items() for word in (name, *pair)]
    code, out, said = lexicon(capsys, *words)
    assert (code, out) == (2, "")
    assert f"{option}: these pairs suit model better the other way round" in said
