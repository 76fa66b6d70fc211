"""200,000 points through everything that can happen; `python -m benchmarks.sinks --cut 300` does it with a network cut of five minutes."""

from pathlib import Path

import pytest

from tests.export.influx.hardship import undergo

pytestmark = [pytest.mark.namespace, pytest.mark.timeout(180)]

MEMORY_KIB = 40 << 10
"""What a sink may need more than it did when all was well: lines that wait for a disk are bounded by 16 MiB."""


def test_of_200_000_points_only_those_of_the_last_second_before_netwatch_was_killed_can_be_lost(tmp_path: Path) -> None:
    account = undergo(tmp_path, "influxdb", events=2_000, points=100, pause_s=0.008, cut_s=3.0)

    assert account.offered * account.points == 200_000
    assert set(account.lost) <= set(account.excused)
    assert list(account.first_arrivals) == sorted(account.first_arrivals)
    assert account.peak_kib - account.base_kib < MEMORY_KIB
