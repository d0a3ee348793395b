import pytest
from hypothesis import given
from hypothesis import strategies as st

from textgen.data.documents import Texts
from textgen.data.splitting import hold_out
from textgen.errors import DataError


@given(st.text("ab\n", min_size=20, max_size=60), st.sampled_from([0.1, 0.25, 0.5]))
def test_a_stream_is_cut_where_int_says(text: str, share: float) -> None:
    train, valid = hold_out(Texts([text]), share)
    border = int(len(text) * (1 - share))
    assert ("".join(train.documents()), "".join(valid.documents())) == (
        text[:border],
        text[border:],
    )


def test_a_stream_of_documents_is_cut_inside_one() -> None:
    train, valid = hold_out(Texts(["abcd", "efgh"]), 0.25)
    assert list(train.documents()) == ["abcd", "ef"]
    assert list(valid.documents()) == ["gh"]


@given(st.lists(st.text("ab ", max_size=4), min_size=1, max_size=30), st.floats(0.05, 0.6))
def test_lines_never_leak(lines: list[str], share: float) -> None:
    kept = [line for line in lines if line.strip()]
    source = Texts(["\n".join(lines)])
    if len({line.strip() for line in kept}) < 2:
        with pytest.raises(DataError, match="two different lines"):
            hold_out(source, share, "lines")
        return
    train, valid = (list(part.documents()) for part in hold_out(source, share, "lines"))
    assert train
    assert valid
    assert sorted(train + valid) == sorted(kept)
    assert not {line.strip() for line in train} & {line.strip() for line in valid}


def test_the_share_of_lines_is_met_on_average() -> None:
    source = Texts(["\n".join(f"line {number}" for number in range(5000))])
    _, valid = hold_out(source, 0.1, "lines")
    assert 400 < len(list(valid.documents())) < 600


@pytest.mark.parametrize("share", [0, 1, -0.1, float("nan")])
def test_a_share_outside_its_range_is_refused(share: float) -> None:
    with pytest.raises(DataError, match="between 0 and 1"):
        hold_out(Texts(["text"]), share)


def test_a_text_too_short_is_refused() -> None:
    with pytest.raises(DataError, match="too few"):
        hold_out(Texts(["a"]), 0.1)
