"""One netwatch for each firewall and state_dir; a dead one holds nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

from netwatch.errors import StoreError
from netwatch.store.lock import Lock

HOLD = """
import sys, time
from pathlib import Path
from netwatch.store.lock import Lock
Lock(Path(sys.argv[1]), "edge-1").acquire()
print("held", flush=True)
time.sleep(60)
"""


def test_a_second_netwatch_is_refused_with_the_process_that_holds_it(tmp_path: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(StoreError, match=rf"process {holder.pid}\) already watches firewall edge-1 with state_dir {tmp_path}"):
            Lock(tmp_path, "edge-1").acquire()
        with Lock(tmp_path, "edge-2"):
            pass
    finally:
        holder.kill()
        holder.communicate()
    with Lock(tmp_path, "edge-1") as mine:
        assert mine.path.read_text().strip().isdigit()


def test_a_released_lock_can_be_taken_again(tmp_path: Path) -> None:
    lock = Lock(tmp_path / "state", "edge-1")
    lock.acquire()
    with pytest.raises(StoreError, match="already watches"):
        Lock(tmp_path / "state", "edge-1").acquire()
    lock.release()
    lock.release()
    with Lock(tmp_path / "state", "edge-1"):
        pass


def test_a_folder_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    with pytest.raises(StoreError, match="the lock of firewall edge-1 cannot be opened"):
        Lock(tmp_path / "state", "edge-1").acquire()
