"""One HTTP request with JSON to a receiver that may be slow, broken or hostile, and what its answer means for trying again.

Nothing is read of an answer beyond ``MOST_ANSWER`` bytes, and the whole exchange has a time-out, not only its parts: a receiver that sends
a byte a second holds nothing up. Redirects are not followed, since they would take keys elsewhere. Errors never hold a secret: the address
is given by its host, and what a receiver echoes is searched for the secrets that were sent.
"""

import asyncio
import ssl
import time
from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime

import httpx

from netwatch import __version__
from netwatch.errors import ConfigError
from netwatch.export.alerts.channel import Undelivered
from netwatch.export.figures import printable
from netwatch.export.secret import Secret

MOST_ANSWER = 4096
MOST_SHOWN = 200
USER_AGENT = f"netwatch/{__version__}"

TRY_AGAIN = frozenset({408, 425, 429})
"""Beside all of 5xx (RFC 9110, RFC 6585, RFC 8470)."""


def tls_context(*, ca_file: str | None, verify: bool, sink: str) -> ssl.SSLContext:
    """What a connection is checked by.

    Raises:
        ConfigError: the file of authorities cannot be read.
    """
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"sink {sink}: ca_file '{ca_file}' cannot be read as certificates in PEM: {error}") from error
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


class Poster:
    """Requests to one receiver, over one connection that is kept."""

    def __init__(
        self,
        *,
        name: str,
        timeout_s: float,
        tls: ssl.SSLContext,
        headers: Mapping[str, str] | None = None,
        secrets: Sequence[Secret] = (),
    ) -> None:
        self._name = name
        self._timeout_s = timeout_s
        self._secrets = tuple(secrets)
        self._client = httpx.AsyncClient(
            verify=tls, timeout=timeout_s, follow_redirects=False, headers={"User-Agent": USER_AGENT, **(headers or {})}
        )

    async def send(
        self, url: str, body: bytes, *, method: str = "POST", headers: Mapping[str, str] | None = None, expected: int | None = None
    ) -> None:
        """Send JSON; ``expected`` is the one status that means accepted, by default any of 2xx.

        Raises:
            Undelivered: no connection, no answer in time, or another status.
        """
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                self._client.stream(method, url, content=body, headers={"Content-Type": "application/json", **(headers or {})}) as answer,
            ):
                text = await _beginning(answer)
        except TimeoutError as error:
            raise Undelivered("timeout", f"no answer within {self._timeout_s:g} s", again=True) from error
        except httpx.TimeoutException as error:
            raise Undelivered("timeout", f"no answer within {self._timeout_s:g} s", again=True) from error
        except httpx.InvalidURL as error:
            raise Undelivered("bad address", f"the address is not one: {error}", again=False) from error
        except httpx.HTTPError as error:
            raise Undelivered("unreachable", self._clean(f"{type(error).__name__}: {error}"), again=True) from error
        status = answer.status_code
        if status == expected or (expected is None and 200 <= status < 300):
            return
        said = self._clean(text)
        raise Undelivered(
            f"HTTP {status}",
            f"{answer.request.url.host} answered {status}" + (f": {said}" if said else ""),
            again=status >= 500 or status in TRY_AGAIN,
            after_s=retry_after_s(answer.headers.get("Retry-After"), time.time()),
        )

    async def close(self) -> None:
        await self._client.aclose()

    def _clean(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret.reveal(), "…")
        return printable(text.strip())[:MOST_SHOWN]


async def _beginning(answer: httpx.Response) -> str:
    read = bytearray()
    try:
        async for chunk in answer.aiter_bytes(MOST_ANSWER):
            read += chunk
            if len(read) >= MOST_ANSWER:
                break
    except httpx.DecodingError:
        return "its answer is compressed wrongly"
    return bytes(read[:MOST_ANSWER]).decode("utf-8", "replace")


def retry_after_s(value: str | None, now_s: float) -> float | None:
    """Seconds that a ``Retry-After`` asks for, as a number or a date (RFC 9110 section 10.2.3); None if that makes no sense."""
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now_s)
    except (ValueError, TypeError, OverflowError):
        return None
