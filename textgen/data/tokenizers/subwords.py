r"""Tokens that are subwords, by SentencePiece (Kudo and Richardson 2018).

Models trained here keep every character: no normalisation by SentencePiece, no dummy prefix, no
white space removed, line ends and tabs tokens of their own, and bytes for rare characters. The
meta symbol ``▁`` of a text is encoded by its bytes, so that it does not come back as a space.
An existing model is taken as it is: text comes back up to that model's own normalisation.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Literal

import numpy as np

from textgen.data.tokenizers.base import (
    BOS,
    EOS,
    PAD,
    REPLACEMENT,
    SPECIAL_NAMES,
    UNKNOWN,
    Normalisation,
    TextTokenizer,
    Tokens,
    normal_form,
    visible,
)
from textgen.errors import DataError

SubwordKind = Literal["bpe", "unigram"]

DEFAULT_SIZE = 8000
META = "\N{LOWER ONE EIGHTH BLOCK}"
_SPECIAL = re.compile(f"([{META}\0])")
_SENTENCE = 4000
_SENTENCES = 2_000_000
_NEWLINE = "\n"


class SubwordTokenizer(TextTokenizer):
    """Subwords of a SentencePiece model.

    Token numbers are the model's own if it has pad, bos, eos and unknown at 0 to 3, as models
    trained here do. Otherwise the special tokens come first and the other pieces follow in order.

    Args:
        model: the bytes of a SentencePiece ``.model`` file.
        normalisation: Unicode form that text is brought to before SentencePiece reads it.

    Raises:
        DataError: if the bytes are no SentencePiece model.
    """

    kind = "subwords"

    def __init__(self, model: bytes, normalisation: Normalisation = "NFC") -> None:
        super().__init__(normalisation)
        self.model = model
        self._processor = _load(model)
        self._to_own, self._surfaces, self._pieces = _read_pieces(self._processor)
        ordinary = range(UNKNOWN + 1, len(self._pieces))
        self._by_piece = {self._pieces[number]: number for number in ordinary}
        first = self._processor.encode("a", out_type=str)
        self._prefixed = bool(first) and first[0].startswith(META)
        self._newline = self._number(_NEWLINE)
        self._specials = {each: self._bytes_of(each) for each in (META, "\0")}

    @property
    def size(self) -> int:
        """Number of tokens V, special tokens included."""
        return len(self._pieces)

    def encode_array(self, text: str) -> Tokens:
        """Tokens (T,) int32 of the normalised text."""
        tokens: list[int] = []
        for part in self._parts(text):
            tokens.extend(self._encode_plain(part) if isinstance(part, str) else part)
        return np.array(tokens, dtype=np.int32)

    def restored(self, text: str, *, begins: bool = True, ends: bool = True) -> str:  # noqa: ARG002 - of words
        """The normalised text; of a model that was not trained here what it gives back."""
        if self._newline is None:
            return self.decode(self.encode(text))
        return _replaced(self.normalise(text))

    def surface(self, token: int, previous: int | None) -> bytes:
        """The bytes of the subword; U+FFFD for the unknown token."""
        self._check(token)
        surface = self._surfaces[token]
        if previous is None and self._prefixed:
            return surface.removeprefix(b" ")
        return surface

    def piece(self, token: int) -> str:
        """The subword as people read it, its leading space as ``▁``."""
        self._check(token)
        return SPECIAL_NAMES[token] if token <= UNKNOWN else visible(self._pieces[token])

    def to_data(self) -> dict[str, Any]:
        """The normalisation and a digest of the model."""
        import hashlib

        return {
            "kind": self.kind,
            "normalisation": self.normalisation,
            "sha256": hashlib.sha256(self.model).hexdigest(),
        }

    def scores(self) -> dict[str, float]:
        """The pieces that text is put together from, each with the model's score."""
        processor, found = self._processor, {}
        for number in range(processor.get_piece_size()):
            special = (
                processor.is_control(number)
                or processor.is_unknown(number)
                or processor.is_byte(number)
                or processor.is_unused(number)
            )
            if not special:
                found[processor.id_to_piece(number)] = float(processor.get_score(number))
        return found

    def numbers(self, piece: str) -> list[int]:
        """The token of a piece, or those of its bytes, or the unknown token."""
        number = self._number(piece)
        return [number] if number is not None else self._bytes_of(piece) or [UNKNOWN]

    def plain_parts(self, text: str) -> Iterator[str | list[int]]:
        """A text as SentencePiece sees it, spaces as ``▁``; tokens where none may be joined."""
        for part in self._parts(text):
            yield self._processor.normalize(_replaced(part)) if isinstance(part, str) else part

    def _parts(self, text: str) -> Iterator[str | list[int]]:
        """Text between line ends, and the tokens of line ends and of special characters.

        Cutting at line ends is exact, since they are tokens of their own, and keeps BPE fast.
        """
        text = self.normalise(text)
        if self._newline is None:
            yield from self._special_parts(text)
            return
        first = True
        for line in text.split(_NEWLINE):
            if not first:
                yield [self._newline]
            first = False
            yield from self._special_parts(line)

    def _special_parts(self, text: str) -> Iterator[str | list[int]]:
        special = META in text or "\0" in text
        parts = _SPECIAL.split(text) if special else [text]
        for part in parts:
            if part:
                yield self._specials.get(part) or part

    def _encode_plain(self, text: str) -> list[int]:
        numbers: list[int] = self._processor.encode(_replaced(text))
        return numbers if self._to_own is None else [self._to_own[each] for each in numbers]

    def _number(self, piece: str) -> int | None:
        return self._by_piece.get(piece)

    def _bytes_of(self, character: str) -> list[int]:
        """The byte tokens of a character; empty if the model has none."""
        numbers = [self._number(f"<0x{byte:02X}>") for byte in character.encode()]
        return [each for each in numbers if each is not None]


def train_subwords(
    texts: Iterable[str], *, kind: SubwordKind, size: int | None, normalisation: Normalisation
) -> SubwordTokenizer:
    """Train a SentencePiece model of at most ``size`` tokens (8000 if None).

    At most two million sentences, chosen at random from the texts, are used.

    Raises:
        DataError: if there is no text, or ``size`` is too small for the characters and bytes.
    """
    import io

    import sentencepiece

    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=_sentences(texts, normalisation),
            model_writer=model,
            model_type=kind,
            vocab_size=size or DEFAULT_SIZE,
            hard_vocab_limit=False,
            normalization_rule_name="identity",
            add_dummy_prefix=False,
            remove_extra_whitespaces=False,
            byte_fallback=True,
            user_defined_symbols=["\n", "\t"],
            pad_id=PAD,
            bos_id=BOS,
            eos_id=EOS,
            unk_id=UNKNOWN,
            pad_piece=SPECIAL_NAMES[PAD],
            bos_piece=SPECIAL_NAMES[BOS],
            eos_piece=SPECIAL_NAMES[EOS],
            unk_piece=SPECIAL_NAMES[UNKNOWN],
            input_sentence_size=_SENTENCES,
            shuffle_input_sentence=True,
            max_sentence_length=4 * _SENTENCE,
            num_threads=4,  # fixed: sums depend on how the sentences are shared out
            minloglevel=2,
        )
    except RuntimeError as error:
        raise DataError(_reason(str(error), size or DEFAULT_SIZE)) from None
    return SubwordTokenizer(model.getvalue(), normalisation)


def _reason(message: str, size: int) -> str:
    if "sentences_.empty()" in message:
        return "A subword tokenizer cannot be made from an empty text."
    needed = re.search(r"required_chars\. \d+ vs (\d+)", message)
    if needed:
        return (
            f"tokenizer.size is {size}, but characters, bytes and special tokens of this text need "
            f"{needed[1]}: make it larger."
        )
    return f"SentencePiece cannot be trained on this text: {message}"


def _sentences(texts: Iterable[str], normalisation: Normalisation) -> Iterator[str]:
    """Lines, cut where they are long; characters that SentencePiece reserves become spaces."""
    reserved = str.maketrans({META: " ", "\0": " ", "\t": " ", "\N{LOWER FIVE EIGHTHS BLOCK}": " "})
    for text in texts:
        normal = normal_form(text, normalisation)
        safe = _replaced(normal).translate(reserved)
        for line in safe.split("\n"):
            for start in range(0, len(line), _SENTENCE):
                yield line[start : start + _SENTENCE]


def _replaced(text: str) -> str:
    """The text without lone surrogates, which SentencePiece refuses."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _load(model: bytes) -> Any:
    import sentencepiece

    processor = sentencepiece.SentencePieceProcessor()
    try:
        loaded = bool(model) and processor.LoadFromSerializedProto(model)
    except RuntimeError:
        loaded = False
    if not loaded:
        raise DataError("This is not a SentencePiece model, or it is damaged.")
    return processor


def _read_pieces(processor: Any) -> tuple[list[int] | None, list[bytes], list[str]]:
    """The model's numbers to ours (None if equal), and our tokens' surfaces and pieces."""
    numbers = range(processor.get_piece_size())
    ordinary = [n for n in numbers if not (processor.is_control(n) or processor.is_unknown(n))]
    to_own = [PAD] * len(numbers)
    to_own[processor.unk_id()] = UNKNOWN
    surfaces, pieces = [b"", b"", b"", REPLACEMENT], list(SPECIAL_NAMES)
    for number in ordinary:
        piece = processor.id_to_piece(number)
        to_own[number] = len(pieces)
        pieces.append(piece)
        if processor.is_byte(number):
            surfaces.append(bytes([int(piece[3:5], 16)]))
        else:
            surfaces.append(piece.replace(META, " ").encode())
    special = [processor.pad_id(), processor.bos_id(), processor.eos_id(), processor.unk_id()]
    same = special == [PAD, BOS, EOS, UNKNOWN] and len(ordinary) == len(numbers) - len(special)
    return (None if same else to_own), surfaces, pieces
