"""Chat and whatever else apprise can reach, one address a channel: one that is away does not hold up the others.

An address holds its token, so all of it is a secret: errors name it by its service and number. apprise says whether a message was taken,
but not why not, except to its logger; that is not shown, since it prints addresses.
"""

import logging
import warnings
from collections.abc import Sequence

import apprise

from netwatch.errors import ConfigError
from netwatch.export.alerts import text, trial
from netwatch.export.alerts.channel import Undelivered
from netwatch.export.alerts.page import Notice, NoticeKind
from netwatch.export.alerts.settings import AppriseSettings
from netwatch.export.alerts.thread import in_thread
from netwatch.export.secret import Secret
from netwatch.export.sink import SinkContext
from netwatch.model.incident import Severity

logging.getLogger("apprise").addHandler(logging.NullHandler())
logging.getLogger("apprise").propagate = False


class Chat:
    def __init__(self, settings: AppriseSettings, name: str, context: SinkContext, receiver: apprise.NotifyBase) -> None:
        self.name = name
        self._context = context
        self._timeout_s = settings.timeout_s
        self._receiver = apprise.Apprise()
        self._receiver.add(receiver)

    async def deliver(self, item: Notice) -> None:
        def send() -> bool:
            return bool(
                self._receiver.notify(
                    title=text.subject_line(item),
                    body=text.message(item, self._context.alerts),
                    notify_type=_colour(item),
                    body_format=apprise.NotifyFormat.TEXT,
                )
            )

        try:
            taken = await in_thread(send, timeout_s=self._timeout_s, name=self.name)
        except TimeoutError as error:
            raise Undelivered("timeout", f"no answer within {self._timeout_s:g} s", again=True) from error
        if not taken:
            raise Undelivered("not taken", "the receiver did not take the message, or could not be reached", again=True)

    async def send_test(self, now_s: float) -> None:
        await self.deliver(trial.opened(self._context, now_s))

    async def close(self) -> None:
        """apprise opens a connection for each message."""


def receivers(addresses: Secret, *, sink: str) -> Sequence[tuple[str, apprise.NotifyBase]]:
    """Each address as a receiver, with a name that shows nothing of it.

    Raises:
        ConfigError: there is none, or one that apprise does not understand.
    """
    lines = [line.partition("#")[0] if line.lstrip().startswith("#") else line for line in addresses.reveal().splitlines()]
    words = [word for line in lines for word in line.split()]
    if not words:
        raise ConfigError(f"sink {sink}: there is no address; give one or more, such as slack://… or mmosts://…")
    made = []
    for number, word in enumerate(words, start=1):
        schema = word.partition("://")[0][:20] if "://" in word else "?"
        with warnings.catch_warnings():  # apprise loads all of its services at the first address, and one of them a module on its way out
            warnings.simplefilter("ignore", DeprecationWarning)
            receiver = apprise.Apprise.instantiate(word, suppress_exceptions=True)
        if receiver is None:
            raise ConfigError(f"sink {sink}: address {number} ({schema}://…) is none that apprise understands; see the page of its service")
        made.append((f"{sink} address {number} ({schema})", receiver))
    return made


def _colour(notice: Notice) -> apprise.NotifyType:
    match notice.kind:
        case NoticeKind.RESOLVED | NoticeKind.HELD:
            return apprise.NotifyType.SUCCESS
        case NoticeKind.UPDATE if not notice.raised:
            return apprise.NotifyType.INFO
        case _:
            severe = {Severity.CRITICAL: apprise.NotifyType.FAILURE, Severity.WARNING: apprise.NotifyType.WARNING}
            return severe.get(notice.page.severity, apprise.NotifyType.INFO)
