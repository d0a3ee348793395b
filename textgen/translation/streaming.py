"""One line translated, its translation told while it is searched for."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from textgen.data.tokenizers.stream_decoder import StreamDecoder
from textgen.decoding.binding import Binder
from textgen.decoding.chain import Chain
from textgen.loading import LoadedModel
from textgen.translation.batch import translate_batch
from textgen.translation.grouping import Encoder, Line, SourceLine, TranslationOptions
from textgen.translation.lines import default_length
from textgen.translation.result import Translation
from textgen.translation.words import one_line


def translate_streaming(
    loaded: LoadedModel,
    line: SourceLine,
    chain: Chain,
    options: TranslationOptions,
    on_text: Callable[[str], None],
    *,
    binder: Binder,
) -> Translation:
    """Translate a line, and tell its text as soon as no later step can change it.

    Args:
        loaded: a translator.
        line: without its end.
        chain: how to decode; it gives one translation.
        options: without a shortlist.
        on_text: told pieces whose concatenation is the translation.
        binder: makes chains ready for this model.

    Raises:
        UsageError: if the chain does not suit the model.
    """
    length = options.max_length or default_length(loaded)
    ready = Encoder(loaded, options, length, binder, chain)(0, line)
    writer = _Writer(loaded, ready, on_text)
    (found,) = translate_batch(
        loaded, binder(chain), [ready], options, on_stable_prefix=writer.on_stable_prefix
    )
    writer.tell(found.text[len(writer.written) :])
    return found


class _Writer:
    """Turns the tokens of one translation into text."""

    def __init__(self, loaded: LoadedModel, line: Line, on_text: Callable[[str], None]) -> None:
        self.written = ""
        self._forced = len(line.prefix)
        self._on_text = on_text
        previous = line.prefix[-1] if line.prefix else None
        self._decoder = StreamDecoder(loaded.tokenizer, previous)
        self._tokens = 0  # that were taken in
        if line.prefix and line.tokens:
            self.tell(one_line(line.beginning))

    def on_stable_prefix(self, sources: Tensor, tokens: Tensor, lengths: Tensor) -> None:
        """Take in what is certain; see ``textgen.protocols.OnStablePrefix``."""
        del sources
        for token in tokens[0, self._tokens : int(lengths[0])].tolist():
            if self._tokens >= self._forced:
                self.tell(one_line(self._decoder.push(token)))
            self._tokens += 1

    def tell(self, text: str) -> None:
        """Tell a piece, if it is any."""
        if text:
            self.written += text
            self._on_text(text)
