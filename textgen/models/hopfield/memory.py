"""An associative memory for texts: store them, and recall them from noisy or partial ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from textgen.arguments import listed, text_of
from textgen.data.character_codes import CharacterCode, RandomCode, distinct, normal
from textgen.errors import UsageError, nearest
from textgen.models.hopfield.classic import HopfieldNetwork, hebb, pseudo_inverse
from textgen.models.hopfield.modern import ModernHopfieldNetwork
from textgen.models.hopfield.patterns import flipped, overlaps
from textgen.models.hopfield.recall import Recall

Rule = Literal["hebb", "pseudo-inverse", "modern"]
Kind = Literal["stored", "reverse", "spurious", "cycle"]
MAX_UNITS = 8192
"""Of a network with a weight matrix, which has 512 MiB then."""


@dataclass(frozen=True)
class RecalledText:
    """What a memory recalled from a cue.

    Attributes:
        text: the recalled state, decoded.
        kind: "stored" for a stored pattern, "reverse" for the reverse of one, "spurious" for
            another state, "cycle" where synchronous updates do not come to rest.
        nearest: the stored text whose overlap with the state has the largest absolute value.
        overlap: m = ξᵀs / N of that text and the signs of the state, −1 to 1.
        cue_overlap: of the text ``nearest`` and the cue; units that are unknown count 0.
        cue: (N,), the initial state.
        recall: state, energies, steps.
    """

    text: str
    kind: Kind
    nearest: str
    overlap: float
    cue_overlap: float
    cue: NDArray[np.float64]
    recall: Recall

    def __str__(self) -> str:
        return self.text


class Hopfield:
    """A Hopfield network that stores texts.

        memory = textgen.Hopfield()
        memory.store(["Ada Lovelace", "Alan Turing", "Grace Hopper"])
        memory.recall("Ada ________").text  # "Ada Lovelace"

    Args:
        rule: "hebb" or "pseudo-inverse" for a classic network, "modern" for Ramsauer's.
        beta: β of a modern network.
        drawn: patterns are pictures of the texts, else pseudo-random units for each character.

    Raises:
        UsageError: for an unknown rule, or a β that is not positive.
    """

    def __init__(self, rule: Rule = "hebb", *, beta: float = 1.0, drawn: bool = False) -> None:
        if rule not in get_args(Rule):
            raise UsageError(f"rule: {rule!r} is unknown.{nearest(str(rule), get_args(Rule))}")
        if not 0 < beta < float("inf"):
            raise UsageError(f"beta: a number above 0 is needed, not {beta}.")
        self.rule, self.beta, self.drawn = rule, beta, drawn
        self.texts: tuple[str, ...] = ()
        self._made: tuple[CharacterCode, NDArray[np.float64]] | None = None
        self._network: HopfieldNetwork | ModernHopfieldNetwork | None = None

    def store(self, texts: str | Iterable[str]) -> Hopfield:
        """Store more texts; blank and repeated ones are left out.

        Returns:
            The memory itself.

        Raises:
            UsageError: for what is no text, or more units than a weight matrix may have.
            DataError: if there is no text, or the font lacks a character of a drawn one.
        """
        stored = distinct([*self.texts, *listed(texts, "texts")], "texts")
        code = self._code(stored)
        if self.rule != "modern" and code.units > MAX_UNITS:
            per = code.units // code.length
            raise UsageError(
                f"The longest pattern has {code.length:,} characters of {per} units each; a weight "
                f"matrix is made for up to {MAX_UNITS // per} characters. Shorten it, or use the "
                "rule 'modern', which needs no matrix."
            )
        patterns = np.array([code.encode(text) for text in stored])
        self._network = self._learnt(patterns)
        self.texts, self._made = tuple(stored), (code, patterns)
        return self

    @property
    def code(self) -> CharacterCode:
        """How texts become units."""
        return self._stored()[0]

    @property
    def patterns(self) -> NDArray[np.float64]:
        """(P, N), the stored patterns."""
        return self._stored()[1]

    @property
    def network(self) -> HopfieldNetwork | ModernHopfieldNetwork:
        """The network behind the texts."""
        self._stored()
        if self._network is None:
            raise UsageError("Nothing is stored.")
        return self._network

    def missing(self) -> str:
        """The characters that stand for missing ones in a cue: "_" and "?", unless stored."""
        stored = "".join(self.texts)
        return "".join(each for each in "_?" if each not in stored)

    def cue(self, text: str) -> NDArray[np.float64]:
        """The units of a cue, (N,): 0 for missing characters and for those behind its end.

        Raises:
            UsageError: if it is no text, or longer than all that is stored.
            DataError: if the font lacks a character of a drawn cue.
        """
        text = normal(text_of(text, "cue"))
        if len(text) > self.code.length:
            raise UsageError(
                f"cue: {text!r} has {len(text)} characters; the longest stored text has "
                f"{self.code.length}. Shorten the cue."
            )
        return self.code.encode(text, self.missing(), padded=text in self.texts)

    def recall(
        self,
        cue: str | NDArray[np.float64],
        *,
        noise: float = 0.0,
        synchronous: bool = False,
        seed: int = 0,
        index: int = 0,
    ) -> RecalledText:
        """Recall what is stored from a cue.

        Args:
            cue: a text, "_" or "?" for missing characters, or units (N,).
            noise: share of the known units whose sign is changed at random first.
            synchronous: update all units at once (classic networks; a modern one always does).
            seed: of the noise and of the order of asynchronous updates.
            index: of several recalls with the same seed: each has random numbers of its own.

        Raises:
            UsageError: if nothing is stored, or the cue cannot be one.
        """
        state = self.cue(cue) if isinstance(cue, str) else np.asarray(cue, dtype=np.float64)
        state = flipped(state, noise, np.random.default_rng([seed, index, 0]))
        if isinstance(self.network, ModernHopfieldNetwork):
            found = self.network.recall(state)
        else:
            order = (seed, index, 1)
            found = self.network.recall(state, synchronous=synchronous, seed=order)
        near = overlaps(self.patterns, found.state)
        best = int(np.abs(near).argmax())
        return RecalledText(
            text=self.code.decode(found.state),
            kind=_kind(found, float(near[best])),
            nearest=self.texts[best],
            overlap=float(near[best]),
            cue_overlap=float(overlaps(self.patterns[best : best + 1], state)[0]),
            cue=state,
            recall=found,
        )

    def _code(self, texts: Sequence[str]) -> CharacterCode:
        if not self.drawn:
            return RandomCode(texts)
        from textgen.data.glyphs import DrawnCode

        return DrawnCode(texts)

    def _learnt(self, patterns: NDArray[np.float64]) -> HopfieldNetwork | ModernHopfieldNetwork:
        if self.rule == "modern":
            return ModernHopfieldNetwork(patterns, self.beta)
        return HopfieldNetwork((hebb if self.rule == "hebb" else pseudo_inverse)(patterns))

    def _stored(self) -> tuple[CharacterCode, NDArray[np.float64]]:
        if self._made is None:
            raise UsageError("Nothing is stored: call store(texts) first.")
        return self._made


def _kind(found: Recall, overlap: float) -> Kind:
    """What the state is; the overlap is that of the nearest pattern."""
    if found.cycle > 1:
        return "cycle"
    if abs(overlap) == 1:
        return "stored" if overlap > 0 else "reverse"
    return "spurious"
