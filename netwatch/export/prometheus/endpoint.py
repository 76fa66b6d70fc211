"""The HTTP server of ``/metrics``. A peer that connects and says nothing holds a thread for some seconds, and there are only a few threads;
what comes beyond them is turned away."""

import socket
import threading
from collections.abc import Iterable
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from wsgiref.types import StartResponse, WSGIEnvironment

from prometheus_client import CollectorRegistry, make_wsgi_app

from netwatch.errors import ConfigError, SinkError

SILENT_S = 5.0
CONNECTIONS = 8


class _Handler(WSGIRequestHandler):
    timeout = SILENT_S

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the name is the standard library's
        """A scrape is no news."""


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, *args: Any) -> None:
        self._room = threading.BoundedSemaphore(CONNECTIONS)
        super().__init__(*args)

    def server_bind(self) -> None:
        """As ``WSGIServer``, but without asking the resolver for this machine's name: that may take long."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._room.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A peer that went away in the middle is no error of ours."""


class _Server6(_Server):
    address_family = socket.AF_INET6


def listening(listen: str, registry: CollectorRegistry) -> WSGIServer:
    """A server that listens, ready for ``serve_forever``.

    Raises:
        SinkError: the address is taken, not of this machine, or not allowed.
    """
    host, port = host_and_port(listen)
    metrics = make_wsgi_app(registry, disable_compression=False)

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ.get("REQUEST_METHOD") not in ("GET", "HEAD"):
            start_response("405 Method Not Allowed", [("Allow", "GET, HEAD")])
            return [b""]
        if environ.get("PATH_INFO") != "/metrics":
            start_response("404 Not Found", [("Content-Type", "text/plain")])
            return [b"the metrics are at /metrics\n"]
        shown: Iterable[bytes] = metrics(environ, start_response)
        return shown

    try:
        return make_server(host, port, application, server_class=_Server6 if ":" in host else _Server, handler_class=_Handler)
    except (OSError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise SinkError(f"sink prometheus: cannot listen on {listen}: {reason}; choose another address with listen") from error


def host_and_port(listen: str) -> tuple[str, int]:
    """Read ``127.0.0.1:9464`` or ``[::1]:9464``.

    Raises:
        ConfigError: it is not of that form.
    """
    host, colon, port = listen.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not colon or not host or (":" in host and not bracketed) or not (port.isascii() and port.isdigit() and int(port) <= 65535):
        raise ConfigError(f"sink prometheus: listen must be like 127.0.0.1:9464 or [::1]:9464, got '{listen}'")
    return host.strip("[]"), int(port)
