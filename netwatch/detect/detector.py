"""What every detector is: a judge of windows that remembers little, scores before it learns, and takes its time from the data.

``judge`` sees one window and says what it finds in it. A detector may keep sums and onsets per service, in a bounded table; whatever it
learns from a window must not influence the judgement of that same window, or a flood would vouch for itself.
"""

from typing import Protocol

import msgspec

from netwatch.model.incident import Finding, Mode
from netwatch.model.window import Window


class DetectorSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What all files of ``rules/detectors`` have in common."""

    summary: str = ""  # one line for people
    ladder: tuple[str, ...] = ()  # playbooks against the mode, gentlest first; "synproxy+clear-half-open": together


class Detector(Protocol):
    """One failure mode's judge."""

    @property
    def mode(self) -> Mode: ...

    def judge(self, window: Window) -> list[Finding]:
        """What this window shows of the mode; at most one finding a service, and one for the whole firewall."""
        ...
