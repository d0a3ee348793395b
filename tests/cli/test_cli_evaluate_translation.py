"""``textgen evaluate translation`` and ``evaluate alignment`` as a person runs them."""

import json
from pathlib import Path

import pytest

from small_models import TEXT, save_language_model, save_translator
from textgen.cli.failures import guarded
from textgen.evaluation.alignment import GoldAlignment, score_alignments
from textgen.evaluation.alignment_files import read_alignments

WORDS = TEXT.split()
LINES = [" ".join(WORDS[start : start + 3 + start % 3]) for start in range(0, 20, 2)]
DATES = ("dates:target=iso-words",)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    save_translator(folder / "one")
    save_translator(folder / "two", seed=8)
    save_translator(folder / "back", texts=(TEXT.upper(), TEXT))
    save_translator(folder / "plain", attention="none")
    save_language_model(folder / "lm")
    letters = "0123456789 ,./abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    save_translator(folder / "dates", kind="characters", texts=(letters, "0123456789 "))
    (folder / "source").write_text("".join(f"{line}\n" for line in LINES), encoding="utf-8")
    (folder / "target").write_text("".join(f"{line.upper()}\n" for line in LINES), encoding="utf-8")
    (folder / "short").write_text("A\nB\n", encoding="utf-8")
    gold = [" ".join(f"{word}-{word}" for word in range(len(line.split()))) for line in LINES]
    (folder / "gold").write_text("".join(f"{line}\n" for line in gold), encoding="utf-8")
    return folder


@pytest.fixture(autouse=True)
def folder(models: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(models)
    return models


def evaluate(what: str, *arguments: str, model: str = "one") -> int:
    return guarded(["evaluate", what, "--device", "cpu", "--model", model, *arguments])


FILES = ("--source", "source", "--target", "target")


def test_translation_is_decoded_and_scored(capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--source", "source", "--reference", "target", "--output", "said")
    assert evaluate("translation", *options, "--json") == 0
    shown = capsys.readouterr()
    result = json.loads(shown.out)
    for name in ("bleu", "chrf", "ter"):
        assert {"score", "signature"} <= result[name].keys()
    assert result["decode"].startswith("beam:width=5")
    assert "sentences a second" in shown.err
    said = Path("said").read_text(encoding="utf-8").splitlines()
    assert len(said) == len(LINES)
    assert result["exact"] == sum(a == b.upper() for a, b in zip(said, LINES, strict=True)) / 10
    assert guarded(["evaluate", "bleu", "said", "--reference", "target", "--json"]) == 0
    alone = json.loads(capsys.readouterr().out)
    assert alone["chrf"] == result["chrf"]


def test_what_it_said_itself_is_exact(capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        evaluate("translation", "--source", "source", "--reference", "target", "--output", "x") == 0
    )
    capsys.readouterr()
    assert evaluate("translation", "--source", "source", "--reference", "target", "x") == 0
    assert "exact  100.00% of 10 lines" in capsys.readouterr().out


def test_a_corpus_has_its_own_translations(capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--corpus", *DATES, "--limit", "7", "--decode", "greedy", "--json")
    assert evaluate("translation", *options, model="dates") == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["lines"], result["decode"]) == (7, "greedy")


def test_an_ensemble_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    options = ("two", "--source", "source", "--reference", "target", "--json")
    assert evaluate("translation", *options) == 0
    assert json.loads(capsys.readouterr().out)["system"] == "one + two"


def test_links_are_written_where_nothing_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate("alignment", *FILES) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(LINES)
    assert evaluate("alignment", *FILES, "--output", "links") == 0
    assert capsys.readouterr().out.startswith("10 pairs, ")
    assert Path("links").read_text(encoding="utf-8").splitlines() == lines


def test_the_error_rate_is_that_of_the_files(capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate("alignment", *FILES, "--gold", "gold", "--output", "links", "--json") == 0
    result = json.loads(capsys.readouterr().out)
    found = [each.sure for each in read_alignments(Path("links"))]
    counts = score_alignments(found, read_alignments(Path("gold")))
    assert result["aer"] == counts.aer
    assert (result["precision"], result["recall"]) == (counts.precision, counts.recall)
    assert result["pairs"] == 10
    perfect = [GoldAlignment(each) for each in found]
    assert score_alignments(found, perfect).aer == 0
    assert evaluate("alignment", *FILES, "--gold", "links", "--unite", "attention") == 0
    assert "AER        0.0000" in capsys.readouterr().out


def test_two_directions_are_united(capsys: pytest.CaptureFixture[str]) -> None:
    def links(*arguments: str, model: str = "one") -> list[set[tuple[int, int]]]:
        assert evaluate("alignment", *arguments, model=model) == 0
        lines = capsys.readouterr().out.splitlines()
        return [
            {(int(a), int(b)) for a, b in (x.split("-") for x in each.split())} for each in lines
        ]

    forward = links(*FILES)
    backward = links("--source", "target", "--target", "source", model="back")
    turned = [{(b, a) for a, b in each} for each in backward]
    for method, unite in (("intersection", set.intersection), ("union", set.union)):
        both = links(*FILES, "--symmetrise-with", "back", "--method", method)
        assert both == [unite(a, b) for a, b in zip(forward, turned, strict=True)]
    grown = links(*FILES, "--symmetrise-with", "back")
    for one, a, b in zip(grown, forward, turned, strict=True):
        assert a & b <= one <= a | b


def test_a_corpus_knows_its_links(capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate("alignment", "--corpus", *DATES, "--limit", "5", "--json", model="dates") == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["pairs"], result["sure"]) == (5, 15)
    assert 0 <= result["aer"] <= 1
    numbers = ("--corpus", "numbers:source=digits", "--limit", "3")
    assert evaluate("alignment", *numbers, model="dates") == 0
    assert len(capsys.readouterr().out.splitlines()) == 3


@pytest.mark.parametrize("suffix", ["png", "svg", "html"])
@pytest.mark.parametrize("axes", ["words", "tokens"])
def test_attention_is_drawn(
    suffix: str, axes: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"picture.{suffix}"
    options = ("--plot", str(path), "--lines", "1,3-4", "--axes", axes, "--gold", "gold")
    assert evaluate("alignment", *FILES, *options) == 0, capsys.readouterr().err
    data = path.read_bytes()
    assert data.startswith({"png": b"\x89PNG", "svg": b"<?xml", "html": b"<!"}[suffix])


@pytest.mark.parametrize(
    ("what", "arguments", "code", "message"),
    [
        ("translation", ("--source", "source"), 2, "--source needs --reference"),
        ("translation", ("--reference", "target"), 2, "either --source FILE or --corpus"),
        ("translation", ("--corpus", "dates", "--reference", "target"), 2, "goes with --source"),
        ("translation", ("--source", "source", "--reference", "short"), 1, "but 2 references"),
        ("translation", ("--source", "none", "--reference", "short"), 1, "none: cannot be read"),
        ("alignment", ("--source", "source"), 2, "--source needs --target"),
        ("alignment", ("--source", "source", "--target", "short"), 1, "but short has 2"),
        ("alignment", (*FILES, "--gold", "target"), 1, "is no link"),
        ("alignment", ("--corpus", "dates", "--gold", "gold"), 2, "a corpus has its own"),
        ("alignment", (*FILES, "--plot", "x.gif"), 2, "not as x.gif"),
        ("alignment", (*FILES, "--plot", "x.png", "--lines", "11"), 2, "there is no pair 11"),
        ("alignment", (*FILES, "--plot", "x.png", "--lines", "3-1"), 2, "'3-1' is no number"),
        ("alignment", (*FILES, "--plot", "x.png", "--lines", "0"), 2, "'0' is no number"),
        ("alignment", (*FILES, "--model", "lm"), 2, "models of one kind"),
        ("alignment", (*FILES, "--symmetrise-with", "plain"), 2, "plain has no attention"),
    ],
)
def test_wrong_requests_get_a_sentence(
    what: str,
    arguments: tuple[str, ...],
    code: int,
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert evaluate(what, *arguments) == code
    shown = capsys.readouterr()
    assert message in shown.err
    assert not shown.out


def test_gold_links_of_another_text_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "gold").write_text("9-0\n" + "\n" * 9, encoding="utf-8")
    assert evaluate("alignment", *FILES, "--gold", str(tmp_path / "gold")) == 1
    assert "names source word 9" in capsys.readouterr().err


def test_given_translations_are_scored_line_by_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = str(Path(__file__).parent.parent / "models_of_version_1" / "dates")
    (tmp_path / "s").write_text("3 May 2021\n1 June 2000\n")
    (tmp_path / "h").write_text("2021 05 03\n1999 01 01\n")
    command = ["evaluate", "translation", "--model", model, "--source", str(tmp_path / "s")]
    given = [*command, "--hypothesis", str(tmp_path / "h")]
    assert guarded([*given, "--scores"]) == 0
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [row[3] for row in rows] == ["2021 05 03", "1999 01 01"]
    assert float(rows[0][0]) > float(rows[1][0])
    assert sum(map(float, rows[0][2].split())) == pytest.approx(float(rows[0][1]), abs=1e-3)
    assert guarded([*given, "--scores", "--json"]) == 0
    items = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [item["log_prob"] for item in items] == pytest.approx(
        [float(row[1]) for row in rows], abs=1e-5
    )
    assert guarded(given) == 2
    assert "go together" in capsys.readouterr().err
    assert guarded([*command, "--reference", str(tmp_path / "h"), "--tokenizer", "zhh"]) == 2
    assert "no tokenizer 'zhh'" in capsys.readouterr().err
    assert guarded([*command, "--reference", str(tmp_path / "h"), "--tokenizer", "char"]) == 0
    assert "tok:char" in capsys.readouterr().out
