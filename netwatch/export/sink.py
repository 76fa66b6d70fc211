"""What every sink is: the joint between a running netwatch and what it tells its events to.

A sink may be slow, away or broken for hours; detection may not notice. So ``offer`` only puts an event into a bounded queue, and what does
not fit is dropped and counted. Everything that waits (a socket, a disk) happens in ``run`` or in a thread of the sink's own.
"""

from pathlib import Path
from typing import Protocol

import msgspec

from netwatch.export.alerts.policy import AlertPolicy
from netwatch.model.event import Event, StageReport

SHUTDOWN_S = 2.0
"""How long a cancelled sink may go on to flush what it holds."""


class SinkSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="type"):
    """Base of every ``[[sink]]`` of the configuration: ``type`` says which, an unknown key is refused."""


class SinkContext(msgspec.Struct, frozen=True, kw_only=True):
    """Where netwatch runs: tags of every point, labels of every alert, and the folder of what must outlive a crash."""

    site: str
    firewall: str
    state_dir: Path
    alerts: AlertPolicy = AlertPolicy()  # ``[alerts]``


class Sink(Protocol):
    """One receiver of events."""

    @property
    def name(self) -> str:
        """Its type, with a number from the second of its type on: ``influxdb``, ``influxdb-2``; shown in errors and metrics."""
        ...

    async def run(self) -> None:
        """Work until cancelled; then flush what can be flushed within ``SHUTDOWN_S`` and stop. Trouble with the receiver never ends it.

        Raises:
            SinkError: it cannot work at all and must not be started again unchanged: the address is taken, the spool is another's.
        """
        ...

    def offer(self, event: Event) -> None:
        """Take an event, on the event loop's thread. Never blocks, never raises; events before ``run`` wait in the queue."""
        ...

    def report(self) -> StageReport:
        """What it took, gave and dropped since the start, what waits, and whether its receiver is well; from any thread, cheap."""
        ...
