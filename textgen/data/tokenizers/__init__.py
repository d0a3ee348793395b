"""Tokenizers: text to token numbers and back, one small protocol for every kind."""

from textgen.data.tokenizers.base import TextTokenizer, TokenizerConfig
from textgen.data.tokenizers.characters import CharacterTokenizer
from textgen.data.tokenizers.labels import LabelTokenizer
from textgen.data.tokenizers.raw_bytes import ByteTokenizer
from textgen.data.tokenizers.saving import load_tokenizer, save_tokenizer
from textgen.data.tokenizers.stream_decoder import StreamDecoder
from textgen.data.tokenizers.subwords import SubwordTokenizer
from textgen.data.tokenizers.training import train_tokenizer
from textgen.data.tokenizers.words import WordTokenizer

__all__ = [
    "ByteTokenizer",
    "CharacterTokenizer",
    "LabelTokenizer",
    "StreamDecoder",
    "SubwordTokenizer",
    "TextTokenizer",
    "TokenizerConfig",
    "WordTokenizer",
    "load_tokenizer",
    "save_tokenizer",
    "train_tokenizer",
]
