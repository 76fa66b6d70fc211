"""Marks across all charts of a board: when it began, when it was found, what was changed, when it was over."""

from dataclasses import KW_ONLY, dataclass
from typing import Final

from netwatch.export.metrics.measurements import ChangePoint, IncidentPoint
from netwatch.export.metrics.schema import Point, measurement_of


@dataclass(frozen=True)
class Mark:
    """In InfluxDB the rows with an ``event``. Where there are no texts, the same moments by numbers: a field that holds the time itself, or
    a counter that grows."""

    name: str
    point: type[Point]
    _: KW_ONLY
    event: str
    moment: str | None = None  # seconds since the epoch
    counter: str | None = None
    color: str

    @property
    def tags(self) -> tuple[str, ...]:
        return tuple(tag for tag, _ in measurement_of(self.point).tags)


MARKS: Final = (
    Mark("Onset", IncidentPoint, event="onset", moment="onset_s", color="orange"),
    Mark("Detected", IncidentPoint, event="opened", moment="detected_s", color="red"),
    Mark("Recovered", IncidentPoint, event="closed", moment="ended_s", color="green"),
    Mark("Change applied", ChangePoint, event="applied", counter="applied_total", color="blue"),
    Mark("Change verified", ChangePoint, event="verified", counter="verified_total", color="light-blue"),
    Mark("Change undone", ChangePoint, event="undone", counter="undone_total", color="purple"),
    Mark("Change failed", ChangePoint, event="failed", counter="failed_total", color="dark-red"),
)
