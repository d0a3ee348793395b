import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textgen.data.tokenizers import (
    ByteTokenizer,
    CharacterTokenizer,
    StreamDecoder,
    TextTokenizer,
    TokenizerConfig,
    WordTokenizer,
    load_tokenizer,
    save_tokenizer,
    train_tokenizer,
)
from textgen.errors import CheckpointError, DataError

LINES = [
    "The quick brown fox jumps over the lazy dog.",
    "Щасливий їжак, ґава й ще п'ять птахів.",
    "Съешь же ещё этих мягких французских булок, да выпей чаю.",
    "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich.",
    "tabs\tand\ttabs, numbers 0123456789, emoji 🙂👩‍👩‍👧.",
]
TEXT = "\n".join(LINES * 3) + "\n"
HARD = [
    "",
    "\n",
    "\r\n",
    "a\r\nb\r\n\r\n",
    "\t\ttabs\t",
    "  two  spaces  ",
    "▁ meta ▁▁ symbol▁",
    "zero\0byte",
    "e\u0301 combining u\u0308\u0304",
    "\u0301 lone accent",
    "👩‍👩‍👧‍👦 family",
    "⁇ <unk> <s> </s> <pad> <0x41>",
    "\u2028 \x85 \u00a0 \ufeff",
    "Ω Å ﬁ ½",
    "▅ block",
]
OPEN = ["bytes", "bpe", "unigram"]


def make(kind: str, normalisation: str = "none") -> TextTokenizer:
    size = 450 if kind in {"bpe", "unigram"} else None
    config = TokenizerConfig(kind=kind, size=size, normalisation=normalisation)
    return train_tokenizer(config, [TEXT, *HARD] if kind == "characters" else [TEXT])


@pytest.fixture(scope="module")
def trained() -> dict[str, TextTokenizer]:
    return {kind: make(kind) for kind in ("characters", "words", *OPEN)}


@pytest.mark.parametrize("kind", ["characters", *OPEN])
@pytest.mark.parametrize("text", HARD)
def test_hard_texts_come_back_exactly(
    trained: dict[str, TextTokenizer], kind: str, text: str
) -> None:
    assert trained[kind].decode(trained[kind].encode(text)) == text


@pytest.mark.parametrize("kind", OPEN)
@settings(max_examples=150, deadline=None)
@given(text=st.text(st.characters(exclude_categories=["Cs"])))
def test_open_vocabularies_bring_any_text_back(
    trained: dict[str, TextTokenizer], kind: str, text: str
) -> None:
    tokens = trained[kind].encode(text)
    assert trained[kind].decode(tokens) == text
    assert all(3 <= token < trained[kind].size for token in tokens)


@settings(max_examples=100, deadline=None)
@given(text=st.text(st.characters(exclude_categories=["Cs"])))
def test_characters_of_the_vocabulary_come_back(text: str) -> None:
    tokenizer = train_tokenizer(TokenizerConfig(normalisation="none"), [text, "x"])
    tokens = tokenizer.encode_array(text)
    assert len(tokens) == len(text)
    assert tokens.dtype == np.int32
    assert tokenizer.decode(tokens.tolist()) == text


@settings(max_examples=150, deadline=None)
@given(text=st.text("ab <unk>\n\t\r\u3000é"))
def test_words_come_back_up_to_white_space(text: str) -> None:
    tokenizer = train_tokenizer(TokenizerConfig(kind="words"), [text, "x"])
    expected = "\n".join(" ".join(line.split()) for line in text.split("\n"))
    assert tokenizer.decode(tokenizer.encode(text)) == expected


@pytest.mark.parametrize("kind", ["characters", "words", *OPEN])
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_the_stream_decoder_gives_the_same_text_for_any_tokens(
    trained: dict[str, TextTokenizer], kind: str, data: st.DataObject
) -> None:
    tokenizer = trained[kind]
    tokens = data.draw(st.lists(st.integers(0, tokenizer.size - 1)))
    decoder = StreamDecoder(tokenizer)
    parts = [decoder.push(token) for token in tokens] + [decoder.flush()]
    assert "".join(parts) == tokenizer.decode(tokens)


def test_the_stream_decoder_holds_back_half_a_character() -> None:
    tokenizer = ByteTokenizer()
    decoder = StreamDecoder(tokenizer)
    assert [decoder.push(token) for token in tokenizer.encode("é!")] == ["", "é", "!"]
    decoder.push(tokenizer.encode("é")[0])
    assert decoder.flush() == "\ufffd"


def test_a_stream_decoder_goes_on_from_a_prompt() -> None:
    tokenizer = train_tokenizer(TokenizerConfig(kind="words"), ["to be\nor"])
    be, newline = tokenizer.encode("be\n")
    assert StreamDecoder(tokenizer, previous=be).push(be) == " be"
    assert StreamDecoder(tokenizer, previous=newline).push(be) == "be"
    assert StreamDecoder(tokenizer, previous=tokenizer.special.bos).push(be) == "be"


@pytest.mark.parametrize("kind", ["characters", "words", *OPEN])
def test_nfc_is_the_form_that_comes_back(kind: str) -> None:
    tokenizer = make(kind, "NFC")
    assert tokenizer.encode("Boxka\u0308mpfer") == tokenizer.encode("Boxkämpfer")
    assert tokenizer.decode(tokenizer.encode("Boxka\u0308mpfer")) == "Boxkämpfer"


@pytest.mark.parametrize("kind", ["characters", "words", *OPEN])
def test_lone_surrogates_do_no_harm(trained: dict[str, TextTokenizer], kind: str) -> None:
    tokens = trained[kind].encode("a \udc80 b")
    assert trained[kind].decode(tokens).encode("utf-8")


@pytest.mark.parametrize("kind", ["characters", "words", *OPEN])
def test_marks_and_pieces(trained: dict[str, TextTokenizer], kind: str) -> None:
    tokenizer = trained[kind]
    assert tokenizer.special[:3] == (0, 1, 2)
    assert tokenizer.special.unknown == (None if kind == "bytes" else 3)
    assert tokenizer.decode([1, *tokenizer.encode("The"), 2, 0, 0]) == "The"
    pieces = [tokenizer.piece(token) for token in range(tokenizer.size)]
    assert pieces[:3] == ["<pad>", "<bos>", "<eos>"]
    assert all(piece and piece.isprintable() for piece in pieces)
    for wrong in (-1, tokenizer.size):
        with pytest.raises(DataError, match=f"no token {wrong}"):
            tokenizer.decode([wrong])


def test_pieces_are_readable() -> None:
    tokenizer = train_tokenizer(TokenizerConfig(normalisation="none"), ["\n\u0301 a"])
    assert [tokenizer.piece(token) for token in tokenizer.encode("\n a\u0301")] == [
        "\\n",
        "␣",
        "a",
        "◌\u0301",
    ]


def test_unseen_characters_are_unknown(trained: dict[str, TextTokenizer]) -> None:
    tokenizer = trained["characters"]
    assert tokenizer.encode("a漢b")[1] == 3
    assert tokenizer.decode(tokenizer.encode("a漢b")) == "a\ufffdb"


def test_characters_are_chosen_by_count_and_ordered_by_code() -> None:
    config = TokenizerConfig(size=6)
    assert train_tokenizer(config, ["cc", "bb", "a"]).to_data()["characters"] == "bc"
    config = TokenizerConfig(minimum_count=2)
    assert train_tokenizer(config, ["cc", "b", "b", "a"]).to_data()["characters"] == "bc"


def test_words_are_chosen_by_count_and_unknown_is_kept_apart() -> None:
    text = "b b b a a a <unk> <unk> <unk> <unk> c c d"
    config = TokenizerConfig(kind="words", minimum_count=2)
    assert train_tokenizer(config, [text]).to_data()["words"] == ["a", "b", "c"]
    small = train_tokenizer(TokenizerConfig(kind="words", size=7), [text])
    assert small.to_data()["words"] == ["a", "b"]
    assert small.encode("a c <unk> b\n") == [5, 3, 3, 6, 4]
    assert small.decode([5, 3, 4, 6]) == "a <unk>\nb"


@pytest.mark.parametrize("kind", ["characters", "words", "bpe", "unigram"])
@pytest.mark.parametrize("texts", [[], [""]])
def test_an_empty_text_is_refused(kind: str, texts: list[str]) -> None:
    with pytest.raises(DataError, match=r"empty|without words"):
        train_tokenizer(TokenizerConfig(kind=kind), texts)


def test_a_vocabulary_of_one_character() -> None:
    tokenizer = train_tokenizer(TokenizerConfig(), ["aaaa"])
    assert tokenizer.size == 5
    assert tokenizer.encode("aab") == [4, 4, 3]


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_a_size_too_small_names_what_is_needed(kind: str) -> None:
    with pytest.raises(DataError, match=r"size is 100, but .* need \d+") as caught:
        train_tokenizer(TokenizerConfig(kind=kind, size=100), [TEXT])
    needed = int(re.search(r"need (\d+)", str(caught.value))[1])
    assert train_tokenizer(TokenizerConfig(kind=kind, size=needed), [TEXT]).size <= needed


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_a_size_too_large_for_the_text_is_cut(kind: str) -> None:
    tokenizer = train_tokenizer(TokenizerConfig(kind=kind), ["just a few words"])
    assert tokenizer.size < 1000
    assert tokenizer.decode(tokenizer.encode("words")) == "words"


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_lines_apart_are_encoded_as_together(trained: dict[str, TextTokenizer], kind: str) -> None:
    tokenizer = trained[kind]
    newline = tokenizer.encode("\n")
    one_by_one = [token for line in LINES for token in [*tokenizer.encode(line), *newline]]
    assert tokenizer.encode("\n".join(LINES) + "\n") == one_by_one
    assert len(newline) == len(tokenizer.encode("\t")) == 1


def test_an_existing_model_is_taken_as_it_is(tmp_path: Path) -> None:
    import io

    import sentencepiece

    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(LINES * 3),
        model_writer=model,
        vocab_size=150,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    path = tmp_path / "other.model"
    path.write_bytes(model.getvalue())
    config = TokenizerConfig(kind="unigram", model=str(path))
    tokenizer = train_tokenizer(config, [])
    assert tokenizer.special == (0, 1, 2, 3)
    assert tokenizer.decode(tokenizer.encode("The quick dog")) == "The quick dog"
    assert tokenizer.decode(tokenizer.encode("The 漢")) == "The \ufffd"
    with pytest.raises(DataError, match="choose bpe or unigram"):
        train_tokenizer(TokenizerConfig(model=str(path)), [])
    path.write_bytes(model.getvalue()[:50])
    with pytest.raises(DataError, match=r"other\.model.*not a SentencePiece model"):
        train_tokenizer(config, [])
    path.unlink()
    with pytest.raises(DataError, match="No such file"):
        train_tokenizer(config, [])


@pytest.mark.parametrize("kind", ["characters", "words", *OPEN])
def test_a_saved_tokenizer_is_the_same(
    trained: dict[str, TextTokenizer], kind: str, tmp_path: Path
) -> None:
    tokenizer = trained[kind]
    save_tokenizer(tokenizer, tmp_path, "source")
    loaded = load_tokenizer(tmp_path, "source")
    assert type(loaded) is type(tokenizer)
    assert loaded.normalisation == "none"
    assert loaded.encode(TEXT) == tokenizer.encode(TEXT)
    assert loaded.fingerprint() == tokenizer.fingerprint()
    assert sorted(path.stem for path in tmp_path.iterdir()) in (["source"], ["source", "source"])


@pytest.mark.parametrize("kind", ["characters", "words", "bpe"])
def test_a_damaged_tokenizer_is_refused(
    trained: dict[str, TextTokenizer], kind: str, tmp_path: Path
) -> None:
    save_tokenizer(trained[kind], tmp_path)
    path = tmp_path / "tokenizer.json"
    whole = path.read_bytes()
    data = json.loads(whole)
    damaged = [whole[: len(whole) // 2], b"", b"[]", b"\xff\xfe"]
    damaged += [json.dumps({**data, "kind": "runes"}).encode()]
    damaged += [json.dumps({**data, "format": 99}).encode()]
    damaged += [json.dumps({**data, key: 7}).encode() for key in data.keys() - {"format"}]
    for bad in damaged:
        path.write_bytes(bad)
        with pytest.raises(CheckpointError, match=r"tokenizer\.(json|model)"):
            load_tokenizer(tmp_path)
    path.unlink()
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_tokenizer(tmp_path)


def test_a_swapped_or_cut_subword_model_is_refused(
    trained: dict[str, TextTokenizer], tmp_path: Path
) -> None:
    save_tokenizer(trained["bpe"], tmp_path)
    save_tokenizer(trained["unigram"], tmp_path, "other")
    path = tmp_path / "tokenizer.model"
    path.write_bytes((tmp_path / "other.model").read_bytes())
    with pytest.raises(CheckpointError, match="not the model that the tokenizer was saved with"):
        load_tokenizer(tmp_path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(CheckpointError, match=r"tokenizer\.model"):
        load_tokenizer(tmp_path)


def test_a_tokenizer_that_cannot_be_written_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    tokenizer = CharacterTokenizer("abc")
    save_tokenizer(tokenizer, tmp_path)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CheckpointError, match="No space left"):
        save_tokenizer(WordTokenizer(["a"]), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["tokenizer.json"]
    assert isinstance(load_tokenizer(tmp_path), CharacterTokenizer)
