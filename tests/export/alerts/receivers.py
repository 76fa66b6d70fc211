"""Real receivers on loopback: HTTP servers whose answers a test writes down beforehand, and certificates of an authority of their own."""

import json
import ssl
import subprocess
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec


class Answer(msgspec.Struct, frozen=True):
    status: int = 202
    headers: Mapping[str, str] = {}
    body: str = '{"status":"success"}'
    after_s: float = 0.0  # answers only then
    hang_up: bool = False  # closes without a word


class Request(msgspec.Struct, frozen=True):
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    answered: int
    at_s: float  # since the epoch

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Receiver:
    """Notes every request; answers from its script, and with ``usual`` when that is used up."""

    def __init__(self, *script: Answer, usual: Answer | None = None) -> None:
        self.requests: list[Request] = []
        self.script = deque(script)
        self.usual = usual or Answer()
        self.lock = threading.Lock()
        self.port = 0
        self.tls = False

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def taken(self) -> list[Request]:
        """Those that were answered well."""
        return [request for request in self.requests if 200 <= request.answered < 300]

    def take(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers.get("Content-Length", "0")))
        at_s = time.time()
        answer = self.answer_to(request, body)
        with self.lock:
            answered = 0 if answer.hang_up else answer.status
            self.requests.append(Request(request.command, request.path, dict(request.headers), body, answered, at_s))
        if answer.after_s:
            time.sleep(answer.after_s)
        if answer.hang_up:
            request.close_connection = True
            return
        request.send_response(answer.status)
        for name, value in answer.headers.items():
            request.send_header(name, value)
        request.send_header("Content-Length", str(len(answer.body.encode())))
        request.end_headers()
        request.wfile.write(answer.body.encode())

    def answer_to(self, request: BaseHTTPRequestHandler, body: bytes) -> Answer:
        with self.lock:
            return self.script.popleft() if self.script else self.usual


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else an answer's body waits for the acknowledgement of its head, which the other side delays
    receiver: Receiver

    def do_POST(self) -> None:
        try:
            self.receiver.take(self)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    do_PUT = do_POST  # noqa: N815 -- the name that http.server looks for

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@contextmanager
def serving(receiver: Receiver, *, host: str = "127.0.0.1", port: int = 0, tls: tuple[Path, Path] | None = None) -> Iterator[Receiver]:
    handler = type("Handler", (_Handler,), {"receiver": receiver})
    server = ThreadingHTTPServer((host, port), handler)
    server.daemon_threads = True
    receiver.port = server.server_address[1]
    if tls is not None:
        receiver.tls = True
        trusted = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        trusted.load_cert_chain(tls[1], tls[0])
        server.socket = trusted.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def certificate(folder: Path) -> tuple[Path, Path]:
    """A key and a certificate for 127.0.0.1 that is its own authority, by openssl."""
    key, cert = folder / "key.pem", folder / "cert.pem"
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    words += ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-keyout", str(key), "-out", str(cert)]
    subprocess.run(words, check=True, capture_output=True)
    return key, cert
