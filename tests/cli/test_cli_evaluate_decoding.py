"""``textgen evaluate decoding`` as a person runs it."""

import json
import math
from pathlib import Path

import pytest

from small_models import TEXT, save_language_model, save_translator
from textgen.cli.failures import guarded
from textgen.evaluation.translation_metrics import score_translation

WORDS = TEXT.split()
LINES = [" ".join(WORDS[start : start + 3 + start % 3]) for start in range(0, 20, 2)]
BROKEN = (
    "def filter():\n"
    "    def broken(log_probs, beam):\n"
    "        return log_probs[..., :1]\n"
    "    return broken\n"
)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    save_language_model(folder / "lm")
    save_language_model(folder / "lines", kind="words", unit="lines")
    save_translator(folder / "mt")
    (folder / "held").write_text(TEXT * 12, encoding="utf-8")
    (folder / "prompts").write_text("To be\n\nThe \n", encoding="utf-8")
    (folder / "source").write_text("".join(f"{line}\n" for line in LINES), encoding="utf-8")
    (folder / "target").write_text("".join(f"{line.upper()}\n" for line in LINES), encoding="utf-8")
    (folder / "short").write_text("A\nB\n", encoding="utf-8")
    (folder / "empty").write_text("", encoding="utf-8")
    (folder / "bad").write_bytes(b"fine\n\xff\n")
    (folder / "plugins").mkdir()
    (folder / "plugins" / "broken.py").write_text(BROKEN, encoding="utf-8")
    return folder


@pytest.fixture(autouse=True)
def folder(models: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(models)
    return models


def compare(model: str, *words: str) -> int:
    return guarded(["evaluate", "decoding", "--device", "cpu", "--model", model, *words])


def told(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    return json.loads(capsys.readouterr().out)  # type: ignore[no-any-return]


FEW = ("--decode", "greedy", "--decode", "top-k:3 | temperature:0.8 | sample")
TINY = (*FEW, "--max-tokens", "20", "--samples", "3", "--prompt", "To ")
PAIRS = ("--source", "source", "--reference", "target")


def test_figures_are_those_of_generate(capsys: pytest.CaptureFixture[str]) -> None:
    assert compare("lm", *TINY, "--seed", "5", "--json") == 0
    result = told(capsys)
    assert (result["prompts"], result["samples"], result["seed"]) == (1, 3, 5)
    greedy, sampled = result["strategies"]  # type: ignore[misc]
    assert sampled["name"] == "top-k:3 | temperature:0.8 | sample"
    assert sampled["decode"] == "top-k:k=3 | temperature:t=0.8 | sample"
    words = ("--filter", "top-k:3", "--filter", "temperature:0.8", "--samples", "3")
    model = ("--model", "lm", "--device", "cpu", "--seed", "5", "--max-tokens", "20")
    assert guarded(["generate", *model, *words, "--prompt", "To ", "--json"]) == 0
    texts = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    nats = -sum(text["log_prob"] for text in texts) / sum(text["tokens"] for text in texts)
    assert sampled["nats_per_token"] == pytest.approx(nats, rel=1e-5)
    assert sampled["characters"] == sum(len(text["text"]) for text in texts) / 3
    assert (greedy["texts"], sampled["texts"]) == (1, 3)
    assert greedy["self_bleu"] is None
    assert greedy["nats_per_token"] < sampled["nats_per_token"]
    assert sampled["characters_per_second"] > 0


def test_a_table_has_a_row_for_each_and_says_when_samples_do_not_compare(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert compare("lm", *TINY, "-v") == 0
    shown = capsys.readouterr()
    head, *rows = shown.out.splitlines()
    assert head.split()[:3] == ["DECODING", "NATS/TOKEN", "DISTINCT-1"]
    assert [row.split()[0] for row in rows] == ["greedy", "top-k:3"]
    assert "Warning: greedy: less than half" in shown.err
    assert "top-k:k=3 | temperature:t=0.8 | sample" in shown.err


def test_a_random_seed_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert compare("lm", *TINY, "--seed", "random", "--json", "-v") == 0
    shown = capsys.readouterr()
    assert f"seed: {json.loads(shown.out)['seed']}\n" in shown.err


def test_people_come_first_and_their_beginnings_are_the_prompts(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    plot = tmp_path / "plot.png"
    words = ("--held-out", "held", "--pieces", "4", "--max-tokens", "24", "--plot", str(plot))
    assert compare("lm", *words, *FEW, "--json") == 0
    result = told(capsys)
    human, greedy, _ = result["strategies"]  # type: ignore[misc]
    assert (human["name"], human["decode"], human["texts"]) == ("human text", None, 4)
    assert (human["tokens"], greedy["tokens"], greedy["texts"]) == (24, 24, 4)
    assert human["nats_per_token"] > greedy["nats_per_token"]
    assert plot.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("model", ["lm", "lines"])
def test_prompts_of_a_file_and_people_beside_them(
    model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--prompts", "prompts", "--prompt", "Or", "--samples", "2", "--held-out", "held")
    assert compare(model, *words, *FEW, "--max-tokens", "9", "--json") == 0
    result = told(capsys)
    assert (result["prompts"], result["samples"]) == (4, 2)
    assert [row["texts"] for row in result["strategies"]] == [8, 4, 8]  # type: ignore[attr-defined]


def test_without_anything_the_usual_ones_are_compared(capsys: pytest.CaptureFixture[str]) -> None:
    assert compare("lm", "--max-tokens", "3", "--samples", "2", "--json") == 0
    shown = capsys.readouterr()
    names = [row["name"] for row in json.loads(shown.out)["strategies"]]
    assert {"greedy", "beam:width=5", "sample", "nucleus:0.9", "top-k:40"} <= set(names)
    assert f"[1/{len(names)}] greedy" in shown.err


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_a_translator_is_scored_as_elsewhere(
    suffix: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    plot = tmp_path / f"plot.{suffix}"
    ways = ("greedy", "beam:width=1", "beam:width=3", "beam:width=2 | top-k:4", "sample")
    words = [word for way in ways for word in ("--decode", way)]
    assert compare("mt", *PAIRS, *words, "--plot", str(plot), "--json") == 0
    rows = {row["name"]: row for row in told(capsys)["strategies"]}  # type: ignore[attr-defined]
    assert list(rows) == list(ways)
    assert rows["greedy"]["bleu"]["score"] == rows["beam:width=1"]["bleu"]["score"]
    assert rows["greedy"]["log_prob"] == pytest.approx(rows["beam:width=1"]["log_prob"])
    said = tmp_path / "said"
    options = (*PAIRS, "--decode", "beam:width=3", "--output", str(said), "--json")
    assert guarded(["evaluate", "translation", "--device", "cpu", "--model", "mt", *options]) == 0
    alone = told(capsys)
    row = rows["beam:width=3"]
    assert (row["bleu"], row["chrf"]) == (alone["bleu"], alone["chrf"])
    assert row["log_prob"] == pytest.approx(alone["log_prob"] / 10)  # type: ignore[operator]
    score = score_translation(
        said.read_text(encoding="utf-8").splitlines(), [[line.upper() for line in LINES]]
    ).scores["bleu"]
    ratio = score.details["hypothesis_length"] / score.details["reference_length"]
    assert row["length_ratio"] == pytest.approx(ratio)
    assert row["sentences_per_second"] > 0
    assert plot.read_bytes().startswith({"png": b"\x89PNG", "svg": b"<?xml"}[suffix])


def test_the_usual_ones_of_a_translator_have_a_curve(capsys: pytest.CaptureFixture[str]) -> None:
    assert compare("mt", *PAIRS, "--limit", "2") == 0
    shown = capsys.readouterr().out
    assert all(f"beam:width={width} " in shown for width in (1, 2, 3, 5, 8, 12, 20))
    assert "BLEU nrefs:1" in shown


@pytest.mark.parametrize(("model", "words"), [("lm", TINY), ("mt", (*FEW, *PAIRS))])
def test_one_that_fails_is_told_and_the_others_go_on(
    model: str,
    words: tuple[str, ...],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    words = ("--plugins", "plugins", "--decode", "broken | greedy", *words)
    plot = tmp_path / "plot.png"
    assert compare(model, *words, "--json", "--plot", str(plot)) == 1
    shown = capsys.readouterr()
    broken, greedy, sampled = json.loads(shown.out)["strategies"]
    assert "breaks its contract" in broken["error"]
    assert greedy["error"] is sampled["error"] is None
    assert math.isfinite(greedy["nats_per_token"])
    assert "1 of 3 ways to decode failed" in shown.err
    assert plot.exists()
    assert compare(model, *words) == 1
    out = capsys.readouterr().out
    assert "broken | greedy failed: " in out
    assert "\ngreedy" in out


@pytest.mark.parametrize(
    ("model", "words", "code", "message"),
    [
        ("lm", ("--decode", "nukleus"), 2, "Did you mean 'nucleus'"),
        ("lm", ("--decode", "greedy | beam"), 2, "are two strategies"),
        ("lm", ("--decode", "greedy |"), 2, "expected NAME"),
        ("lm", ("--decode", "top-k:k=x"), 2, "top-k"),
        ("lm", ("--plot", "x.gif"), 2, "x.gif: a plot is a .png or an .svg"),
        ("lm", ("--source", "source"), 2, "lm is a language-model: --source is for translators"),
        ("lm", ("--limit", "3"), 2, "--limit is for translators"),
        ("lm", ("--prompts", "empty"), 1, "empty: has no lines"),
        ("lm", ("--prompts", "bad"), 1, "bad, line 2: is not UTF-8"),
        ("lm", ("--prompts", "none"), 1, "none: cannot be read"),
        ("lm", ("--held-out", "empty"), 1, "empty"),
        ("lm", ("--held-out", "none"), 1, "none"),
        ("lm", ("--held-out", "short"), 1, "too few for a prompt"),
        ("lines", ("--held-out", "short"), 1, "too few for a prompt"),
        ("lm", ("--prompt", "\udcff"), 1, "--prompt: byte 1 is not UTF-8"),
        ("lm", ("--samples", "0"), 2, "0 is not in the range"),
        ("lm", ("--max-tokens", "0"), 2, "0 is not in the range"),
        ("mt", ("--prompt", "x", *PAIRS), 2, "--prompt is for language models"),
        ("mt", (), 2, "either --source FILE or --corpus"),
        ("mt", ("--source", "source"), 2, "--source needs --reference"),
        ("mt", ("--source", "source", "--reference", "short"), 1, "but short has 2"),
        ("mt", ("--corpus", "dates", "--reference", "short"), 2, "goes with --source"),
        ("none", (), 1, "none"),
    ],
)
def test_wrong_requests_get_a_sentence(
    model: str,
    words: tuple[str, ...],
    code: int,
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert compare(model, *words) == code
    shown = capsys.readouterr()
    assert message in shown.err
    assert not shown.out


def test_a_plot_that_cannot_be_written_is_told_after_the_figures(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert compare("lm", *TINY, "--plot", "nowhere/plot.png") == 1
    shown = capsys.readouterr()
    assert shown.out.startswith("DECODING")
    assert "nowhere/plot.png: cannot be written" in shown.err
