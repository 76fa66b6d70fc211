"""One test message through every receiver of the alerting sinks, and what came of each."""

from collections.abc import Sequence

import msgspec

from netwatch.export.alerts.build import testable
from netwatch.export.alerts.channel import Undelivered
from netwatch.export.alerts.settings import AlertSinkSettings
from netwatch.export.sink import SinkContext


class Outcome(msgspec.Struct, frozen=True):
    receiver: str
    problem: str  # empty: the receiver took it


async def send_tests(named: Sequence[tuple[str, AlertSinkSettings]], context: SinkContext, *, now_s: float) -> list[Outcome]:
    """One after the other, each tried once.

    Raises:
        ConfigError: a secret is missing, or an address is none.
    """
    outcomes = []
    for name, settings in named:
        for receiver in testable(settings, name, context):
            try:
                await receiver.send_test(now_s)
            except Undelivered as failure:
                outcomes.append(Outcome(receiver.name, str(failure)))
            else:
                outcomes.append(Outcome(receiver.name, ""))
            finally:
                await receiver.close()
    return outcomes
