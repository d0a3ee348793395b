"""What a caller gives to read from: files by their paths, or sources."""

from __future__ import annotations

from pathlib import Path

from textgen.arguments import shortened
from textgen.data.documents import TextSource
from textgen.data.encodings import UTF8
from textgen.errors import UsageError


def opened(
    text: str | Path | TextSource | list[str | Path],
    column: str | None = None,
    encoding: str = UTF8,
) -> TextSource:
    """A text by its path or paths, or a source of text as it is.

    Raises:
        UsageError: if there is no such file.
        DataError: if it cannot be read.
    """
    if not isinstance(text, str | Path | list):
        if not hasattr(text, "pieces"):
            raise UsageError(f"Expected a path or a source of text, not {type(text).__name__}.")
        return text
    from textgen.data.opening import open_text

    for path in text if isinstance(text, list) else [text]:
        if not _exists(path):
            raise UsageError(
                f"There is no file {shortened(str(path))!r}. A text that is no path is given as "
                "textgen.Texts([text])."
            )
    return open_text(text, column=column, encoding=encoding)


def _exists(path: str | Path) -> bool:
    try:
        return Path(path).exists()
    except (OSError, ValueError):
        return False  # a long text, or one with zero bytes, is no path
