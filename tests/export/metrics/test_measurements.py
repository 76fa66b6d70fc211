import re
import subprocess
import sys
from pathlib import Path

from netwatch.export.metrics.measurements import POINT_TYPES
from netwatch.export.metrics.schema import FieldType, measurement_of

ROOT = Path(__file__).resolve().parents[3]
MEASUREMENTS = [measurement_of(point_type) for point_type in POINT_TYPES]

PROMISED = {
    "netwatch_firewall": (["site", "firewall"], ["entries", "limit", "fill_ratio", "new_per_s", "dropped_per_s", "time_to_full_s"]),
    "netwatch_service": (["site", "firewall", "service"], ["syn_per_s", "completed_per_s", "completion_ratio", "half_open"]),
    "netwatch_incident": (["site", "firewall", "service", "mode"], []),
    "netwatch_change": (["site", "firewall", "playbook"], []),
    "netwatch_exporter": (["site", "exporter"], []),
    "netwatch_self": (["site", "stage"], []),
}
"""What dashboards of users rely on."""


def test_what_was_promised_is_there() -> None:
    by_name = {measurement.name: measurement for measurement in MEASUREMENTS}
    for name, (tags, fields) in PROMISED.items():
        assert set(tags) <= {tag for tag, _ in by_name[name].tags}, name
        assert set(fields) <= {column.name for column in by_name[name].columns}, name


def test_names_are_unique_also_when_measurement_and_field_are_joined() -> None:
    joined = [f"{measurement.name}_{column.name}" for measurement in MEASUREMENTS for column in measurement.columns]
    assert len(set(joined)) == len(joined)
    assert all(re.fullmatch(r"netwatch(_[a-z0-9]+)+", name) for name in joined)


def test_no_tag_is_a_field_too_and_every_measurement_says_where_it_is() -> None:
    for measurement in MEASUREMENTS:
        tags = {name for name, _ in measurement.tags}
        assert not tags & {column.name for column in measurement.columns}
        assert {"site", "firewall"} <= tags


def test_units_stand_in_the_names() -> None:
    for measurement in MEASUREMENTS:
        for column in measurement.columns:
            if column.name.endswith("_per_s"):
                assert column.unit.endswith("/s"), column.name
            elif column.name.endswith("_ratio"):
                assert column.unit == "1", column.name
            elif column.name.endswith(("_s", "_seconds_total")):
                assert column.unit == "s", column.name
            if column.type is FieldType.TEXT:
                assert column.unit == "", column.name
            assert column.text, column.name


def test_the_page_is_the_table() -> None:
    made = subprocess.run([sys.executable, "-m", "netwatch.export.metrics"], capture_output=True, text=True, check=True, cwd=ROOT)
    assert (ROOT / "docs" / "metrics.md").read_text() == made.stdout, "run python -m netwatch.export.metrics > docs/metrics.md"
