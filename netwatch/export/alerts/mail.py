"""Mail, by SMTP (RFC 5321): one message a notice, and all of a page in one thread of the reader's mailbox.

apprise can send mail too, but not through a relay that wants no login, which is what a machine in a data centre has. The message's
identifier is made of the page and what is told: a relay or mailbox that sees it twice, since the answer to the first was lost, can tell.
"""

import hashlib
import smtplib
import ssl
from email.message import EmailMessage
from email.utils import format_datetime

from netwatch.export.alerts import text, trial
from netwatch.export.alerts.channel import Undelivered
from netwatch.export.alerts.page import Notice, NoticeKind
from netwatch.export.alerts.policy import AlertPolicy
from netwatch.export.alerts.settings import MailSettings
from netwatch.export.alerts.thread import in_thread
from netwatch.export.figures import moment, printable
from netwatch.export.secret import Secret
from netwatch.export.sink import SinkContext

MOST_SUBJECT = 400

TRANSIENT = range(400, 500)
"""Of SMTP: the same message may be taken later (RFC 5321 section 4.2.1). 5xx says that it never will."""


class Mail:
    def __init__(self, settings: MailSettings, name: str, context: SinkContext, *, password: Secret | None, tls: ssl.SSLContext) -> None:
        self.name = name
        self._settings = settings
        self._context = context
        self._password = password
        self._tls = tls

    async def deliver(self, item: Notice) -> None:
        message = message_of(item, self._context.alerts, sender=self._settings.sender, to=self._settings.to)
        try:
            await in_thread(lambda: self._send(message), timeout_s=4 * self._settings.timeout_s, name=self.name)
        except TimeoutError as error:
            raise Undelivered("timeout", f"{self._settings.host} did not answer in time", again=True) from error
        except smtplib.SMTPRecipientsRefused as error:
            codes = [code for code, _ in error.recipients.values()]
            raise self._refused(max(codes, default=550), f"no recipient was taken ({', '.join(map(str, codes))})") from error
        except smtplib.SMTPResponseException as error:
            said = error.smtp_error.decode("utf-8", "replace") if isinstance(error.smtp_error, bytes) else str(error.smtp_error)
            raise self._refused(error.smtp_code, said) from error
        except smtplib.SMTPNotSupportedError as error:
            raise Undelivered("not supported", f"{self._settings.host}: {error}", again=False) from error
        except (smtplib.SMTPException, OSError) as error:
            raise Undelivered("unreachable", f"{self._settings.host}: {self._clean(str(error))}", again=True) from error

    async def send_test(self, now_s: float) -> None:
        await self.deliver(trial.opened(self._context, now_s))

    async def close(self) -> None:
        """A connection lasts for one message: relays close those that say nothing."""

    def _send(self, message: EmailMessage) -> None:
        settings = self._settings
        if settings.tls == "tls":
            connection: smtplib.SMTP = smtplib.SMTP_SSL(settings.host, settings.port, timeout=settings.timeout_s, context=self._tls)
        else:
            connection = smtplib.SMTP(settings.host, settings.port, timeout=settings.timeout_s)
        with connection:
            if settings.tls == "starttls":
                connection.starttls(context=self._tls)
            if settings.user is not None and self._password is not None:
                connection.login(settings.user, self._password.reveal())
            if refused := connection.send_message(message):
                raise Undelivered(
                    "recipient refused", f"{settings.host} did not take it for {', '.join(refused)}; others have it", again=False
                )

    def _refused(self, code: int, said: str) -> Undelivered:
        return Undelivered(f"SMTP {code}", f"{self._settings.host} answered {code}: {self._clean(said)}", again=code in TRANSIENT)

    def _clean(self, said: str) -> str:
        if self._password is not None:
            said = said.replace(self._password.reveal(), "…")
        return printable(said)[:200]


def message_of(notice: Notice, policy: AlertPolicy, *, sender: str, to: tuple[str, ...]) -> EmailMessage:
    """The mail for a notice; all but the first answer the first."""
    page = notice.page
    domain = sender.rpartition("@")[2].rstrip("> ") or "netwatch.invalid"
    thread = f"<{_digest(page.key)}@{domain}>"
    message = EmailMessage()
    message["From"] = sender
    message["To"] = ", ".join(to)
    message["Subject"] = printable(text.subject_line(notice))[:MOST_SUBJECT]
    if (when := moment(notice.time_s)) is not None:
        message["Date"] = format_datetime(when)
    if notice.kind is NoticeKind.OPEN:
        message["Message-ID"] = thread
    else:
        message["Message-ID"] = f"<{_digest(f'{page.key} {notice.kind} {page.updates} {notice.time_s:.6f}')}@{domain}>"
        message["In-Reply-To"] = message["References"] = thread
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers, please
    message["X-Netwatch-Incident"] = printable(page.incident_id or page.key)
    message.set_content(text.message(notice, policy))
    return message


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()[:32]
