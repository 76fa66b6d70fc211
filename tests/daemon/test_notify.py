"""The words that systemd waits for, on a socket as it makes them."""

import os
import socket
from pathlib import Path

import pytest

from netwatch.daemon.notify import Notifier


@pytest.mark.parametrize("abstract", [False, True])
def test_systemd_is_told_each_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, abstract: bool) -> None:
    name = f"@netwatch-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(name.replace("@", "\0", 1))
        manager.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        notifier = Notifier()
        notifier.ready("watches eth0\nof edge-1")
        notifier.alive()
        notifier.status("2 incidents")
        notifier.stopping()
        notifier.close()
        said = [manager.recv(4096).decode() for _ in range(4)]
    assert said == ["READY=1\nSTATUS=watches eth0 of edge-1", "WATCHDOG=1", "STATUS=2 incidents", "STOPPING=1"]
    assert "NOTIFY_SOCKET" not in os.environ


def test_without_systemd_nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notifier = Notifier()
    notifier.ready()
    notifier.alive()
    notifier.close()
    assert notifier.failed == 0


def test_a_manager_that_went_away_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    notifier = Notifier()
    notifier.alive()
    assert notifier.failed == 1
    notifier.close()
