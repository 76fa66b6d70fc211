"""From the settings of an alerting sink to the running thing, and to its channels alone, for a test message."""

import base64
import ssl
from collections.abc import Sequence
from typing import Any, assert_never

from netwatch.errors import ConfigError
from netwatch.export.alerts.alertmanager import AlertmanagerMember
from netwatch.export.alerts.channel import Channel
from netwatch.export.alerts.forwarding import ForwardingSink
from netwatch.export.alerts.jsonl import JsonLines
from netwatch.export.alerts.mail import Mail
from netwatch.export.alerts.opsgenie import Opsgenie
from netwatch.export.alerts.page import Notice
from netwatch.export.alerts.pagerduty import PagerDuty
from netwatch.export.alerts.paging import PagingSink
from netwatch.export.alerts.post import tls_context
from netwatch.export.alerts.settings import (
    AlertmanagerSettings,
    AlertSinkSettings,
    AppriseSettings,
    HttpSettings,
    JsonLinesSettings,
    MailSettings,
    OpsgenieSettings,
    PagerDutySettings,
    SyslogSettings,
    WebhookSettings,
)
from netwatch.export.alerts.standing import StandingSink
from netwatch.export.alerts.syslog import Syslog
from netwatch.export.alerts.webhook import Webhook
from netwatch.export.secret import Secret, read_secret
from netwatch.export.sink import Sink, SinkContext
from netwatch.model.event import Event

PagedSettings = PagerDutySettings | OpsgenieSettings | AppriseSettings | MailSettings
ForwardedSettings = WebhookSettings | JsonLinesSettings | SyslogSettings


def build_alert_sink(settings: AlertSinkSettings, name: str, context: SinkContext) -> Sink:
    """Make one; nothing is connected before it runs.

    Raises:
        ConfigError: a secret is missing, or an address is none.
    """
    match settings:
        case AlertmanagerSettings():
            return StandingSink(name, context, members(settings, name, context), repost_s=settings.repost_s)
        case PagerDutySettings() | OpsgenieSettings() | AppriseSettings() | MailSettings():
            return PagingSink(name, context, paged(settings, name, context))
        case WebhookSettings() | JsonLinesSettings() | SyslogSettings():
            return ForwardingSink(name, forwarded(settings, name, context), settings.events)
        case _:
            assert_never(settings)


def testable(settings: AlertSinkSettings, name: str, context: SinkContext) -> Sequence[AlertmanagerMember | Channel[Any]]:
    """Every receiver of a sink, for one test message each."""
    match settings:
        case AlertmanagerSettings():
            return members(settings, name, context)
        case PagerDutySettings() | OpsgenieSettings() | AppriseSettings() | MailSettings():
            return paged(settings, name, context)
        case WebhookSettings() | JsonLinesSettings() | SyslogSettings():
            return [forwarded(settings, name, context)]
        case _:
            assert_never(settings)


def members(settings: AlertmanagerSettings, name: str, context: SinkContext) -> list[AlertmanagerMember]:
    password = read_secret(env=settings.password_env, file=settings.password_file, sink=name, key="password")
    token = read_secret(env=settings.token_env, file=settings.token_file, sink=name, key="token")
    if token is not None and (settings.user is not None or password is not None):
        raise ConfigError(f"sink {name}: set either a user with a password or a token, not both")
    if (settings.user is None) != (password is None):
        raise ConfigError(f"sink {name}: user and password_env (or password_file) go together")
    headers: dict[str, str] = {}
    if token is not None:
        headers["Authorization"] = f"Bearer {token.reveal()}"
    elif password is not None:
        headers["Authorization"] = f"Basic {base64.b64encode(f'{settings.user}:{password.reveal()}'.encode()).decode()}"
    secrets = [secret for secret in (password, token) if secret is not None]
    urls = [settings.url] if isinstance(settings.url, str) else settings.url
    named = [name] if len(urls) == 1 else [f"{name} member {number}" for number in range(1, len(urls) + 1)]
    tls = _tls(settings, name)
    return [
        AlertmanagerMember(url, settings, label, context, tls=tls, headers=headers, secrets=secrets)
        for label, url in zip(named, urls, strict=True)
    ]


def paged(settings: PagedSettings, name: str, context: SinkContext) -> Sequence[Channel[Notice]]:
    match settings:
        case PagerDutySettings():
            key = _needed(settings.routing_key_env, settings.routing_key_file, name, "routing_key")
            return [PagerDuty(settings, name, context, routing_key=key, tls=_tls(settings, name))]
        case OpsgenieSettings():
            key = _needed(settings.api_key_env, settings.api_key_file, name, "api_key")
            return [Opsgenie(settings, name, context, api_key=key, tls=_tls(settings, name))]
        case AppriseSettings():
            from netwatch.export.alerts.chat import Chat, receivers  # half a second, and few configurations need it

            addresses = _needed(settings.urls_env, settings.urls_file, name, "urls")
            return [Chat(settings, label, context, receiver) for label, receiver in receivers(addresses, sink=name)]
        case MailSettings():
            password = read_secret(env=settings.password_env, file=settings.password_file, sink=name, key="password")
            if (settings.user is None) != (password is None):
                raise ConfigError(f"sink {name}: user and password_env (or password_file) go together")
            tls = tls_context(ca_file=settings.ca_file, verify=settings.verify_tls, sink=name)
            return [Mail(settings, name, context, password=password, tls=tls)]
        case _:
            assert_never(settings)


def forwarded(settings: ForwardedSettings, name: str, context: SinkContext) -> Channel[Event]:
    match settings:
        case WebhookSettings():
            secret = read_secret(env=settings.secret_env, file=settings.secret_file, sink=name, key="secret")
            return Webhook(settings, name, context, secret=secret, tls=_tls(settings, name))
        case JsonLinesSettings():
            return JsonLines(settings, name, context)
        case SyslogSettings():
            return Syslog(settings, name, context, tls=lambda: tls_context(ca_file=settings.ca_file, verify=settings.verify_tls, sink=name))
        case _:
            assert_never(settings)


def _tls(settings: HttpSettings, name: str) -> ssl.SSLContext:
    return tls_context(ca_file=settings.ca_file, verify=settings.verify_tls, sink=name)


def _needed(env: str | None, file: str | None, name: str, key: str) -> Secret:
    secret = read_secret(env=env, file=file, sink=name, key=key)
    if secret is None:
        raise ConfigError(f"sink {name}: {key}_env or {key}_file is missing: it names where the secret is")
    return secret
