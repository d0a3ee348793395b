"""Trains a tiny language model: run by the test that kills it."""

import sys
from pathlib import Path

import torch

from textgen.config import structure
from textgen.data.documents import Texts
from textgen.recipes.recipe import LanguageModelRecipe
from textgen.tasks.language_model import train_language_model

TEXT = "".join(chr(97 + (i * i + i // 5) % 23) for i in range(3000))
RECIPE = {
    "model": {"hidden": 12, "dropout": 0.3, "variational": True},
    "training": {
        "steps": 90,
        "batch": 4,
        "bptt_length": 10,
        "ema_decay": 0.9,
        "validate_every": 25,
        "log_every": 1,
        "save_every": 0.0,
        "precision": "float32",
        "device": "cpu",
    },
}


def main(out: Path) -> None:
    """Start, or go on where the last process was killed; tell each step on stdout."""
    torch.set_num_threads(1)
    recipe = structure(LanguageModelRecipe, RECIPE)
    resume = (out / "config.json").exists()
    for event in train_language_model(recipe, Texts([TEXT]), None, out, resume=resume):
        sys.stdout.write(f"{type(event).__name__} {event.step}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
