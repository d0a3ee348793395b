"""The commands in one process: what they print, refuse and promise."""

import io
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from textgen.cli.failures import guarded
from textgen.native import kernels

TINY = ("training.steps=4", "training.device=cpu", "model.hidden=8", "model.layers=1")
TEXT = "the cat sat on the mat and the dog sat on the cat.\n" * 60


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a text and a small model."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("home")
    (folder / "text.txt").write_text(TEXT, encoding="utf-8")
    model = folder / "checkpoints" / "cat"
    train = ("train", "lm", "--train", str(folder / "text.txt"), "--out", str(model))
    assert guarded([*train, "--set", *TINY]) == 0
    return folder


@pytest.fixture(autouse=True)
def at_home(home: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(home)
    yield
    os.chdir(before)


class Run:
    """A command's code, results and messages."""

    def __init__(self, capsys: pytest.CaptureFixture[str], *words: str) -> None:
        capsys.readouterr()
        self.code = guarded(list(words))
        self.out, self.err = capsys.readouterr()

    @property
    def items(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.out.splitlines()]


GENERATE = ("generate", "--model", "cat", "--max-tokens", "12")


def test_the_text_goes_on_from_the_prompt_and_the_seed_fixes_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    first = Run(capsys, *GENERATE, "--prompt", "the ", "--seed", "3")
    again = Run(capsys, *GENERATE, "--prompt", "the ", "--seed", "3")
    other = Run(capsys, *GENERATE, "--prompt", "the ", "--seed", "4")
    assert first.code == 0
    assert first.out.startswith("the ")
    assert first.out.endswith("\n")
    assert first.out == again.out != other.out
    assert first.err == ""


def test_streamed_and_collected_texts_are_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    streamed = Run(capsys, *GENERATE, "--prompt", "the ")
    (item,) = Run(capsys, *GENERATE, "--prompt", "the ", "--json").items
    assert streamed.out == f"{item['prompt']}{item['text']}\n"
    assert item["decode"] == "sample"
    assert item["finished"] in {"eos", "limit"}


def test_short_forms_build_the_long_chain(capsys: pytest.CaptureFixture[str]) -> None:
    flags = ("--top-p", "0.9", "--temperature", "0.5", "--top-k", "5")
    short = Run(capsys, *GENERATE, "-v", *flags)
    filters = ("temperature:0.5", "top-k:5", "nucleus:0.9")
    long = Run(capsys, *GENERATE, "-v", *(word for each in filters for word in ("--filter", each)))
    decode, weights, seed = short.err.splitlines()
    assert seed == "seed: 0"
    assert decode == "decode: temperature:t=0.5 | top-k:k=5 | nucleus:p=0.9 | sample"
    assert weights.startswith("weights: float32; single steps: ")
    assert weights.endswith("another batch may change the numbers by rounding (1e-7)")
    assert (short.out, short.err) == (long.out, long.err)


@pytest.mark.usefixtures("either")
def test_verbose_output_says_whether_the_batch_matters(capsys: pytest.CaptureFixture[str]) -> None:
    _, weights, _ = Run(capsys, *GENERATE, "-v", "--precision", "bfloat16").err.splitlines()
    holds = weights.endswith("; a text never depends on its batch")
    assert holds == (kernels() is not None)
    assert holds or "some texts will differ" in weights


def test_each_line_of_stdin_is_a_prompt_whatever_its_neighbours(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = b"the \r\n\n\xff\ncat"
    results = []
    for size in ("1", "3", "16"):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(lines)))
        done = Run(capsys, *GENERATE, "--prompt", "-", "--json", "--batch-size", size)
        assert done.code == 0
        assert "stdin, line 3" in done.err
        results.append(done.items)
        assert [item["prompt"] for item in done.items] == ["the ", "", "\ufffd", "cat"]
    for items in results[1:]:
        for item, first in zip(items, results[0], strict=True):
            # products of other shapes differ in the last digit
            assert item["log_prob"] == pytest.approx(first["log_prob"], rel=1e-5)
            assert {**item, "log_prob": 0} == {**first, "log_prob": 0}


def test_a_stop_text_ends_the_text_before_it(capsys: pytest.CaptureFixture[str]) -> None:
    words = (*GENERATE, "--prompt", "a", "--decode", "greedy")
    whole = Run(capsys, *words).out[1:-1]
    stop = whole[2]
    stopped = Run(capsys, *words, "--stop", stop)
    assert stopped.out == f"a{whole[: whole.index(stop)]}\n"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--decode", "nukleus"), 2, "Did you mean 'nucleus'?"),
        (("--decode", "top-k:k=-1"), 2, "filter top-k: k: input should be greater"),
        (("--beam", "2", "--decode", "greedy"), 2, "two strategies"),
        (("--beam", "0"), 2, "0 is not in the range"),
        (("--stop", ""), 2, "--stop: an empty text"),
        (("--prompt", "\udcff"), 1, "--prompt: byte 1 is not UTF-8"),
        (("--model", "dog"), 1, "There is no model 'dog'."),
    ],
)
def test_wrong_requests_to_generate(
    words: tuple[str, ...], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    done = Run(capsys, *GENERATE, *words)
    assert (done.code, done.out) == (code, "")
    assert said in done.err


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_checkpoint_cut_in_half_is_named(
    file: str, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for part in (home / "checkpoints" / "cat").iterdir():
        data = part.read_bytes()
        (tmp_path / part.name).write_bytes(data[: len(data) // 2] if part.name == file else data)
    done = Run(capsys, "generate", "--model", str(tmp_path))
    assert (done.code, done.out) == (1, "")
    assert str(tmp_path / file) in done.err


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (None, "there is no such file"),
        (b"", "is empty"),
        (b"\0\1\2" * 100, "binary"),
        (b"good\nbad \xff\n", "line 2"),
    ],
)
def test_texts_that_cannot_be_read(
    data: bytes | None, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "file.txt"
    if data is not None:
        file.write_bytes(data)
    train = ("train", "lm", "--train", str(file), "--out", str(tmp_path / "out"))
    for words in (train, ("evaluate", "perplexity", "--model", "cat", str(file))):
        done = Run(capsys, *words)
        assert (done.code, done.out) == (1, "")
        assert str(file) in done.err
        assert said in done.err
    assert not (tmp_path / "out").exists()


def test_perplexity_prints_the_keys_of_the_contract(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("evaluate", "perplexity", "--model", "cat", "text.txt")
    (item,) = Run(capsys, *words, "--json").items
    assert item.keys() >= {
        *("nll", "tokens", "words", "characters", "bytes", "unknown", "perplexity"),
        *("word_perplexity", "nats_per_character", "bits_per_character", "bits_per_byte"),
    }
    assert item["characters"] == len(TEXT)
    (part,) = Run(capsys, *words, "--json", "--held-out").items
    assert part["characters"] == len(TEXT) - int(len(TEXT) * 0.9)
    table = Run(capsys, *words)
    assert f"{item['tokens']:,}" in table.out
    assert "bits" in table.out


@pytest.mark.parametrize(
    "words", [(), ("text.txt", "--corpus", "python-reference")], ids=["none", "two"]
)
def test_perplexity_wants_one_text(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    done = Run(capsys, "evaluate", "perplexity", "--model", "cat", *words)
    assert (done.code, done.out) == (2, "")
    assert "either a FILE or --corpus NAME" in done.err


def test_a_training_tells_its_result_and_refuses_to_replace_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("train", "lm", "--train", "text.txt", "--out", str(tmp_path), "--set", *TINY)
    first = Run(capsys, *words, "--json", "--test", "text.txt", "--log", str(tmp_path / "log"))
    (item,) = first.items
    assert item["steps"] == 4
    assert item["stopped"] == "steps"
    assert isinstance(item["test"], dict)
    assert item["test"]["characters"] == len(TEXT)
    assert "validation" in first.err
    assert '"event": "stopped"' in (tmp_path / "log").read_text(encoding="utf-8")
    refused = Run(capsys, *words)
    assert (refused.code, refused.out) == (2, "")
    assert str(tmp_path) in refused.err
    replaced = Run(capsys, *words, "--overwrite")
    assert replaced.code == 0
    assert "4 steps" in replaced.out


def test_a_training_goes_on_with_its_own_recipe(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("train", "lm", "--train", "text.txt", "--out", str(tmp_path))
    assert Run(capsys, *words, "--set", *TINY).code == 0
    done = Run(capsys, *words, "--resume", "--set", "training.steps=6", "--json")
    assert done.items[0]["steps"] == 6
    nothing = Run(capsys, *words[:-1], str(tmp_path / "other"), "--resume")
    assert nothing.code == 1
    assert "no training to resume" in nothing.err


def test_every_wrong_setting_is_told_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = ("model.hiden=3", "training.steps=-1", "model.cell=lstn")
    words = ("train", "lm", "--train", "text.txt", "--out", str(tmp_path / "out"))
    done = Run(capsys, *words, "--set", *settings)
    assert (done.code, done.out) == (2, "")
    for said in ("Did you mean 'hidden'?", "training.steps", "model.cell"):
        assert said in done.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--train", "text.txt", "--corpus", "python-reference"),
        ("--train", "text.txt", "--streaming"),
    ],
)
def test_a_training_wants_one_text(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    done = Run(capsys, "train", "lm", "--out", "out", *words)
    assert (done.code, done.out) == (2, "")


def test_models_are_listed_and_shown(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    damaged = home / "checkpoints" / "damaged"
    damaged.mkdir()
    (damaged / "config.json").write_text("{", encoding="utf-8")
    listed = Run(capsys, "models", "--json")
    (damaged / "config.json").unlink()
    cat = next(item for item in listed.items if item["name"] == "cat")
    assert cat["model"] == "lstm 1 × 8, characters"
    assert "damaged" in listed.err
    (item,) = Run(capsys, "models", "cat", "--json").items
    assert item["kind"] == "language-model"
    assert isinstance(item["parameters"], int)
    assert "config.model.hidden" in Run(capsys, "models", "cat").out


def test_recipes_are_listed_and_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = {item["name"] for item in Run(capsys, "recipes", "--json").items}
    assert {"char-small", "word-small", "subword-small"} <= names
    shown = Run(capsys, "recipes", "char-small").out
    assert "model.hidden" in shown
    assert "units of each layer" in shown
    own = tmp_path / "mine.toml"
    own.write_text("[training]\nsteps = 7\n", encoding="utf-8")
    (item,) = Run(capsys, "recipes", str(own), "--json").items
    assert isinstance(item["config"], dict)
    assert item["config"]["training"]["steps"] == 7


def test_corpora_are_listed_and_shown(capsys: pytest.CaptureFixture[str]) -> None:
    items = Run(capsys, "corpora", "--json").items
    assert {"python-reference", "python-library", "ptb"} <= {item["name"] for item in items}
    (item,) = Run(capsys, "corpora", "python-reference", "--json").items
    assert isinstance(item["first_lines"], list)
    assert len(item["first_lines"]) == 5
    fetched = Run(capsys, "corpora", "ptb")
    assert fetched.code == 0
    assert "licence" in fetched.out
    assert Run(capsys, "corpora", "ptbb").code != 0


def test_plugins_are_listed_and_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "my_filter.py").write_text(
        'def filter(strength: float = 1.0):\n    """Do nothing, strongly."""\n'
        "    return lambda scores, beam: scores\n"
    )
    (tmp_path / "broken.py").write_text("filter = 1 / 0\n")
    items = Run(capsys, "plugins", "--plugins", str(tmp_path), "--json").items
    mine = next(item for item in items if item["name"] == "my-filter")
    assert mine["summary"] == "Do nothing, strongly."
    assert mine["origin"] == str(tmp_path / "my_filter.py")
    assert "Do nothing" in Run(capsys, "plugins", "my-filter", "--plugins", str(tmp_path)).out
    broken = Run(capsys, "plugins", "broken", "--plugins", str(tmp_path))
    assert broken.code == 2
    assert "ZeroDivisionError" in broken.err
    (nucleus,) = Run(capsys, "plugins", "nucleus", "--json").items
    assert nucleus["options"] == [
        {
            "path": "p",
            "type": "float ≥ 0, ≤ 1",
            "default": "0.9",
            "help": "probability mass to keep",
        }
    ]


def test_what_cannot_be_decoded_is_told_before_any_text(
    capsys: pytest.CaptureFixture[str],
) -> None:
    job = ("generate", "--model", "shakespeare", "--prompt", "KING", "--max-tokens", "4")
    for wrong in ("regex:(a", "shallow-fusion:lm=nowhere", "shallow-fusion:lm=dates"):
        assert guarded([*job, "--decode", wrong]) != 0
        printed = capsys.readouterr()
        assert not printed.out
        assert printed.err.startswith("Error: ")
    assert guarded([*job, "--filter", "regex:[a-z]{2,3}"]) == 2
    assert "A value with a comma stands in quotes: pattern='" in capsys.readouterr().err
    assert guarded([*job, "--filter", "regex:pattern='[a-z]{2,3}'"]) == 0
    assert 6 <= len(capsys.readouterr().out.strip()) <= 7
