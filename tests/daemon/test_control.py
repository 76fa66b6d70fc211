"""The control socket: who may speak to netwatch, and what a client cannot do to it."""

import asyncio
import os
import socket
import stat
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from netwatch.daemon.ask import ask, person
from netwatch.daemon.control import LONGEST_LINE, MOST_CLIENTS, Reply, Request, Wish, control_path, reachable
from netwatch.errors import ControlError, EnforceError, NotRunningError
from tests.conftest import missing
from tests.daemon.serving import Desk, serving

APPROVE = Request(wish=Wish.APPROVE, plan_id="edge-1-1.1", by="alice@pts/0")
SYSTEM_PYTHON = Path("/usr/bin/python3")  # another user cannot read a virtual environment of root's
CLIENT = """
import socket, sys
asking = socket.socket(socket.AF_UNIX)
try:
    asking.connect(sys.argv[1])
    print(asking.recv(4096).decode())
except OSError as error:
    print(error.strerror)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return control_path(tmp_path, "edge-1")


@pytest.fixture
def open_path() -> Iterator[Path]:
    """In a folder that everybody may enter."""
    with tempfile.TemporaryDirectory(prefix="netwatch-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        yield control_path(Path(folder), "edge-1")


def connected(path: Path) -> socket.socket:
    asking = socket.socket(socket.AF_UNIX)
    asking.settimeout(20)
    with reachable(path) as address:
        asking.connect(address)
    return asking


def raw(path: Path, data: bytes) -> bytes:
    """What a client gets that sends whatever it likes."""
    with connected(path) as asking:
        asking.sendall(data)
        asking.shutdown(socket.SHUT_WR)
        return asking.recv(65_536)


def as_nobody(path: Path) -> str:
    words = ["setpriv", "--reuid=65534", "--clear-groups", str(SYSTEM_PYTHON), "-c", CLIENT, str(path)]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def test_a_request_reaches_the_handler_with_the_user_that_the_kernel_vouches_for(path: Path) -> None:
    desk = Desk()
    with serving(path, desk) as server:
        assert ask(path, APPROVE) == Reply(ok=True, text="approve edge-1-1.1")
        assert ask(path, Request(wish=Wish.UNDO, by="a\nb\x1b[2J" + "c" * 500)).text == "undo None"
    assert [request.by for request in desk.asked] == [f"alice@pts/0/{os.getuid()}", f"ab[2J{'c' * 59}/{os.getuid()}"]
    assert server.answered == 2


def test_only_its_own_user_may_open_the_socket_and_it_is_gone_afterwards(path: Path) -> None:
    with serving(path, Desk()):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not path.exists()


def test_another_user_is_refused_by_the_file_and_by_the_kernels_word(open_path: Path) -> None:
    if os.geteuid() != 0 or not SYSTEM_PYTHON.exists():
        missing("to be another user needs root and the system's python3")
    desk = Desk()
    with serving(open_path, desk) as server:
        assert as_nobody(open_path) == "Permission denied\n"
        open_path.chmod(0o666)
        assert "only root and netwatch's own user may speak to it" in as_nobody(open_path)
    assert not desk.asked
    assert server.refused == {"permission": 1}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"approve\n", "malformed"),
        (b'{"wish":"flush"}\n', "malformed"),
        (b'{"wish":"undo","plans":["all"]}\n', "malformed"),
        (b"\xff\xfe\n", "malformed"),
        (b"[" * (LONGEST_LINE + 1), "too long"),
    ],
)
def test_what_is_no_request_is_refused_and_counted_and_the_next_one_is_served(path: Path, data: bytes, reason: str) -> None:
    desk = Desk()
    with serving(path, desk) as server:
        assert b'"ok":false' in raw(path, data)
        assert server.refused == {reason: 1}
        assert ask(path, APPROVE).ok
    assert len(desk.asked) == 1


def test_a_client_that_goes_away_in_the_middle_is_counted(path: Path) -> None:
    with serving(path, Desk()) as server:
        assert raw(path, b'{"wish":"sta') == b""
        assert ask(path, APPROVE).ok
        assert server.refused == {"silent": 1}


def test_clients_that_say_nothing_do_not_keep_others_out_for_good(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("netwatch.daemon.control.REQUEST_WITHIN_S", 0.5)
    with serving(path, Desk()) as server, ExitStack() as idle:
        silent = [idle.enter_context(connected(path)) for _ in range(MOST_CLIENTS)]
        assert "try again" in ask(path, APPROVE).text
        assert [one.recv(10) for one in silent] == [b""] * MOST_CLIENTS
        assert ask(path, APPROVE).ok
    assert server.refused == {"busy": 1, "silent": MOST_CLIENTS}


def test_an_error_of_the_handler_is_the_answer(path: Path) -> None:
    async def fail(_: Request) -> Reply:
        raise EnforceError("the firewall is gone")

    with serving(path, fail):
        assert ask(path, APPROVE) == Reply(ok=False, text="the firewall is gone")


def test_an_engine_that_is_stuck_is_told_from_one_that_is_not_there(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def ponder(_: Request) -> Reply:
        await asyncio.sleep(60)
        return Reply(ok=True, text="at last")

    with serving(path, ponder):
        monkeypatch.setattr("netwatch.daemon.control.REPLY_WITHIN_S", 0.3)
        assert "did not get to it" in ask(path, APPROVE).text
        monkeypatch.setattr("netwatch.daemon.control.REPLY_WITHIN_S", 10.0)
        with pytest.raises(ControlError, match=r"runs and did not answer within 0\.3 s"):
            ask(path, APPROVE, timeout_s=0.3)


def test_where_nobody_listens_it_says_what_to_do(path: Path) -> None:
    with pytest.raises(NotRunningError, match=r"no netwatch runs here .*edge-1\.control.*netwatch run"):
        ask(path, APPROVE)
    with pytest.raises(NotRunningError):
        ask(path.parent / "nowhere" / path.name, APPROVE)


def test_the_socket_of_a_netwatch_that_was_killed_is_replaced(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead, reachable(path) as address:
        dead.bind(address)
    with pytest.raises(NotRunningError):
        ask(path, APPROVE)
    with serving(path, Desk()):
        assert ask(path, APPROVE).ok


def test_a_file_that_is_no_socket_is_left_alone(path: Path) -> None:
    path.write_text("precious")
    threads = threading.active_count()
    with pytest.raises(ControlError, match="is no socket"), serving(path, Desk()):
        pass
    assert path.read_text() == "precious"
    assert threading.active_count() == threads


def test_a_long_state_dir_and_any_firewall_name_can_be_served(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 40)
    folder.mkdir()
    path = control_path(folder, "edge/1 of Zürich")
    with serving(path, Desk()):
        assert path.parent == folder
        assert ask(path, APPROVE).ok


def test_the_person_is_named_by_account_and_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_USER", "alice")
    assert person().partition("@")[0] == "alice"
    monkeypatch.delenv("SUDO_USER")
    assert person().partition("@")[0] == "root" or os.getuid()
