"""Hopfield networks: associative memories that recall patterns from noisy or partial ones."""

from textgen.models.hopfield.classic import HopfieldNetwork, hebb, pseudo_inverse
from textgen.models.hopfield.memory import Hopfield, RecalledText
from textgen.models.hopfield.modern import ModernHopfieldNetwork
from textgen.models.hopfield.patterns import flipped, overlaps
from textgen.models.hopfield.recall import Recall

__all__ = [
    "Hopfield",
    "HopfieldNetwork",
    "ModernHopfieldNetwork",
    "Recall",
    "RecalledText",
    "flipped",
    "hebb",
    "overlaps",
    "pseudo_inverse",
]
