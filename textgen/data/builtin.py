"""Text that every Python brings along: its language reference, and its standard library."""

from __future__ import annotations

import sys
import sysconfig
import tokenize
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from pathlib import Path

from textgen.data.documents import Part, Piece, Texts, TextSource, digest
from textgen.data.splits import Splits
from textgen.errors import DataError

_NOT_LIBRARY = {"test", "tests", "idle_test", "site-packages", "dist-packages", "__pycache__"}


def python_reference() -> Splits:
    """The Python language reference: first 90 % to train on, 5 % to judge by, 5 % to test on.

    Raises:
        DataError: if this Python lacks ``pydoc_data.topics``.
    """
    try:
        from pydoc_data.topics import topics
    except ImportError:
        raise DataError("This Python was installed without pydoc_data.topics.") from None
    whole = Texts([topics[name] for name in sorted(topics)], "python-reference")
    length = sum(len(piece.text) for piece in whole.pieces())
    first, second = int(length * 0.9), int(length * 0.95)
    return Splits(
        Part(whole, 0, first, "python-reference (train)"),
        Part(whole, first, second, "python-reference (valid)"),
        Part(whole, second, length, "python-reference (test)"),
    )


def python_library() -> Splits:
    """The source of the standard library, whole files: 90 % to train on, 5 % valid, 5 % test.

    A file's part is decided by a hash of its name, so it is the same everywhere. Tests of the
    library are left out.

    Raises:
        DataError: if this Python brings no source files.
    """
    folder = Path(sysconfig.get_path("stdlib"))
    names = sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*.py")
        if not _NOT_LIBRARY.intersection(path.relative_to(folder).parts) and path.stat().st_size
    )
    parts: dict[str, list[str]] = {"train": [], "valid": [], "test": []}
    for name in names:
        number = blake2b(name.encode(), digest_size=1).digest()[0] % 20
        parts["valid" if number == 0 else "test" if number == 1 else "train"].append(name)
    if not all(parts.values()):
        raise DataError(f"{folder}: this Python brings no source of its library.")
    train, valid, test = (
        PythonFiles(folder, part, f"python-library ({name})") for name, part in parts.items()
    )
    return Splits(train, valid, test)


class PythonFiles(TextSource):
    """Python source files, each a document."""

    def __init__(self, folder: Path, names: Sequence[str], name: str) -> None:
        self.folder, self.names = folder, tuple(names)
        self._name = name

    @property
    def name(self) -> str:
        """What the files are called in messages."""
        return self._name

    def pieces(self) -> Iterator[Piece]:
        """Each file as one piece, decoded as Python decodes it."""
        for name in self.names:
            try:
                with tokenize.open(self.folder / name) as file:
                    text = file.read()
            except (OSError, SyntaxError, UnicodeDecodeError) as error:
                raise DataError(f"{self.folder / name}: cannot be read: {error}.") from None
            yield Piece(text, ends_document=True)

    def fingerprint(self) -> str:
        """A digest of Python's version and the files' names."""
        return digest([sys.version, str(self.folder), *self.names])
