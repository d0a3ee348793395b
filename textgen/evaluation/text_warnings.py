"""Signs that a text was tokenised, split into subwords, or lower-cased before it was scored.

Such a text still gets a score, but one that cannot be compared with anybody else's (Post 2018,
"A Call for Clarity in Reporting BLEU Scores").
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

# only full stop and comma: French sets a space before ! ? : and ; on purpose
_SPACED = re.compile(r"\w [.,](?= |$)")
_ATTACHED = re.compile(r"\w[.,](?= |$)")
_ESCAPED = re.compile(r"&(?:apos|quot|amp|lt|gt|#91|#93|#124);| @[-/,.]@ ")
_SUBWORDS = re.compile(r"@@(?= |$)|▁")
_FEW_LETTERS = 30
_MOST_SHORT = 0.8  # share of the lines
_ORDER = 4  # of the longest n-grams that BLEU counts


@dataclass(frozen=True)
class _Look:
    """What the lines of one text look like."""

    spaced: int
    attached: int
    escaped: int
    subwords: int
    lower: int
    upper: int
    empty: int

    @property
    def lower_cased(self) -> bool:
        return self.upper == 0 and self.lower >= _FEW_LETTERS


def _look(lines: Sequence[str]) -> _Look:
    letters = [character for line in lines for character in line if character.isalpha()]
    return _Look(
        spaced=sum(len(_SPACED.findall(line.rstrip())) for line in lines),
        attached=sum(len(_ATTACHED.findall(line.rstrip())) for line in lines),
        escaped=sum(bool(_ESCAPED.search(line)) for line in lines),
        subwords=sum(bool(_SUBWORDS.search(line)) for line in lines),
        lower=sum(map(str.islower, letters)),
        upper=sum(map(str.isupper, letters)),
        empty=sum(not line.strip() for line in lines),
    )


def text_warnings(
    name: str,
    lines: Sequence[str],
    references: Sequence[tuple[str, Sequence[str]]],
    *,
    lowercase: bool = False,
) -> tuple[str, ...]:
    """Say what makes a score of these texts hard to compare.

    Args:
        name: the hypothesis, for the messages.
        lines: its lines.
        references: name and lines of each reference.
        lowercase: the scores do not regard case anyway.

    Returns:
        One sentence for each finding, the hypothesis first.
    """
    looks = [(name, _look(lines)), *((each, _look(text)) for each, text in references)]
    found = [sentence for each, look in looks for sentence in _preprocessed(each, look, len(lines))]
    if not lowercase:
        found += _case(looks)
    return tuple(found) + _normal_forms(name, lines, references)


def _normal_forms(
    name: str, lines: Sequence[str], references: Sequence[tuple[str, Sequence[str]]]
) -> tuple[str, ...]:
    """Say if the same letters are written in other code points on both sides."""
    own = _decomposed(lines)
    others = [(each, _decomposed(text)) for each, text in references]
    if not any(bool(own) != bool(count) and max(own, count) > 1 for _, count in others):
        return ()
    parts = [f"{each} in {count} of its lines" for each, count in [(name, own), *others] if count]
    sentence = (
        f"Letters are written decomposed (not in Unicode's form NFC) by {', '.join(parts)}, and "
        "composed elsewhere: the same letters count as different. Bring all texts to one form."
    )
    return (sentence,)


def _decomposed(lines: Sequence[str]) -> int:
    """Lines that are not in form NFC."""
    return sum(not unicodedata.is_normalized("NFC", line) for line in lines)


def too_short_for_bleu(references: Sequence[tuple[str, Sequence[str]]]) -> tuple[str, ...]:
    """Say if BLEU has little to count, where its tokenizer takes words as spaces part them."""
    lines = [line for _, text in references for line in text if line.strip()]
    short = sum(len(line.split()) < _ORDER for line in lines)
    if not lines or short < _MOST_SHORT * len(lines):
        return ()
    sentence = (
        f"{short:,} of {len(lines):,} references have fewer than {_ORDER} words with spaces "
        f"between them: BLEU counts sequences of up to {_ORDER} and is next to 0 whatever the "
        "translation. Look at chrF, or choose a --tokenizer that is made for the language: zh, "
        "ja-mecab, ko-mecab, char."
    )
    return (sentence,)


def _preprocessed(name: str, look: _Look, lines: int) -> list[str]:
    found = []
    if look.spaced > look.attached:
        found.append(
            f"{name} looks tokenised: {look.spaced} full stops or commas stand after a space, "
            f"{look.attached} do not. Scores are meant for plain text: detokenise it."
        )
    if look.escaped:
        found.append(
            f"{name} has marks of a tokeniser (such as &apos; or @-@) in {look.escaped} of "
            f"{lines} lines: detokenise it."
        )
    if look.subwords:
        found.append(
            f"{name} has subword marks (@@ or ▁) in {look.subwords} of {lines} lines: join the "
            "subwords."
        )
    if look.empty:
        found.append(f"{name} has {look.empty} empty lines of {lines}.")
    return found


def _case(looks: Sequence[tuple[str, _Look]]) -> list[str]:
    lowered = [name for name, look in looks if look.lower_cased]
    cased = [name for name, look in looks if look.upper]
    if not lowered:
        return []
    if cased:
        sentence = (
            f"{' and '.join(lowered)} has no capital letter, {' and '.join(cased)} has: every "
            "capital counts as an error. Restore the case, or score with lower-casing and say so."
        )
    else:
        sentence = (
            f"{' and '.join(lowered)} have no capital letter at all: a score of lower-cased texts "
            "is not comparable with one of plain texts."
        )
    return [sentence]
