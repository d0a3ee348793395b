"""A tour in about two minutes: train on a built-in text, write with every strategy, measure.

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


def textgen(*words: str) -> None:
    """Show a command and run it; its progress and its results go where this one's go."""
    print(f"\n$ textgen {shlex.join(words)}", flush=True)
    subprocess.run([sys.executable, "-m", "textgen", *words], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(".demo"), help="folder of the models")
    parser.add_argument("--minutes", type=float, default=1.0, help="of training")
    options = parser.parse_args()
    began = time.monotonic()
    model = str(options.out / CORPUS)

    train = ("train", "lm", "--corpus", CORPUS, "--recipe", "char-small", "--overwrite")
    textgen(*train, "--minutes", f"{options.minutes:g}", "--out", model)
    for decoding in DECODINGS:
        textgen(
            *("generate", "--model", model, "--prompt", PROMPT),
            *(*decoding, "--max-tokens", "300", "--seed", "1"),
        )
    textgen("evaluate", "perplexity", "--model", model, "--corpus", CORPUS)
    print(f"\nThe model is in {model}. The demo took {time.monotonic() - began:.0f} s.")


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)
    except KeyboardInterrupt:
        sys.exit(130)
