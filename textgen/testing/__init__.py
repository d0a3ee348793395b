"""For authors of plugins: toys with known probabilities, and the laws that plugins keep.

``check_filter`` and ``check_strategy`` run on anybody's plugin the laws that the shipped ones are
held to, and raise ``LawBroken`` for the first that it breaks.
"""

from textgen.testing.toy import (
    TOY_MARKS,
    FixedRandom,
    ToyModel,
    ToyState,
    all_outputs,
    toy_beam,
    toy_model,
)
from textgen.testing.vocabulary import ToyCompanion, ToyTokenizer, toy_load

__all__ = [
    "TOY_MARKS",
    "FixedRandom",
    "ToyCompanion",
    "ToyModel",
    "ToyState",
    "ToyTokenizer",
    "all_outputs",
    "toy_beam",
    "toy_load",
    "toy_model",
]
