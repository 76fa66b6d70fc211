"""JSON lines: one event a line, through rotation."""

import asyncio
import json
from pathlib import Path

import pytest

from netwatch.export.alerts.build import build_alert_sink
from netwatch.export.alerts.settings import JsonLinesSettings
from netwatch.export.sink import Sink
from tests.export.alerts.running import running, until, until_quiet
from tests.export.alerts.story import applied, closed, context, opened, updated


def lines_to(path: Path, folder: Path) -> Sink:
    return build_alert_sink(JsonLinesSettings(path=str(path)), "jsonl", context(folder))


def types(path: Path) -> list[str]:
    return [json.loads(line)["type"] for line in path.read_text().splitlines()]


def test_a_rotated_file_is_left_and_a_new_one_begun(tmp_path: Path) -> None:
    path = tmp_path / "log" / "events.jsonl"
    moved = path.with_suffix(".1")

    async def rotated() -> None:
        sink = lines_to(path, tmp_path)
        async with running(sink):
            sink.offer(opened())
            sink.offer(updated())
            await until_quiet(sink)
            path.rename(moved)
            sink.offer(applied())
            await until_quiet(sink)
            path.unlink()
            sink.offer(closed())
            await until_quiet(sink)

    asyncio.run(rotated())
    assert types(moved) == ["incident.opened", "incident.updated"]
    assert types(path) == ["incident.closed"]
    assert path.stat().st_mode & 0o007 == 0


def test_standard_output_gets_lines_too(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    async def told() -> None:
        sink = lines_to(Path("-"), tmp_path)
        async with running(sink):
            sink.offer(opened())
            await until_quiet(sink)

    asyncio.run(told())
    assert [json.loads(line)["type"] for line in capfdbinary.readouterr().out.splitlines()] == ["incident.opened"]


def test_a_file_that_cannot_be_written_is_said_and_written_once_it_can_be(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    folder.write_text("in the way")
    path = folder / "events.jsonl"

    async def in_the_way() -> None:
        sink = lines_to(path, tmp_path)
        async with running(sink):
            sink.offer(opened())
            await until(lambda: "cannot be written" in sink.report().problem)
            folder.unlink()
            await until_quiet(sink)

    asyncio.run(in_the_way())
    assert types(path) == ["incident.opened"]


def test_a_full_disk_leaves_no_half_line(tmp_path: Path) -> None:
    async def onto_a_full_disk() -> None:
        sink = build_alert_sink(JsonLinesSettings(path="/dev/full"), "jsonl", context(tmp_path))
        async with running(sink):
            sink.offer(opened())
            await until(lambda: "No space left on device" in sink.report().problem)
            assert sink.report().queued == 1

    asyncio.run(onto_a_full_disk())
