"""Real time-series servers, each in a namespace so that it has its usual port for itself, to be killed and started again."""

import json
import os
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from netwatch.kernel.namespace import entered
from tests.conftest import missing

PATIENCE_S = 30.0


class Server:
    """A process in a namespace; ``ready`` is a path that answers when it can be used."""

    def __init__(self, *words: str, namespace: str, url: str, ready: str, environment: Mapping[str, str] | None = None) -> None:
        if shutil.which(words[0]) is None:
            missing(f"{words[0]} is not installed")
        self._words = words
        self._namespace = namespace
        self._environment = {**os.environ, **(environment or {})}
        self._ready = ready
        self._process: subprocess.Popen[bytes] | None = None
        self.url = url

    def start(self) -> None:
        with entered(self._namespace):
            self._process = subprocess.Popen(self._words, env=self._environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            try:
                self.get(self._ready)
                return
            except (OSError, urllib.error.HTTPError):
                assert self._process.poll() is None, f"{self._words[0]} ended with {self._process.returncode}"
                time.sleep(0.05)
        raise AssertionError(f"{self._words[0]} did not get ready")

    def kill(self, how: signal.Signals = signal.SIGKILL) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait()
            self._process = None

    def get(self, path: str, **query: str) -> bytes:
        """What it answers, asked from its namespace."""
        words = f"{self.url}{path}?{urllib.parse.urlencode(query)}" if query else f"{self.url}{path}"
        with entered(self._namespace), urllib.request.urlopen(words, timeout=PATIENCE_S) as answer:
            body: bytes = answer.read()
            return body

    def json(self, path: str, **query: str) -> Any:
        return json.loads(self.get(path, **query))


class VictoriaMetrics(Server):
    """Takes the write API of 2.x and answers PromQL."""

    def __init__(self, namespace: str, folder: Path) -> None:
        super().__init__(
            "victoria-metrics",
            f"-storageDataPath={folder}",
            "-httpListenAddr=127.0.0.1:8428",
            "-retentionPeriod=100y",
            "-search.latencyOffset=0s",
            "-dedup.minScrapeInterval=1ms",
            namespace=namespace,
            url="http://127.0.0.1:8428",
            ready="/health",
        )

    def times(self, selector: str) -> list[int]:
        """The times of all points of one series, in milliseconds, as they lie there."""
        exported = self.get("/api/v1/export", **{"match[]": selector, "reduce_mem_usage": "0"}).splitlines()
        return sorted({time_ms for line in exported for time_ms in json.loads(line)["timestamps"]})


class Influx1(Server):
    """InfluxDB 1.x: answers InfluxQL."""

    def __init__(self, namespace: str, folder: Path) -> None:
        environment = {
            "INFLUXDB_REPORTING_DISABLED": "true",
            "INFLUXDB_META_DIR": str(folder / "meta"),
            "INFLUXDB_DATA_DIR": str(folder / "data"),
            "INFLUXDB_DATA_WAL_DIR": str(folder / "wal"),
            "INFLUXDB_HTTP_BIND_ADDRESS": "127.0.0.1:8086",
            "INFLUXDB_BIND_ADDRESS": "127.0.0.1:8088",
        }
        super().__init__("influxd", namespace=namespace, url="http://127.0.0.1:8086", ready="/ping", environment=environment)

    def create(self, database: str) -> None:
        words = urllib.parse.urlencode({"q": f"create database {database}"}).encode()
        with entered(self._namespace), urllib.request.urlopen(f"{self.url}/query", data=words, timeout=PATIENCE_S) as answer:
            answer.read()

    def rows(self, database: str, query: str) -> list[list[Any]]:
        """The values of the first series of the answer."""
        (result,) = self.json("/query", db=database, q=query, epoch="ms")["results"]
        assert "error" not in result, result
        return result["series"][0]["values"] if "series" in result else []

    def times(self, database: str, query: str) -> Iterator[list[int]]:
        """The times of the points of each series of the answer, in milliseconds."""
        (result,) = self.json("/query", db=database, q=query, epoch="ms")["results"]
        assert "error" not in result, result
        for series in result.get("series", []):
            yield [row[0] for row in series["values"]]


class Prometheus(Server):
    """Scrapes 127.0.0.1:9464 each second and evaluates rules as often."""

    def __init__(self, namespace: str, folder: Path, rules: Path) -> None:
        folder.mkdir()
        scrape = {"job_name": "netwatch", "static_configs": [{"targets": ["127.0.0.1:9464"]}]}
        config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(rules)],
            "scrape_configs": [scrape],
        }
        (folder / "prometheus.yml").write_text(json.dumps(config))
        super().__init__(
            "prometheus",
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            "--web.listen-address=127.0.0.1:9090",
            namespace=namespace,
            url="http://127.0.0.1:9090",
            ready="/-/ready",
        )


class Alertmanager(Server):
    """Alone, without a cluster; ``routes`` is its configuration."""

    def __init__(self, namespace: str, folder: Path, routes: str) -> None:
        folder.mkdir()
        (folder / "alertmanager.yml").write_text(routes)
        super().__init__(
            "prometheus-alertmanager",
            f"--config.file={folder / 'alertmanager.yml'}",
            f"--storage.path={folder}",
            "--web.listen-address=127.0.0.1:9093",
            "--cluster.listen-address=",
            namespace=namespace,
            url="http://127.0.0.1:9093",
            ready="/-/ready",
        )


@contextmanager
def started(server: Server) -> Iterator[None]:
    try:
        server.start()
        yield
    finally:
        server.kill()
