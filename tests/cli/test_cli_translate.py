"""``textgen translate`` as a person runs it, in a pipe and with files."""

import contextlib
import io
import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from small_models import TEXT, save_language_model, save_translator
from textgen.cli.failures import guarded
from textgen.evaluation.alignment_files import parse_pharaoh

LINES = ["To be, or not to be,", "", "the mind", "Zebra arrows", "   ", "that is the question:"]
WORDS = set(TEXT.upper().split())


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    save_translator(folder / "one")
    save_translator(folder / "two", seed=8)
    save_translator(folder / "plain", attention="none")
    save_translator(folder / "letters", kind="characters")
    save_language_model(folder / "lm")
    return folder


@pytest.fixture
def folder(models: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(models)
    return models


def run(
    capsys: pytest.CaptureFixture[str],
    *arguments: str,
    text: str | bytes = "\n".join(LINES) + "\n",
    model: str = "one",
) -> tuple[int, list[str], str]:
    """The exit code, the lines of stdout, and stderr."""
    data = text.encode() if isinstance(text, str) else text
    before = sys.stdin
    sys.stdin = io.TextIOWrapper(io.BytesIO(data))
    try:
        code = guarded(["translate", "--device", "cpu", "--model", model, *arguments])
    finally:
        sys.stdin = before
    shown = capsys.readouterr()
    assert not shown.out or shown.out.endswith("\n")
    return code, shown.out.split("\n")[:-1], shown.err


pytestmark = pytest.mark.usefixtures("folder")


def test_one_line_out_for_each_line_in(capsys: pytest.CaptureFixture[str]) -> None:
    code, lines, said = run(capsys)
    assert (code, len(lines), said) == (0, len(LINES), "")
    assert [line for line, source in zip(lines, LINES, strict=True) if not source.strip()] == [
        ""
    ] * 2
    assert set(" ".join(lines).split()) <= WORDS
    assert len(set(lines)) >= 4


def test_odd_bytes_and_long_lines_keep_their_place(capsys: pytest.CaptureFixture[str]) -> None:
    odd = b"\xff\xfe\n\xe2\x80\xa8be,\x85\x0b\x0c\x1c\n" + b"mind " * 50 + b"\n\x00\r\nthe mind"
    code, lines, said = run(capsys, "--max-source", "9", text=odd)
    assert (code, len(lines)) == (0, 5)
    assert lines[4] == run(capsys, text="the mind\n")[1][0]
    assert "Warning: 2 lines have bytes that are no UTF-8 text" in said
    assert "Warning: 1 line was cut after 9 tokens" in said
    assert run(capsys, text="")[:2] == (0, [])
    assert run(capsys, text="\n")[:2] == (0, [""])


def test_windows_and_batches_do_not_change_it(capsys: pytest.CaptureFixture[str]) -> None:
    text = "\n".join(LINES * 10)
    whole = run(capsys, text=text)[1]
    assert len(whole) == 60
    assert run(capsys, "--window", "3", "--batch-tokens", "5", text=text)[1] == whole


def test_n_best_lists_count_from_0(capsys: pytest.CaptureFixture[str]) -> None:
    best = run(capsys)[1]
    lines = [line.split(" ||| ") for line in run(capsys, "--n-best", "3")[1]]
    assert [int(line[0]) for line in lines] == [0, 0, 0, 1, 2, 2, 2, 3, 3, 3, 4, 5, 5, 5]
    assert [
        next(line[1] for line in lines if line[0] == str(number)) for number in range(6)
    ] == best
    scores = [float(line[2]) for line in lines if line[0] == "0"]
    assert scores == sorted(scores, reverse=True)
    scored = run(capsys, "--n-best", "2", "--scores")[1][0].split(" ||| ")
    assert float(scored[3]) == pytest.approx(sum(map(float, scored[4].split())), abs=1e-2)


def test_scores_stand_before_the_translation(capsys: pytest.CaptureFixture[str]) -> None:
    plain = run(capsys)[1]
    rows = [line.split("\t", 3) for line in run(capsys, "--scores")[1]]
    assert [row[3] for row in rows] == plain
    for score, log_prob, each, _ in rows:
        values = [float(value) for value in each.split()]
        assert float(log_prob) == pytest.approx(sum(values), abs=1e-2)
        if values:
            assert float(score) == pytest.approx(float(log_prob) / len(values), abs=1e-4)


def test_json_tells_everything(capsys: pytest.CaptureFixture[str]) -> None:
    plain = run(capsys)[1]
    items = [json.loads(line) for line in run(capsys, "--json")[1]]
    assert [item["index"] for item in items] == list(range(len(LINES)))
    assert [item["source"] for item in items] == LINES
    assert [item["translation"] for item in items] == plain
    for item in items:
        assert "candidates" not in item
        assert len(item["token_log_probs"]) == len(item["tokens"])
        assert item["log_prob"] == pytest.approx(sum(item["token_log_probs"]), abs=1e-3)
        assert item["source_tokens"][-1] == "<eos>"
        if item["source"].strip():
            assert len(item["attention"]) == len(item["tokens"])
            assert {len(row) for row in item["attention"]} == {len(item["source_tokens"])}
            assert isinstance(item["finished"], bool)
    several = [json.loads(line) for line in run(capsys, "--json", "--n-best", "2")[1]]
    assert [len(item["candidates"]) for item in several] == [2, 1, 2, 2, 1, 2]
    assert several[0]["candidates"][0]["translation"] == several[0]["translation"] == plain[0]
    without = [json.loads(line) for line in run(capsys, "--json", model="plain")[1]]
    assert without[0]["attention"] is None


def test_links_have_a_line_for_each_line(capsys: pytest.CaptureFixture[str]) -> None:
    lines = run(capsys, "--alignments", "links")[1]
    links = Path("links").read_text(encoding="utf-8").split("\n")
    assert len(links) == len(LINES) + 1
    for source, target, line in zip(LINES, lines, links, strict=False):
        found = parse_pharaoh(line).sure
        assert {link.target for link in found} <= set(range(len(target.split())))
        assert {link.source for link in found} <= set(range(len(source.split())))
    written = run(capsys, "--n-best", "3", "--alignments", "links")[1]
    assert len(Path("links").read_text(encoding="utf-8").splitlines()) == len(written)


def test_unknown_words_are_replaced(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, folder: Path
) -> None:
    (tmp_path / "words.tsv").write_text("Zebra\tHORSE\nZebra\tMULE\n\n", encoding="utf-8")
    prefix = ("--filter", "prefix:text=#3")
    assert run(capsys, *prefix, "--allow-unknown")[1][3].startswith("<unk>")
    assert "<unk>" not in run(capsys, *prefix)[1][3]
    copied = run(capsys, *prefix, "--replace-unknown")[1][3].split()[0]
    assert copied in {"Zebra", "arrows"}
    dictionary = ("--dictionary", str(tmp_path / "words.tsv"))
    found = run(capsys, *prefix, "--replace-unknown", *dictionary)[1][3].split()[0]
    assert found == {"Zebra": "HORSE", "arrows": "arrows"}[copied]
    assert folder.is_dir()


def test_beginnings_are_forced(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "prefix"
    path.write_text("TO SUFFER\n\n\nTHE\n\n\n", encoding="utf-8")
    lines = run(capsys, "--prefix", str(path), "--json")[1]
    items = [json.loads(line) for line in lines]
    assert items[0]["translation"].startswith("TO SUFFER")
    assert items[3]["translation"].startswith("THE")
    assert items[1]["translation"] == ""
    assert len(items[0]["attention"]) == len(items[0]["tokens"]) == len(items[0]["token_log_probs"])
    path.write_text("TO\n\n", encoding="utf-8")
    code, lines, said = run(capsys, "--prefix", str(path))
    assert (code, len(lines)) == (1, 2)
    assert "prefix: has 2 lines, but there are more to translate" in said
    path.write_text("\n" * 9, encoding="utf-8")
    code, lines, said = run(capsys, "--prefix", str(path))
    assert (code, len(lines)) == (0, 6)
    assert "has more lines than there were to translate" in said


@pytest.mark.parametrize("model", ["one", "letters"])
def test_forced_text_is_written_as_it_was_given(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, model: str
) -> None:
    path, given = tmp_path / "prefix", ["", "", "Ünseen\N{NON-BREAKING HYPHEN}THE", "\N{SNOWMAN}"]
    path.write_text("\n".join([*given, "", "", ""]), encoding="utf-8")
    for more in ((), ("--replace-unknown",), ("--n-best", "2")):
        lines = run(capsys, "--prefix", str(path), "--json", *more, model=model)[1]
        for line, prefix in zip(lines, given, strict=False):
            item = json.loads(line)
            for each in item.get("candidates", [item]):
                assert each["translation"].startswith(prefix)
            assert (item["forced_tokens"] > 0) == bool(prefix)
    request = json.dumps({"source": LINES[2], "prefix": given[2]}) + "\n"
    (line,) = run(capsys, "--jsonl", "--replace-unknown", text=request, model=model)[1]
    assert json.loads(line)["translation"].startswith(given[2])


def test_several_models_decode_as_one(capsys: pytest.CaptureFixture[str]) -> None:
    one, two = run(capsys)[1], run(capsys, model="two")[1]
    both = run(capsys, "two")[1]
    assert both == run(capsys, "--model", "two")[1]
    assert both not in (one, two)
    assert len(run(capsys, "two", "--ensemble", "log-probabilities")[1]) == len(LINES)


def test_sampling_works_as_in_generate(capsys: pytest.CaptureFixture[str]) -> None:
    first = run(capsys, "--temperature", "2", "--seed", "1", "-v")
    assert "decode: temperature:t=2.0 | sample" in first[2]
    assert first[1] == run(capsys, "--temperature", "2", "--seed", "1")[1]
    assert first[1] != run(capsys, "--temperature", "2", "--seed", "2")[1]
    assert run(capsys, "--beam", "1")[1] == run(capsys, "--decode", "greedy")[1]
    assert "beam:width=5" in run(capsys, "-v")[2]


def test_the_length_is_limited_by_the_source(capsys: pytest.CaptureFixture[str]) -> None:
    long = ("--decode", "greedy", "--filter", "minimum-length:n=50", "--max-length", "1x+2")
    lines = run(capsys, *long)[1]
    assert [len(line.split()) for line in lines] == [9, 0, 5, 5, 0, 7]


@pytest.mark.parametrize(
    ("arguments", "model", "code", "message"),
    [
        (["--max-length", "long"], "one", 2, "Allowed: 2x+10"),
        (["--dictionary", "x.tsv"], "one", 2, "goes with --replace-unknown"),
        (["--json", "--scores"], "one", 2, "--json has the scores anyway"),
        (["--alignments", "x"], "plain", 2, "plain has no attention to align by"),
        ([], "lm", 2, "lm is a language-model, but a translator is needed"),
        (["lm"], "one", 2, "models of one kind"),
        (["letters"], "one", 2, "same tokenizers"),
        ([], "nowhere", 1, "There is no model 'nowhere'"),
        (["--decode", "bean"], "one", 2, "Did you mean 'beam'"),
        (["--prefix", "none"], "one", 1, "none: there is no such file"),
        (["--alignments", "no/where"], "one", 1, "no/where: cannot be written: No such file"),
        (["--n-best", "0"], "one", 2, "--n-best"),
    ],
)
def test_wrong_requests_get_a_sentence(
    capsys: pytest.CaptureFixture[str], arguments: list[str], model: str, code: int, message: str
) -> None:
    found = run(capsys, *arguments, model=model)
    assert found[:2] == (code, [])
    assert message in found[2]


def test_a_dictionary_without_tabs_is_told(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "d").write_text("a\tb\nc d\n", encoding="utf-8")
    code, _, said = run(capsys, "--replace-unknown", "--dictionary", str(tmp_path / "d"))
    assert code == 1
    assert "line 2: expected a source word, a tab" in said


def start(model: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "textgen", "translate", "--model", str(model)]
    return subprocess.Popen(
        [*command, "--device", "cpu"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


def test_who_writes_a_line_and_waits_gets_an_answer(models: Path) -> None:
    with start(models / "one") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for line in (b"the mind\n", b"\n", b"To be,\n"):
            process.stdin.write(line)
            process.stdin.flush()
            answer = process.stdout.readline()
            assert answer.endswith(b"\n")
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (130, b"Stopped.\n")


def test_a_file_shows_progress_and_keeps_its_translations(models: Path, tmp_path: Path) -> None:
    (tmp_path / "in").write_text("the mind\n" * 40, encoding="utf-8")
    terminal, end = pty.openpty()
    command = [sys.executable, "-m", "textgen", "translate", "--model", str(models / "one")]
    with (tmp_path / "in").open("rb") as source, (tmp_path / "out").open("wb") as target:
        process = subprocess.Popen(command, stdin=source, stdout=target, stderr=end)
        os.close(end)
        shown = b""
        with os.fdopen(terminal, "rb", buffering=0) as screen, contextlib.suppress(OSError):
            while data := screen.read(4096):
                shown += data
    assert process.wait(60) == 0
    assert b"40 of 40 lines" in shown
    assert len(set((tmp_path / "out").read_text(encoding="utf-8").splitlines())) == 1
    assert (tmp_path / "out").read_text(encoding="utf-8").count("\n") == 40


def test_an_endless_pipe_whose_reader_leaves_ends_quietly(models: Path) -> None:
    yes = subprocess.Popen(["yes", "the mind"], stdout=subprocess.PIPE)
    command = [sys.executable, "-m", "textgen", "translate", "--model", str(models / "one")]
    with (
        yes,
        subprocess.Popen(
            command, stdin=yes.stdout, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process,
    ):
        assert yes.stdout is not None
        yes.stdout.close()
        assert process.stdout is not None
        assert process.stderr is not None
        lines = [process.stdout.readline() for _ in range(5)]
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 0
    assert len(set(lines)) == 1
