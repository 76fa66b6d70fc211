"""An event as one JSON object for other systems: as in the event stream, with the site and firewall that it is of."""

import msgspec

from netwatch.export.sink import SinkContext
from netwatch.model.event import Event

Record = dict[str, object]


def record_of(event: Event, context: SinkContext) -> Record:
    """``{"time_s": …, "type": …, "site": …, "firewall": …, …}``."""
    told = msgspec.to_builtins(event)
    return {"time_s": told.pop("time_s"), "type": told.pop("type"), "site": context.site, "firewall": context.firewall, **told}


def test_record(context: SinkContext, now_s: float) -> Record:
    """One that is clearly marked as a test."""
    text = "TEST message of netwatch: nothing is wrong, nothing has to be done"
    return {"time_s": now_s, "type": "test", "site": context.site, "firewall": context.firewall, "text": text}


def encoded(record: Record) -> bytes:
    """One line, without its end; what is no number in JSON (an infinite forecast) becomes null."""
    return msgspec.json.encode(record)
