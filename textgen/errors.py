"""The exceptions of textgen, one tree.

```
TextgenError                anything that went wrong and is the caller's to know
├── UsageError              the request itself is wrong (command line: exit code 2)
│   ├── ConfigError         configuration values, all of them at once
│   └── PluginError         an unknown, duplicate, broken or misbehaving plugin
├── DataError               a corpus, a text file or a tokenizer's input
├── CheckpointError         a model folder that is missing, damaged or foreign
├── OutOfMemoryError        more memory is asked for than there is
└── TrainingError           training that cannot go on (loss not finite, disk full)
```

``Terminated`` stands beside them: it is a KeyboardInterrupt.
"""

from __future__ import annotations

import contextlib
import difflib
import re
from collections.abc import Iterable, Iterator


class TextgenError(Exception):
    """Base of all errors that textgen raises on purpose; its text is meant for people."""


class UsageError(TextgenError):
    """The request is wrong: an option, a name or a value."""


class ConfigError(UsageError):
    """Configuration values are wrong.

    Attributes:
        problems: one sentence for each wrong value, each naming its path.
    """

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class PluginError(UsageError):
    """A plugin is unknown, defined twice, cannot be loaded, or breaks its contract."""


class DataError(TextgenError):
    """A corpus or a text cannot be read or used."""


class CheckpointError(TextgenError):
    """A model folder is missing, incomplete, damaged or of another kind."""


class TrainingError(TextgenError):
    """Training cannot go on."""


class OutOfMemoryError(TextgenError):
    """More memory is asked for than there is."""


_SHORT_OF_MEMORY = re.compile(
    r"can't allocate memory|not enough memory|out of memory|Storage size calculation overflowed"
    r"|integer multiplication overflow"
)


@contextlib.contextmanager
def memory_errors_told() -> Iterator[None]:
    """Raise a lack of memory as what it is, whatever torch or the checks of plugins made of it.

    Raises:
        OutOfMemoryError: for a MemoryError, a RuntimeError of torch's allocators, and for an error
            that was raised from one of these.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, OutOfMemoryError) or not _is_short_of_memory(error):
            raise
        raise OutOfMemoryError(
            "There is not enough memory. Fewer results, a narrower beam or a smaller batch needs "
            "less; in training a smaller model.hidden, training.batch or training.bptt_length."
        ) from error


def _is_short_of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError):
        return True
    if isinstance(error, RuntimeError) and _SHORT_OF_MEMORY.search(str(error)):
        return True
    return error.__cause__ is not None and _is_short_of_memory(error.__cause__)


class Terminated(KeyboardInterrupt):
    """SIGTERM came, and what is to be saved has been."""


def nearest(name: str, allowed: Iterable[str]) -> str:
    """Say what was meant and what is allowed, for the end of an error message.

    Args:
        name: what was given.
        allowed: the names that would have been right.

    Returns:
        " Did you mean 'x'?" where one is near, and the list of allowed names.
    """
    names = sorted(allowed)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return f"{hint} Allowed: {', '.join(names) or 'none'}."
