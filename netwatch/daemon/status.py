"""How a running netwatch does, in the words of its control socket."""

from collections.abc import Mapping

import msgspec

from netwatch.model.change import Plan
from netwatch.model.event import StageReport
from netwatch.model.incident import Incident
from netwatch.model.service import Service


class Status(msgspec.Struct, frozen=True, kw_only=True):
    version: str
    pid: int
    site: str
    firewall: str
    driver: str
    mode: str  # observe, suggest or enforce
    started_at_s: float
    incidents: tuple[Incident, ...] = ()  # that last
    waiting: tuple[Plan, ...] = ()  # for an approval, or for a guard
    in_force: tuple[Plan, ...] = ()
    ends_s: Mapping[str, float] = {}  # by plan, when the kernel disarms it if it is not renewed
    stages: tuple[StageReport, ...] = ()
    unseen: tuple[Service, ...] = ()  # configured, and not one packet of it since the start
