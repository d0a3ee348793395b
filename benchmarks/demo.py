"""A tour in about four minutes: the bundled models, then two from built-in corpora.

The language model is trained on a built-in text and writes with every strategy; the translator
learns dates, is measured on unseen ones and shows what it attends to.

Run by ``make demo``. Each command is printed before it runs, ready to be copied.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
import time
from pathlib import Path

CORPUS = "python-reference"
PROMPT = "The following "
DECODINGS = (
    ("--decode", "greedy"),
    ("--decode", "beam:width=5"),
    ("--decode", "sample"),
    ("--decode", "temperature:t=0.7"),
    ("--decode", "top-k:k=20"),
    ("--decode", "nucleus:p=0.9"),
    ("--decode", "sample", "--filter", "temperature:0.8", "--filter", "nucleus:0.95"),
)
DATES = "dates:target=iso-words"
TYPED = """March 5, 2024
the 21st of November 1987
Friday, July 4, 1902
12/25/99
sep 1 2031
"""


def textgen(*words: str, stdin: str | None = None) -> None:
    """Show a command and run it; its progress and its results go where this one's go."""
    feed = f"printf %s {shlex.quote(stdin)} | " if stdin is not None else ""
    print(f"\n$ {feed}textgen {shlex.join(words)}", flush=True)
    command = [sys.executable, "-m", "textgen", *words]
    subprocess.run(command, check=True, input=stdin, text=True, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(".demo"), help="folder of the models")
    parser.add_argument("--minutes", type=float, default=1.0, help="of training")
    options = parser.parse_args()
    began = time.monotonic()
    textgen("models")
    bundled = ("generate", "--model", "shakespeare", "--prompt", "ROMEO:")
    textgen(*bundled, "--temperature", "0.7", "--max-tokens", "200", "--seed", "1")
    textgen("translate", "--model", "dates", stdin="March 5, 2024\n")

    model = str(options.out / CORPUS)

    train = ("train", "lm", "--corpus", CORPUS, "--recipe", "char-small", "--overwrite")
    textgen(*train, "--minutes", f"{options.minutes:g}", "--out", model)
    for decoding in DECODINGS:
        textgen(
            *("generate", "--model", model, "--prompt", PROMPT),
            *(*decoding, "--max-tokens", "300", "--seed", "1"),
        )
    textgen("evaluate", "perplexity", "--model", model, "--corpus", CORPUS)

    dates, picture = str(options.out / "dates"), str(options.out / "dates.png")
    train = ("train", "translator", "--corpus", DATES, "--recipe", "dates-small", "--overwrite")
    textgen(*train, "--minutes", f"{options.minutes:g}", "--out", dates)
    textgen("translate", "--model", dates, stdin=TYPED)
    textgen("evaluate", "translation", "--model", dates, "--corpus", DATES, "--decode", "greedy")
    align = ("evaluate", "alignment", "--model", dates, "--corpus", DATES)
    textgen(*align, "--unite", "attention", "--plot", picture, "--lines", "1-4")
    print(f"\nThe models are in {options.out}, what the translator looked at is in {picture}.")
    print(f"The demo took {time.monotonic() - began:.0f} s.")


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)
    except KeyboardInterrupt:
        sys.exit(130)
