"""Files are replaced whole; links, pipes, permissions and standard streams are respected."""

import errno
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from textgen import atomic
from textgen.errors import CheckpointError, DataError


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_file_follows_the_umask_and_an_old_one_keeps_its_mode(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        atomic.write_text(tmp_path / "new", "ä\n")
        (tmp_path / "old").write_text("old")
        (tmp_path / "old").chmod(0o664)
        atomic.write_bytes(tmp_path / "old", b"new")
    finally:
        os.umask(before)
    assert (tmp_path / "new").read_bytes() == "ä\n".encode()
    assert (tmp_path / "old").read_bytes() == b"new"
    assert (mode(tmp_path / "new"), mode(tmp_path / "old")) == (0o600, 0o664)
    assert {path.name for path in tmp_path.iterdir()} == {"new", "old"}


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    target = tmp_path / "folder" / "target"
    for content in (b"first", b"second"):  # the first finds no target
        (tmp_path / "link").unlink(missing_ok=True)
        (tmp_path / "link").symlink_to(target)
        atomic.write_bytes(tmp_path / "link", content)
        assert (tmp_path / "link").is_symlink()
        assert target.read_bytes() == content


def test_a_named_pipe_is_written_to(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append((tmp_path / "pipe").read_bytes()))
    reader.start()
    with atomic.open_text(tmp_path / "pipe") as file:
        file.write("0-0 1-1\n")
    reader.join()
    assert read == [b"0-0 1-1\n"]
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


@pytest.mark.parametrize("mode", ["ab", "wb"])
def test_standard_output_that_is_a_file_goes_on(tmp_path: Path, mode: str) -> None:
    code = (
        "from textgen import atomic; from pathlib import Path; import os, sys\n"
        "os.write(1, b'before\\n')\n"
        "for name in ('/dev/stdout', sys.argv[1]):\n"
        "    atomic.write_text(Path(name), 'one\\n')\n"
        "with atomic.open_text(Path('/dev/stdout')) as file:\n"
        "    file.write('two\\n')\n"
        "os.write(1, b'after\\n')\n"
    )
    with (tmp_path / "out").open(mode) as file:
        command = [sys.executable, "-c", code, str(tmp_path / "out")]
        subprocess.run(command, stdout=file, check=True)
    assert (tmp_path / "out").read_text() == "before\none\none\ntwo\nafter\n"


def test_what_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def full(beside: Path) -> None:
        beside.write_text("ne")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(CheckpointError, match=r"file: .*No space left.*before is untouched"):
        atomic.write(path, full, CheckpointError)
    with pytest.raises(ZeroDivisionError), atomic.open_text(path) as file:
        file.writelines(str(1 // number) for number in (1, 0))
    assert path.read_text() == "old"
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_a_stream_replaces_its_file_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with atomic.open_text(path) as file:
        file.write("new\n")
        assert path.read_text() == "old"
    assert path.read_text() == "new\n"


@pytest.mark.parametrize("name", ["no/where", "folder"])
def test_places_that_cannot_be_written_are_told(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError, match=f"{name}: cannot be written: (No such file|Is a dir)"):
        atomic.write_text(tmp_path / name, "x")
    with (
        pytest.raises(DataError, match=f"{name}: cannot be written"),
        atomic.open_text(tmp_path / name),
    ):
        pass


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_device_is_told_by_name() -> None:
    with (
        pytest.raises(DataError, match="/dev/full: cannot be written: No space left"),
        atomic.open_text(Path("/dev/full")) as file,
    ):
        file.write("x\n")
