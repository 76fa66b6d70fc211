"""A request with each event to an address of the user's, signed so that the receiver can tell that it is from here and new.

The signature is HMAC-SHA256 (RFC 2104) under the shared secret, over the time stamp, a full stop and the body as it was sent. A receiver
checks it, refuses stamps that are minutes old, and drops what has a delivery identifier that it has seen: an answer may get lost, and then
the same event is sent again.
"""

import hashlib
import hmac
import ssl
import time

from netwatch.export.alerts.post import Poster
from netwatch.export.alerts.record import encoded, record_of, test_record
from netwatch.export.alerts.settings import WebhookSettings
from netwatch.export.secret import Secret
from netwatch.export.sink import SinkContext
from netwatch.model.event import Event


class Webhook:
    def __init__(self, settings: WebhookSettings, name: str, context: SinkContext, *, secret: Secret | None, tls: ssl.SSLContext) -> None:
        self.name = name
        self._url = settings.url
        self._context = context
        self._secret = secret
        self._poster = Poster(name=name, timeout_s=settings.timeout_s, tls=tls, secrets=[secret] if secret is not None else [])

    async def deliver(self, item: Event) -> None:
        await self._send(encoded(record_of(item, self._context)))

    async def send_test(self, now_s: float) -> None:
        await self._send(encoded(test_record(self._context, now_s)))

    async def close(self) -> None:
        await self._poster.close()

    async def _send(self, body: bytes) -> None:
        stamp = str(int(time.time()))
        headers = {"X-Netwatch-Timestamp": stamp, "X-Netwatch-Delivery": hashlib.sha256(body).hexdigest()[:32]}
        if self._secret is not None:
            headers["X-Netwatch-Signature"] = f"sha256={signature(self._secret, stamp, body)}"
        await self._poster.send(self._url, body, headers=headers)


def signature(secret: Secret, stamp: str, body: bytes) -> str:
    return hmac.new(secret.reveal().encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
