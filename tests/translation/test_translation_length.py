"""How long a translation may become."""

import pytest

from textgen.errors import UsageError
from textgen.translation import MaxLength


@pytest.mark.parametrize(
    ("text", "of_seven"),
    [("2x+10", 24), ("1.5x", 11), ("100", 100), ("+5", 5), (" 2x + 1 ", 15), ("0.01x", 1)],
)
def test_lengths_that_people_write(text: str, of_seven: int) -> None:
    assert MaxLength.parse(text).of(7) == of_seven


@pytest.mark.parametrize("text", ["", "x", "0", "0x+0", "-3", "2x10", "2y", "1e9", "²x", "2x+"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="Allowed: 2x"):
        MaxLength.parse(text)


def test_a_length_is_written_as_it_is_read() -> None:
    length = MaxLength(1.5, 3)
    assert MaxLength.parse(str(length)) == length
