"""What a caller gives to read from: files by their paths, or sources."""

from __future__ import annotations

from pathlib import Path

from textgen.data.documents import TextSource
from textgen.data.encodings import UTF8
from textgen.errors import UsageError


def opened(
    text: str | Path | TextSource, column: str | None = None, encoding: str = UTF8
) -> TextSource:
    """A text by its path, or a source of text as it is.

    Raises:
        UsageError: if there is no such file.
        DataError: if it cannot be read.
    """
    if not isinstance(text, str | Path):
        if not hasattr(text, "pieces"):
            raise UsageError(f"Expected a path or a source of text, not {type(text).__name__}.")
        return text
    from textgen.data.files import open_text

    try:
        exists = Path(text).exists()
    except (OSError, ValueError):
        exists = False  # a long text is no path
    if not exists:
        raise UsageError(
            f"There is no file {str(text)[:80]!r}. A text that is no path is given as "
            "textgen.Texts([text])."
        )
    return open_text(text, column=column, encoding=encoding)
