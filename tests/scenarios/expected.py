"""What ``captures/<mode>/expected.json`` says, typed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from netwatch.model.incident import Mode
from tests.conftest import ROOT

CAPTURES = ROOT / "captures"


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """As on the command line."""

    limit: int
    strict: bool | None = None


class Blamed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    kind: str
    value: str | None = None  # None: any


class Expected(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One incident that must be found; times are seconds from the capture's start."""

    mode: Mode
    service: str | None
    onset_s: tuple[float, float]
    detected_within_s: float  # of the earliest onset
    recommendation: str | None  # a playbook's name; None: no change of a firewall would end it
    attribution: Blamed | None = None


class Run(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    options: Options
    incidents: tuple[Expected, ...]
    full: Literal["never", "after detection"] | None = None
    cures: tuple[str, ...] = ()  # playbooks that keep the table from filling, at no cost to healthy sessions


class Scenario(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    start_s: float
    captures: dict[str, tuple[Run, ...]]


class Case(NamedTuple):
    """One run of one capture."""

    name: str  # "syn-flood/attack"
    path: Path
    start_s: float
    run: Run


def scenarios() -> dict[str, Scenario]:
    """All scenarios by the name of their folder."""
    files = sorted(CAPTURES.glob("*/expected.json"))
    return {path.parent.name: msgspec.json.decode(path.read_bytes(), type=Scenario) for path in files}


def cases() -> Iterator[Case]:
    for folder, scenario in scenarios().items():
        for capture, runs in scenario.captures.items():
            for run in runs:
                yield Case(f"{folder}/{capture}", CAPTURES / folder / f"{capture}.pcap.zst", scenario.start_s, run)
