"""What is open and what waits is on disk: a crash costs at most a message told twice, and never a netwatch that does not start."""

import asyncio
import time
from contextlib import suppress
from pathlib import Path

from netwatch.export.alerts import trial
from netwatch.export.alerts.build import build_alert_sink
from netwatch.export.alerts.desk import DeskState
from netwatch.export.alerts.ledger import LedgerState
from netwatch.export.alerts.memory import Memory, Remembered
from netwatch.export.alerts.settings import AppriseSettings
from netwatch.export.sink import Sink
from tests.export.alerts.receivers import Answer, Receiver, serving
from tests.export.alerts.running import running, until, until_quiet
from tests.export.alerts.story import closed, context, opened, tick


def remembered(folder: Path) -> Remembered:
    notice = trial.opened(context(folder), 1.0)
    return Remembered(desk=DeskState(ledger=LedgerState(pages=(notice.page,))), waiting={"pagerduty": (notice,)})


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    Memory(tmp_path, "pagerduty").save(remembered(tmp_path))
    assert Memory(tmp_path, "pagerduty").load() == remembered(tmp_path)
    assert Memory(tmp_path, "opsgenie").load() == Remembered()


def test_a_damaged_file_is_put_aside_and_said(tmp_path: Path) -> None:
    memory = Memory(tmp_path, "mail")
    memory.save(remembered(tmp_path))
    path = tmp_path / "alerts" / "mail.json"
    path.write_bytes(path.read_bytes()[:-20])
    assert memory.load() == Remembered()
    assert "put aside as mail.unreadable" in memory.problem
    assert (tmp_path / "alerts" / "mail.unreadable").exists()


def test_a_disk_that_takes_nothing_is_said_and_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "alerts").write_text("in the way")
    memory = Memory(tmp_path, "mail")
    memory.save(remembered(tmp_path))
    assert "open pages cannot be written down" in memory.problem


def test_a_netwatch_that_was_killed_tells_nobody_twice(tmp_path: Path) -> None:
    """Chat has no keys to deduplicate by; the second sink starts from what the first has on disk while it still runs."""

    def chat() -> Sink:
        return build_alert_sink(AppriseSettings(urls_file=str(tmp_path / "urls")), "apprise", context(tmp_path))

    async def killed(receiver: Receiver) -> None:
        first = chat()
        async with running(first):
            first.offer(opened())
            await until_quiet(first)
            written = tmp_path / "alerts" / "apprise.json"
            await until(lambda: written.exists() and b'"waiting":{}' in written.read_bytes())
            second = chat()
            async with running(second):
                for event in (tick(100), opened(9, at_s=101), closed(9, at_s=200)):
                    second.offer(event)
                await until_quiet(second)
            assert len(receiver.requests) == 3

    with serving(Receiver(usual=Answer(200))) as receiver:
        (tmp_path / "urls").write_text(f"# the room\njson://127.0.0.1:{receiver.port}/room\n")
        asyncio.run(killed(receiver))
    titles = [request.json["title"] for request in receiver.requests]
    assert [title.split(" ")[1] for title in titles] == ["warning:", "update:", "resolved:"]


class SlowDisk(Memory):
    def save(self, remembered: Remembered) -> None:
        time.sleep(0.2)
        super().save(remembered)


def test_what_is_written_when_it_ends_is_not_overwritten_by_what_was_before(tmp_path: Path) -> None:
    memory = SlowDisk(tmp_path, "mail")

    async def ends_while_it_writes() -> None:
        writing = asyncio.create_task(memory.keep(lambda: remembered(tmp_path)))
        memory.changed()
        await asyncio.sleep(0.05)
        writing.cancel()
        with suppress(asyncio.CancelledError):
            await writing
        Memory.save(memory, Remembered())
        await asyncio.sleep(0.3)

    asyncio.run(ends_while_it_writes())
    assert memory.problem == ""
    assert memory.load() == Remembered()
