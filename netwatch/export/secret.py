"""Tokens, passwords and keys: from the environment or a file, never from the configuration itself, never in a log.

A ``Secret`` shows nothing of itself, so that it cannot get into a traceback, an error or a report by accident. It is read when a sink is
built: a missing one is an error before netwatch starts to watch, not at the first alert.
"""

import os
from pathlib import Path

from netwatch.errors import ConfigError


class Secret:
    """A text that only ``reveal`` shows."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "Secret(…)"


def read_secret(*, env: str | None, file: str | None, sink: str, key: str) -> Secret | None:
    """The secret that ``<key>_env`` or ``<key>_file`` of a sink names; None if neither is set.

    Raises:
        ConfigError: both are set, or what is named is not there, unreadable or empty.
    """
    if env is not None and file is not None:
        raise ConfigError(f"sink {sink}: set either {key}_env or {key}_file, not both")
    if env is not None:
        text, where = os.environ.get(env, "").strip(), f"the environment variable {env} ({key}_env)"
    elif file is not None:
        where = f"{file} ({key}_file)"
        try:
            text = Path(file).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise ConfigError(f"sink {sink}: {where} cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise ConfigError(f"sink {sink}: {where} is not text in UTF-8") from error
    else:
        return None
    if not text:
        raise ConfigError(f"sink {sink}: {where} is empty or not set")
    return Secret(text)
