import contextlib
import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from netwatch.errors import SinkError
from netwatch.export.influx.block import HEADER, Block
from netwatch.export.influx.spool import DISK_AGAIN_S, SEGMENT_S, Spool
from tests.conftest import missing

SETTLE_S = 15.0
SMALL = 1 << 20


def block(number: int, *, lines: int = 10, width: int = 40) -> Block:
    """Lines that do not compress."""
    return Block.of(b"".join(b"%d-%d %s\n" % (number, place, os.urandom(width // 2).hex().encode()) for place in range(lines)), lines)


def first_numbers(text: bytes) -> list[int]:
    return list(dict.fromkeys(int(line.split(b"-")[0]) for line in text.splitlines()))


def taken(spool: Spool, *, at_s: float = 0.0, most_lines: int = 10) -> list[int]:
    """Numbers of the blocks that are read and acknowledged until none is left."""
    numbers: list[int] = []
    while (batch := spool.read(most_lines)) is not None:
        numbers += first_numbers(batch.block.text)
        spool.acknowledge(batch, at_s)
    return numbers


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A file system of so many bytes, in the words of mount."""
    if os.geteuid() != 0:
        missing("a small disk can be mounted only by root")
    disk = folder / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(disk)], check=True)
    try:
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    made = Spool(tmp_path / "spool", limit_bytes=64 * SMALL, settle_s=SETTLE_S)
    made.open()
    yield made
    made.close()


def reopened(spool: Spool) -> Spool:
    spool.close()
    again = Spool(spool.folder, limit_bytes=64 * SMALL, settle_s=SETTLE_S)
    again.open()
    return again


def test_lines_come_out_in_the_order_they_went_in(spool: Spool) -> None:
    for number in range(50):
        spool.append(block(number), now_s=float(number))
    assert spool.unsent_lines == 500
    assert taken(spool) == list(range(50))
    assert spool.unsent_lines == 0


def test_small_blocks_are_read_together_up_to_what_is_asked_for(spool: Spool) -> None:
    for number in range(50):
        spool.append(block(number), now_s=0.0)
    batch = spool.read(100)
    assert batch is not None
    assert (batch.block.lines, first_numbers(batch.block.text)) == (100, list(range(10)))


def test_what_is_not_acknowledged_is_read_again(spool: Spool) -> None:
    spool.append(block(1), now_s=0.0)
    assert spool.read(10) == spool.read(10) != None  # noqa: E711
    assert taken(spool) == [1]


def test_after_a_crash_everything_that_is_kept_is_sent_again_in_order(spool: Spool) -> None:
    for number in range(20):
        spool.append(block(number), now_s=0.0)
    batch = spool.read(50)
    assert batch is not None
    spool.acknowledge(batch, 0.0)
    again = reopened(spool)
    again.append(block(20), now_s=1.0)
    assert again.unsent_lines == 210
    assert taken(again) == list(range(21))
    again.close()


def test_what_was_acknowledged_is_kept_until_the_server_has_had_it_long_enough(spool: Spool) -> None:
    spool.append(block(1), now_s=0.0)
    assert taken(spool, at_s=1.0) == [1]
    spool.settle(SEGMENT_S + 1)
    spool.rewind()
    assert taken(spool, at_s=SEGMENT_S + 2) == [1]
    spool.settle(SEGMENT_S + 2 + SETTLE_S - 0.1)
    assert list(spool.folder.glob("*.lines")) != []
    spool.settle(SEGMENT_S + 2 + SETTLE_S)
    assert list(spool.folder.glob("*.lines")) == []
    spool.rewind()
    assert taken(spool) == []


def test_what_was_not_acknowledged_is_never_deleted_for_its_age(spool: Spool) -> None:
    spool.append(block(1), now_s=0.0)
    spool.settle(1e9)
    assert taken(spool) == [1]


def test_when_it_is_full_the_oldest_goes_first_and_is_counted(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", limit_bytes=SMALL, settle_s=SETTLE_S)
    spool.open()
    for number in range(100):
        spool.append(block(number, lines=1_000), now_s=float(number))
    size = sum(path.stat().st_size for path in spool.folder.glob("*.lines"))
    left = taken(spool, most_lines=1_000)
    assert size <= SMALL
    assert left == list(range(left[0], 100))
    assert spool.dropped["spool_full"] == left[0] * 1_000
    assert left[0] > 0
    spool.close()


def test_what_the_server_has_is_not_counted_as_dropped(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", limit_bytes=SMALL, settle_s=SETTLE_S)
    spool.open()
    for number in range(100):
        spool.append(block(number, lines=1_000), now_s=float(number))
        assert taken(spool, at_s=float(number), most_lines=1_000) == [number]
    assert dict(spool.dropped) == {}
    assert sum(path.stat().st_size for path in spool.folder.glob("*.lines")) <= SMALL
    spool.close()


@pytest.mark.parametrize("cut", [1, HEADER.size - 1, HEADER.size, HEADER.size + 5])
def test_a_block_that_a_crash_cut_is_left_out_and_all_before_it_are_there(spool: Spool, cut: int) -> None:
    for number in range(3):
        spool.append(block(number), now_s=0.0)
    (path,) = spool.folder.glob("*.lines")
    whole = path.stat().st_size
    spool.append(block(3), now_s=0.0)
    spool.close()
    os.truncate(path, whole + cut)
    again = reopened(spool)
    assert taken(again) == [0, 1, 2]
    again.close()


def test_a_damaged_block_is_left_out_and_counted_and_the_others_are_there(spool: Spool) -> None:
    places = []
    for number in range(3):
        spool.append(block(number), now_s=0.0)
        (path,) = spool.folder.glob("*.lines")
        places.append(path.stat().st_size)
    with path.open("r+b") as file:
        file.seek(places[0] + HEADER.size + 20)
        file.write(b"\0\0\0\0\0\0\0\0")
    assert taken(spool) == [0, 2]
    assert dict(spool.dropped) == {"damaged": 10}
    assert spool.unsent_lines == 0


def test_a_file_that_somebody_removed_is_counted_and_passed_over(spool: Spool) -> None:
    spool.append(block(0), now_s=0.0)
    (path,) = spool.folder.glob("*.lines")
    path.unlink()
    assert taken(spool) == []
    assert dict(spool.dropped) == {"unreadable": 10}
    assert os.strerror(errno.ENOENT) in spool.problem


def test_two_netwatches_do_not_share_a_spool(spool: Spool) -> None:
    with pytest.raises(SinkError, match="another netwatch uses this spool"):
        Spool(spool.folder, limit_bytes=SMALL, settle_s=SETTLE_S).open()


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SinkError, match="check state_dir"):
        Spool(tmp_path / "file" / "spool", limit_bytes=SMALL, settle_s=SETTLE_S).open()


@pytest.mark.namespace
def test_while_the_disk_is_full_lines_are_kept_in_memory_and_the_disk_is_used_again_afterwards(tmp_path: Path) -> None:
    with small_disk(tmp_path, "256k") as disk:
        spool = Spool(disk / "spool", limit_bytes=64 * SMALL, settle_s=0.0)
        spool.open()
        for number in range(40):
            spool.append(block(number, lines=500), now_s=0.0)
        assert os.strerror(errno.ENOSPC) in spool.problem
        assert taken(spool, most_lines=500) == list(range(40))
        spool.settle(SEGMENT_S)
        spool.append(block(40), now_s=SEGMENT_S)
        assert spool.problem == ""
        assert taken(spool, at_s=SEGMENT_S) == [40]
        assert dict(spool.dropped) == {}
        spool.close()


@pytest.mark.namespace
def test_when_the_disk_has_room_again_what_was_in_memory_outlives_a_crash(tmp_path: Path) -> None:
    with small_disk(tmp_path, "1m") as disk:
        spool = Spool(disk / "spool", limit_bytes=64 * SMALL, settle_s=0.0)
        spool.open()
        spool.append(block(0), now_s=0.0)
        filling = disk / "filling"
        with contextlib.suppress(OSError):
            filling.write_bytes(bytes(2 * SMALL))
        for number in range(1, 30):
            spool.append(block(number, lines=500), now_s=DISK_AGAIN_S * number / 30)
        assert os.strerror(errno.ENOSPC) in spool.problem
        filling.unlink()
        spool.append(block(30), now_s=2 * DISK_AGAIN_S)
        assert spool.problem == ""
        assert spool.unsent_lines == 29 * 500 + 20
        left = subprocess.run(["cp", "-r", str(spool.folder), str(tmp_path / "left")], check=False)  # as a crash would leave it
        assert left.returncode == 0
        spool.close()
    after = Spool(tmp_path / "left", limit_bytes=64 * SMALL, settle_s=0.0)
    after.open()
    assert taken(after) == list(range(31))
    after.close()
