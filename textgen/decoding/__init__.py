"""Decoding: sessions, the shared search loop, random numbers for each row, rescoring.

Knows no model and no plugin, only the contracts of ``textgen.protocols``.
"""

from textgen.decoding.companions import require_same_vocabulary
from textgen.decoding.follow import follow, follow_state
from textgen.decoding.guard import worth
from textgen.decoding.history import counted, counted_output, last_said, said
from textgen.decoding.hypotheses import best_first, decode, take
from textgen.decoding.pool import Pool
from textgen.decoding.random import RowRandom, row_seeds
from textgen.decoding.scoring import rescore, score, token_log_probs
from textgen.decoding.search import Done, Picker, search
from textgen.decoding.session import make_session, padded
from textgen.decoding.settled import telling
from textgen.decoding.top import Moves, argmax, best_moves, continuations, draw
from textgen.decoding.track import Track
from textgen.rows import flat_rows

__all__ = [
    "Done",
    "Moves",
    "Picker",
    "Pool",
    "RowRandom",
    "Track",
    "argmax",
    "best_first",
    "best_moves",
    "continuations",
    "counted",
    "counted_output",
    "decode",
    "draw",
    "flat_rows",
    "follow",
    "follow_state",
    "last_said",
    "make_session",
    "padded",
    "require_same_vocabulary",
    "rescore",
    "row_seeds",
    "said",
    "score",
    "search",
    "take",
    "telling",
    "token_log_probs",
    "worth",
]
