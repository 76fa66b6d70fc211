"""``[[sink]]`` of the types that tell of incidents. Secrets are named by the environment variable or the file that holds them."""

from typing import Annotated, Literal

import msgspec

from netwatch.export.sink import SinkSettings

Positive = Annotated[float, msgspec.Meta(gt=0)]
Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
Url = Annotated[str, msgspec.Meta(pattern=r"^https?://[^\s/]+")]
Text = Annotated[str, msgspec.Meta(min_length=1)]

EventKind = Literal["incident", "plan", "change", "error", "finding", "window", "self"]
"""The first word of an event's type."""

TOLD_KINDS: tuple[EventKind, ...] = ("incident", "plan", "change", "error")
"""What happens a few times an hour; findings and windows come every second."""


class HttpSettings(SinkSettings, frozen=True, kw_only=True):
    timeout_s: Positive = 10.0  # of one request, from connecting to the last byte of the answer
    verify_tls: bool = True
    ca_file: str | None = None  # of a private authority, in PEM


class AlertmanagerSettings(HttpSettings, frozen=True, kw_only=True, tag="alertmanager"):
    url: Url | tuple[Url, ...]  # without the path of the API; all members of a cluster
    user: str | None = None
    password_env: str | None = None
    password_file: str | None = None
    token_env: str | None = None  # sent as a bearer token
    token_file: str | None = None
    repost_s: Positive = 60.0  # Alertmanager forgets what nobody repeats
    ends_after_s: Positive = 300.0  # so long after the last word of netwatch an alert counts as resolved


class PagerDutySettings(HttpSettings, frozen=True, kw_only=True, tag="pagerduty"):
    url: Url = "https://events.pagerduty.com"  # events.eu.pagerduty.com for accounts in the EU
    routing_key_env: str | None = None  # "Integration Key" of an Events API v2 integration
    routing_key_file: str | None = None
    acknowledge: bool = True  # when a change is verified: escalation stops, the page stays open


class OpsgenieSettings(HttpSettings, frozen=True, kw_only=True, tag="opsgenie"):
    url: Url = "https://api.opsgenie.com"  # api.eu.opsgenie.com for accounts in the EU; Jira Service Management has an address of its own
    api_key_env: str | None = None
    api_key_file: str | None = None
    acknowledge: bool = True
    tags: tuple[str, ...] = ()


class AppriseSettings(SinkSettings, frozen=True, kw_only=True, tag="apprise"):
    """Chat and what else apprise knows. Addresses hold tokens, so they are secrets."""

    urls_env: str | None = None  # one or more, separated by white space
    urls_file: str | None = None  # one a line, # begins a comment
    timeout_s: Positive = 30.0


class MailSettings(SinkSettings, frozen=True, kw_only=True, tag="mail"):
    host: Text
    port: Port = 25
    sender: Text = msgspec.field(name="from")
    to: Annotated[tuple[Text, ...], msgspec.Meta(min_length=1)]
    tls: Literal["starttls", "tls", "off"] = "starttls"  # "tls" from the first byte on (port 465)
    user: str | None = None
    password_env: str | None = None
    password_file: str | None = None
    timeout_s: Positive = 30.0
    verify_tls: bool = True
    ca_file: str | None = None


class WebhookSettings(HttpSettings, frozen=True, kw_only=True, tag="webhook"):
    url: Url
    secret_env: str | None = None  # signs each request
    secret_file: str | None = None
    events: tuple[EventKind, ...] = TOLD_KINDS


class JsonLinesSettings(SinkSettings, frozen=True, kw_only=True, tag="jsonl"):
    path: Text = "-"  # "-" is standard output
    events: tuple[EventKind, ...] = TOLD_KINDS


class SyslogSettings(SinkSettings, frozen=True, kw_only=True, tag="syslog"):
    address: Text = "/dev/log"  # path of a socket, or HOST, HOST:PORT, [IPv6]:PORT
    transport: Literal["unix", "udp", "tcp", "tls"] = "unix"
    facility: Annotated[int, msgspec.Meta(ge=0, le=23)] = 20  # local4
    enterprise: Annotated[int, msgspec.Meta(ge=1)] = 32473  # of the structured data's name; RFC 5612's number for whoever has none
    timeout_s: Positive = 10.0
    verify_tls: bool = True
    ca_file: str | None = None
    events: tuple[EventKind, ...] = TOLD_KINDS


AlertSinkSettings = (
    AlertmanagerSettings
    | PagerDutySettings
    | OpsgenieSettings
    | AppriseSettings
    | MailSettings
    | WebhookSettings
    | JsonLinesSettings
    | SyslogSettings
)
