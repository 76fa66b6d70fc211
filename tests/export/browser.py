"""A headless Chromium, spoken to over its debugging pipe (Chrome DevTools Protocol): what a page says, asks for and looks like.

The pipe needs no port and no library: messages are JSON, each ended by a zero byte, written to the browser's descriptor 3 and read from 4.
"""

import base64
import contextlib
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.conftest import missing

ANSWER_S = 60.0
LAUNCH = "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execvp(sys.argv[3], sys.argv[3:])"
FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--remote-debugging-pipe",
]


@dataclass
class Page:
    """One tab: what was seen of it so far, and questions to it."""

    read_fd: int
    write_fd: int
    session: str = ""
    complaints: list[str] = field(default_factory=list)  # errors of the console, of scripts and of the content policy
    requests: list[str] = field(default_factory=list)  # every address it asked for
    _buffer: bytes = b""
    _last_id: int = 0
    _loaded: bool = False

    def open(self, path: Path, *, width: int, height: int = 900, dark: bool = False) -> None:
        """Load a file in a window of this size and wait until it has settled."""
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        self.complaints.clear()
        self.requests.clear()
        self._loaded = False
        self.ask("Page.navigate", url=path.as_uri())
        while not self._loaded:
            self._take(self._receive())
        self.value("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))")

    def value(self, expression: str) -> Any:
        """What an expression is in the page."""
        answer = self.ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def screenshot(self) -> bytes:
        """The whole page as PNG."""
        height = min(16_000, int(self.value("document.documentElement.scrollHeight")))
        clip = {"x": 0, "y": 0, "width": self.value("innerWidth"), "height": height, "scale": 1}
        return base64.b64decode(self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)["data"])

    def mouse(self, kind: str, x: float, y: float, *, pressed: bool = False) -> None:
        """A mouse event: mouseMoved, mousePressed or mouseReleased."""
        button = "left" if pressed or kind != "mouseMoved" else "none"
        self.ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, button=button, buttons=int(pressed), clickCount=1)

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        self._last_id += 1
        message: dict[str, Any] = {"id": self._last_id, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.write_fd, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._last_id:
                assert "error" not in answer, f"{method}: {answer['error']}"
                result: dict[str, Any] = answer["result"]
                return result
            self._take(answer)

    def _take(self, event: dict[str, Any]) -> None:
        params = event.get("params", {})
        match event.get("method"):
            case "Page.loadEventFired":
                self._loaded = True
            case "Network.requestWillBeSent":
                self.requests.append(params["request"]["url"])
            case "Runtime.consoleAPICalled" | "Runtime.exceptionThrown":
                self.complaints.append(json.dumps(params))
            case "Log.entryAdded":
                self.complaints.append(params["entry"]["text"])

    def _receive(self) -> dict[str, Any]:
        end = time.monotonic() + ANSWER_S
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self.read_fd], [], [], max(0.0, end - time.monotonic()))
            chunk = os.read(self.read_fd, 1 << 20) if ready else b""
            if not chunk:
                raise TimeoutError("Chromium did not answer")
            self._buffer += chunk
        message, _, self._buffer = self._buffer.partition(b"\0")
        parsed: dict[str, Any] = json.loads(message)
        return parsed


@contextlib.contextmanager
def page() -> Iterator[Page]:
    """A tab of a browser of its own, which is gone afterwards."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        missing("Chromium is not installed")
        raise AssertionError("missing() does not return")
    commands_read, commands_write = _high_pipe()
    events_read, events_write = _high_pipe()
    with tempfile.TemporaryDirectory(prefix="netwatch-chromium-", ignore_cleanup_errors=True) as profile:
        words = [sys.executable, "-c", LAUNCH, str(commands_read), str(events_write), program, *FLAGS, f"--user-data-dir={profile}"]
        quiet = subprocess.DEVNULL
        process = subprocess.Popen(words, stdout=quiet, stderr=quiet, pass_fds=(commands_read, events_write), start_new_session=True)
        os.close(commands_read)
        os.close(events_write)
        try:
            yield _first_tab(Page(events_read, commands_write))
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            os.close(commands_write)
            os.close(events_read)


def _first_tab(tab: Page) -> Page:
    target = tab.ask("Target.createTarget", url="about:blank")["targetId"]
    tab.session = tab.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
    for domain in ("Page", "Runtime", "Log", "Network"):
        tab.ask(f"{domain}.enable")
    return tab


def _high_pipe() -> tuple[int, int]:
    """A pipe whose ends cannot be the descriptors 3 and 4 that the browser's are copied to."""
    ends = os.pipe()
    moved = tuple(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends)
    for end in ends:
        os.close(end)
    return moved[0], moved[1]
