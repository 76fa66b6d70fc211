"""The server's write API, 2.x and 1.x, through influxdb-client: one request, one answer that says what to do with the lines.

influxdb-client speaks 2.x: its write service takes ready lines, a megabyte in one text as fast as a bare HTTP client sends them (its
``write_api`` with a list of lines is half as fast, its batching mode forgets lines after some retries; so neither is used). Its HTTP core
takes any path, so 1.x's ``/write`` goes the same way, with the same checks of certificates, time-outs and errors.
"""

import base64
import ssl
from enum import Enum, auto
from typing import Any, NamedTuple, assert_never
from urllib.parse import urlsplit

import urllib3
from influxdb_client import InfluxDBClient, WriteService
from influxdb_client.rest import ApiException

from netwatch.errors import ConfigError
from netwatch.export.influx.block import Block
from netwatch.export.influx.settings import InfluxDb1Settings, InfluxDbSettings
from netwatch.export.metrics.lines import PRECISION
from netwatch.export.secret import Secret, read_secret

CONTENT_TYPE = "text/plain; charset=utf-8"
REASON_CHARS = 200
LONGEST_RETRY_AFTER_S = 300.0


class Verdict(Enum):
    """What a server made of a request."""

    WRITTEN = auto()
    BAD_LINES = auto()  # 400, 422: it will never take some of them
    TOO_LARGE = auto()  # 413
    AGAIN = auto()  # away, overloaded, full, or it does not let us in: the lines are good


class Answer(NamedTuple):
    """A server's answer to one request."""

    verdict: Verdict
    problem: str = ""  # one sentence
    retry_after_s: float = 0.0
    timed_out: bool = False


class InfluxServer:
    """One database of one server; for one thread."""

    def __init__(self, settings: InfluxDbSettings | InfluxDb1Settings, *, name: str) -> None:
        """
        Raises:
            ConfigError: the URL is none, a secret is not there, or the authority's certificate cannot be read.
        """
        parts = urlsplit(settings.url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ConfigError(f"sink {name}: url must be like https://influx.example.net:8086, got '{settings.url}'")
        if parts.username is not None:
            raise ConfigError(f"sink {name}: url holds a user; name the secret with token_env or password_env instead")
        self.url = settings.url.rstrip("/")
        self._settings = settings
        self._secret = read_server_secret(settings, name)
        if settings.ca_file is not None:
            try:
                ssl.create_default_context(cafile=settings.ca_file)
            except (OSError, ssl.SSLError) as error:
                raise ConfigError(f"sink {name}: ca_file {settings.ca_file} holds no certificate that can be read") from error
        if not settings.verify_tls:
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)  # the configuration says so; once is enough
        self._client = InfluxDBClient(
            self.url,
            token=self._secret.reveal() if self._secret and isinstance(settings, InfluxDbSettings) else None,
            timeout=round(settings.timeout_s * 1000),
            verify_ssl=settings.verify_tls,
            ssl_ca_cert=settings.ca_file,
            connection_pool_maxsize=1,
        )
        self._write_service = WriteService(self._client.api_client)
        self._connections = 0
        self._farewell = True  # the next connection is expected to be a new one
        self.came_back = False
        """The connection was lost without a word since ``came_back`` was last cleared: the server may have been killed meanwhile."""

    def close(self) -> None:
        self._client.close()

    def unreachable(self) -> str | None:
        """Why nobody answers there, in a sentence; None if somebody does, whatever they say (``/ping`` may ask for a token)."""
        try:
            self._client.api_client.call_api("/ping", "GET")
        except ApiException as error:
            return None if error.status else f"{self.url}: {' '.join(str(error.reason).split())}"
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            return f"{self.url}: {plain(error)}"
        return None

    def write(self, block: Block) -> Answer:
        """Send lines; never raises for what a server or a network does."""
        packed = block.gzipped if self._settings.gzip else block.text
        try:
            headers = self._post(packed)
        except ApiException as error:
            answer, headers = self._refused(error), error.headers or {}
        except (urllib3.exceptions.TimeoutError, TimeoutError):
            return Answer(Verdict.AGAIN, f"{self.url}: no answer within {self._settings.timeout_s:g} s", timed_out=True)
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            return Answer(Verdict.AGAIN, f"{self.url}: {plain(error)}")
        else:
            answer = Answer(Verdict.WRITTEN)
        self._notice_connection(headers)
        return answer

    def _post(self, packed: bytes) -> Any:
        match self._settings:
            case InfluxDbSettings(org=org, bucket=bucket):
                encoding = {"content_encoding": "gzip"} if self._settings.gzip else {}
                _, _, headers = self._write_service.post_write_with_http_info(
                    org, bucket, packed, precision=PRECISION, content_type=CONTENT_TYPE, **encoding
                )
            case InfluxDb1Settings(database=database, user=user):
                fields = {"Content-Type": CONTENT_TYPE, **({"Content-Encoding": "gzip"} if self._settings.gzip else {})}
                if user is not None and self._secret is not None:
                    fields["Authorization"] = "Basic " + base64.b64encode(f"{user}:{self._secret.reveal()}".encode()).decode()
                query = [("db", database), ("precision", PRECISION)]
                _, _, headers = self._client.api_client.call_api("/write", "POST", query_params=query, header_params=fields, body=packed)
            case _:
                assert_never(self._settings)
        return headers

    def _refused(self, error: ApiException) -> Answer:
        status = int(error.status or 0)
        said = " ".join(str(error.body or error.reason or "").split())[:REASON_CHARS]
        if status in (400, 422):
            return Answer(Verdict.BAD_LINES, f"{self.url}: {status}: {said}")
        if status == 413:
            return Answer(Verdict.TOO_LARGE, f"{self.url}: 413: a request is too large for it")
        hint = {
            0: "",
            401: "; check the token, or user and password",
            403: "; the token or user may not write there",
            404: "; check the url, and that the bucket or database exists",
        }.get(status, "")
        return Answer(
            Verdict.AGAIN, f"{self.url}: {f'{status}: ' if status else ''}{said}{hint}", retry_after_s=retry_after_s(error.headers)
        )

    def _notice_connection(self, headers: Any) -> None:
        """A new connection although the server did not say that it would close the last one: something happened to it."""
        pool = self._client.api_client.rest_client.pool_manager.connection_from_url(self.url)
        connections = int(pool.num_connections)
        if connections != self._connections and not self._farewell:
            self.came_back = True
        self._connections = connections
        self._farewell = str(headers.get("Connection", "")).lower() == "close"


def read_server_secret(settings: InfluxDbSettings | InfluxDb1Settings, name: str) -> Secret | None:
    if isinstance(settings, InfluxDbSettings):
        return read_secret(env=settings.token_env, file=settings.token_file, sink=name, key="token")
    password = read_secret(env=settings.password_env, file=settings.password_file, sink=name, key="password")
    if (password is None) != (settings.user is None):
        raise ConfigError(f"sink {name}: set user together with password_env or password_file, or neither")
    return password


def retry_after_s(headers: Any) -> float:
    """How long a server asks to wait; 0 if it does not say, or says a date (RFC 9110 section 10.2.3 allows one; no such server does)."""
    said = str((headers or {}).get("Retry-After", ""))
    return min(float(said), LONGEST_RETRY_AFTER_S) if said.isascii() and said.isdigit() else 0.0


def plain(error: Exception) -> str:
    """The innermost reason, without the names of Python objects."""
    reason: BaseException = error
    while (inner := reason.__cause__ or reason.__context__) is not None:
        reason = inner
    return reason.strerror if isinstance(reason, OSError) and reason.strerror else (str(reason) or type(reason).__name__)
