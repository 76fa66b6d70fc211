"""``[[sink]]`` of the types that tell of incidents."""

from netwatch.export.sink import SinkSettings


class AlertmanagerSettings(SinkSettings, frozen=True, kw_only=True, tag="alertmanager"):
    url: str


class WebhookSettings(SinkSettings, frozen=True, kw_only=True, tag="webhook"):
    url: str
    secret_env: str | None = None
    secret_file: str | None = None
