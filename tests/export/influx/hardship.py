"""All that can happen to a sink, one after the other, while it writes to a real server: what is in the database afterwards?

The server stands behind a gate that notes in what order points arrive for the first time, and that can refuse or dawdle in its place. The
network between is a link between two namespaces that can be cut, the disk of the writer is a small one that can be filled.
"""

import gzip
import http.client
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import msgspec

from netwatch.export.influx.settings import InfluxDb1Settings, InfluxDbSettings
from netwatch.kernel.namespace import entered
from tests.collect.namespaces import add_veth, namespaces, run, within
from tests.conftest import ROOT
from tests.export.alerts.receivers import Answer, Receiver, serving
from tests.export.influx.teller import BASE_S, Telling
from tests.export.servers import Influx1, VictoriaMetrics, started

WRITER, DATABASE, PORT = "10.9.0.1", "10.9.0.2", 8400
TIMEOUT_S = 1.0
PATIENCE_S = 90.0
DISK = "8m"
CUT = f"add table ip cut\nadd chain ip cut input {{ type filter hook input priority 0; }}\nadd rule ip cut input ip saddr {WRITER} drop\n"


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the points."""

    offered: int  # events
    points: int  # of each
    lost: tuple[int, ...]  # events of which any point is missing in the database
    excused: tuple[int, ...]  # those offered in the last second before netwatch was killed
    first_arrivals: tuple[int, ...]  # events in the order in which the database first got them
    base_kib: int  # memory of a writer that has written a second
    peak_kib: int
    troubles: tuple[str, ...]
    took_s: float

    @property
    def stored_points(self) -> int:
        return (self.offered - len(self.lost)) * self.points


class Gate(Receiver):
    """Passes requests on to the server, unless a test has it answer in its place."""

    def __init__(self, server_port: int) -> None:
        super().__init__()
        self.instead: Answer | None = None
        self.first_arrivals: list[int] = []
        self._seen: set[int] = set()
        self._server_port = server_port

    def answer_to(self, request: BaseHTTPRequestHandler, body: bytes) -> Answer:
        if self.instead is not None:
            return self.instead
        server = http.client.HTTPConnection("127.0.0.1", self._server_port, timeout=20)
        try:
            server.request(request.command, request.path, body, dict(request.headers))
            status = server.getresponse().status
        except OSError:
            return Answer(hang_up=True)
        finally:
            server.close()
        if status == 204:
            with self.lock:
                self._note(gzip.decompress(body))
        return Answer(status=status, body="")

    def _note(self, text: bytes) -> None:
        for line in text.splitlines():
            if b"stage=capture " in line:
                number = int(line.rpartition(b" ")[2]) // 1000 - BASE_S
                if number not in self._seen:
                    self._seen.add(number)
                    self.first_arrivals.append(number)


class Writer:
    """The process that writes, read as it goes."""

    def __init__(self, namespace: str, telling: Telling) -> None:
        words = [sys.executable, "-m", "tests.export.influx.teller", msgspec.json.encode(telling).decode()]
        with entered(namespace):
            self._process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        self.offered: list[tuple[float, int]] = []
        self.farewell = ""
        self.base_kib = self.peak_kib = 0
        self._first = telling.first
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as said:
            for line in said:
                if line.strip().isdigit():
                    self.offered.append((time.monotonic(), int(line)))
                else:
                    self.farewell = line.strip()

    @property
    def newest(self) -> int:
        return self.offered[-1][1] if self.offered else self._first - 1

    def look_at_memory(self) -> None:
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        self.peak_kib = int(status.partition("VmHWM:")[2].split()[0])
        self.base_kib = self.base_kib or self.peak_kib

    def kill(self) -> list[int]:
        """Kill it; the events that it was offered in its last second."""
        killed_s = time.monotonic()
        self._process.send_signal(signal.SIGKILL)
        self.join()
        return [number for at_s, number in self.offered if at_s > killed_s - 1.0]

    def join(self) -> None:
        self._process.wait(PATIENCE_S)
        self._reader.join()


def undergo(folder: Path, kind: str, *, events: int, points: int, pause_s: float, cut_s: float) -> Account:
    """Tell a sink events while everything happens to it.

    Args:
        folder: for the database's files, and the mount point of the writer's disk.
        kind: ``influxdb`` writes to VictoriaMetrics, ``influxdb1`` to InfluxDB 1.x.
        events: how many in all; if they are not enough to last through everything, the rest of the troubles comes when they are told.
        points: of each event.
        pause_s: between two events.
        cut_s: how long the network is cut.
    """
    with namespaces("writer", "database") as (writer_place, database_place), disk(folder) as state_dir:
        add_veth(writer_place, database_place, addresses=(f"{WRITER}/24", f"{DATABASE}/24"))
        server: VictoriaMetrics | Influx1
        server = VictoriaMetrics(database_place, folder / "db") if kind == "influxdb" else Influx1(database_place, folder / "db")
        gate = Gate(8428 if kind == "influxdb" else 8086)
        with started(server), entered(database_place), serving(gate, host=DATABASE, port=PORT):
            if isinstance(server, Influx1):
                server.create("nw")
            telling = Telling(settings=settings(kind), state_dir=str(state_dir), last=events - 1, exporters=points - 2, pause_s=pause_s)
            story = _Story(writer_place, database_place, server, gate, telling, state_dir)
            try:
                return story.through(cut_s)
            finally:
                story.end()


def settings(kind: str) -> InfluxDbSettings | InfluxDb1Settings:
    url = f"http://{DATABASE}:{PORT}"
    if kind == "influxdb":
        return InfluxDbSettings(url=url, org="noc", bucket="nw", timeout_s=TIMEOUT_S)
    return InfluxDb1Settings(url=url, database="nw", timeout_s=TIMEOUT_S)


@contextmanager
def disk(folder: Path) -> Iterator[Path]:
    """A small disk of its own."""
    place = folder / "disk"
    place.mkdir()
    run("mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(place))
    try:
        yield place
    finally:
        run("umount", str(place))


class _Story:
    def __init__(
        self, writer_place: str, database_place: str, server: VictoriaMetrics | Influx1, gate: Gate, telling: Telling, state_dir: Path
    ) -> None:
        self._writer_place, self._database_place = writer_place, database_place
        self._server, self._gate, self._telling, self._state_dir = server, gate, telling, state_dir
        self._writer = Writer(writer_place, telling)
        self._troubles: list[str] = []
        self._begin_s = time.monotonic()

    def end(self) -> None:
        """Nothing goes on, whatever failed."""
        self._writer.kill()

    def through(self, cut_s: float) -> Account:
        self._arrives("at first")
        self._writer.look_at_memory()
        self._server.kill()
        self._trouble("the server is killed", 1.0)
        self._server.start()
        self._arrives("after the server was killed")
        for name, answer in (
            ("401", Answer(status=401, body="")),
            ("500", Answer(status=500, body="")),
            ("a server that is too slow", Answer(status=204, after_s=2 * TIMEOUT_S, hang_up=True)),
        ):
            self._gate.instead = answer
            self._trouble(name, 0.8 if answer.after_s == 0 else 3 * TIMEOUT_S)
            self._gate.instead = None
        self._arrives("after it refused")
        self._cut(cut_s)
        self._arrives("after the network was cut")
        excused = self._killed()
        self._arrives("after netwatch was killed")
        self._writer.join()
        assert self._writer.farewell.startswith("sent dropped=0"), self._writer.farewell
        peak_kib = max(self._writer.peak_kib, int(self._writer.farewell.rpartition("=")[2]))
        stored = self._stored()
        offered = (self._telling.last or 0) + 1
        return Account(
            offered=offered,
            points=self._telling.exporters + 2,
            lost=tuple(number for number in range(offered) if number not in stored),
            excused=tuple(excused),
            first_arrivals=tuple(self._gate.first_arrivals),
            base_kib=self._writer.base_kib,
            peak_kib=peak_kib,
            troubles=tuple(self._troubles),
            took_s=time.monotonic() - self._begin_s,
        )

    def _cut(self, cut_s: float) -> None:
        """The network is cut; then the disk of netwatch fills up too, and has room again before the network is back."""
        within(self._database_place, "nft", "-f", "-", stdin=CUT)
        self._trouble("the network is cut", cut_s / 2)
        filling = self._state_dir / "filling"
        with filling.open("wb", buffering=0) as file:
            try:
                while file.write(bytes(1 << 16)):
                    pass
            except OSError:
                self._trouble("and the disk of netwatch is full", min(cut_s / 4, 10.0))
        filling.unlink()
        self._trouble("and has room again", cut_s - cut_s / 2 - min(cut_s / 4, 10.0))
        within(self._database_place, "nft", "delete", "table", "ip", "cut")

    def _killed(self) -> list[int]:
        """netwatch is killed while the server is away, and started again before that is back."""
        self._server.kill()
        self._trouble("the server is killed again", 1.2)
        self._writer.look_at_memory()
        excused = self._writer.kill()
        before = self._writer
        self._writer = Writer(self._writer_place, msgspec.structs.replace(self._telling, first=before.newest + 1))
        self._writer.base_kib, self._writer.peak_kib = before.base_kib, before.peak_kib
        self._trouble("and netwatch with it", 1.5)
        self._server.start()
        return excused

    def _trouble(self, name: str, seconds: float) -> None:
        self._troubles.append(f"{time.monotonic() - self._begin_s:.1f} s, event {self._writer.newest}: {name}, for {seconds:g} s")
        time.sleep(seconds)

    def _arrives(self, when: str) -> None:
        """What has been offered until now arrives."""
        offered = self._writer.newest
        _wait(lambda: bool(self._gate.first_arrivals) and self._gate.first_arrivals[-1] >= max(offered, 0), f"nothing arrives {when}")

    def _stored(self) -> set[int]:
        """Events of which every point is in the database."""
        exporters = self._telling.exporters
        found: dict[int, int] = {}
        server = self._server
        if isinstance(server, VictoriaMetrics):
            server.get("/internal/force_flush")
            exported = server.get("/api/v1/export", **{"match[]": '{__name__=~"netwatch_(self_healthy|exporter_records_total)"}'})
            times = [msgspec.json.decode(line)["timestamps"] for line in exported.splitlines()]
        else:
            names = ("netwatch_self", "netwatch_exporter")
            times = [series for name in names for series in server.times("nw", f"select healthy from {name} group by *")]
        for series in times:
            for time_ms in series:
                number = time_ms // 1000 - BASE_S
                found[number] = found.get(number, 0) + 1
        return {number for number, count in found.items() if count == exporters + 2}


def _wait(until: Callable[[], bool], otherwise: str) -> None:
    end_s = time.monotonic() + PATIENCE_S
    while not until():
        assert time.monotonic() < end_s, otherwise
        time.sleep(0.05)
