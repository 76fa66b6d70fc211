"""How netwatch itself does, as points: a row for each of its parts, and for each source of flow records."""

from collections.abc import Iterator

from netwatch.export.metrics.measurements import DropPoint, ExporterPoint, SelfPoint
from netwatch.export.metrics.schema import Point
from netwatch.model.event import SelfReported, StageReport

WHOLE = "netwatch"
"""The stage that stands for the whole process."""

EXPORTER = "exporter "
"""A stage that is called so, and by the address of an exporter, is a source of flow records."""

STAGES_SHOWN, REASONS_SHOWN = 200, 32
OTHER = "other"


def self_points(event: SelfReported, *, site: str, firewall: str, window_ended_s: float | None) -> list[Point]:
    """``window_ended_s``: the end of the newest window that was told."""
    points: list[Point] = [_whole(event, site, firewall, window_ended_s)]
    stages = exporters = 0
    for stage in event.stages:
        if stage.stage.startswith(EXPORTER):
            exporters += 1
            if exporters > STAGES_SHOWN:
                continue
            points.append(_exporter(stage, event.time_s, site, firewall))
        else:
            stages += 1
            if stages > STAGES_SHOWN:
                continue
            points.append(_stage(stage, event.time_s, site, firewall))
        if stage.dropped:
            points += drop_points(stage, event.time_s, site=site, firewall=firewall)
    return points


def _whole(event: SelfReported, site: str, firewall: str, window_ended_s: float | None) -> SelfPoint:
    return SelfPoint(
        time_s=event.time_s,
        site=site,
        firewall=firewall,
        stage=WHOLE,
        taken_total=0,
        given_total=0,
        dropped_total=0,
        queued=0,
        restarts_total=sum(stage.restarts for stage in event.stages),
        healthy=int(all(stage.healthy for stage in event.stages)),
        detection_delay_s=event.detection_delay_s,
        window_age_s=max(0.0, event.time_s - window_ended_s) if window_ended_s is not None else None,
        cpu_seconds_total=event.cpu_s,
        memory_bytes=event.memory_bytes,
    )


def _stage(stage: StageReport, time_s: float, site: str, firewall: str) -> SelfPoint:
    return SelfPoint(
        time_s=time_s,
        site=site,
        firewall=firewall,
        stage=stage.stage,
        taken_total=stage.taken,
        given_total=stage.given,
        dropped_total=sum(stage.dropped.values()),
        queued=stage.queued,
        restarts_total=stage.restarts,
        healthy=int(stage.healthy),
        detection_delay_s=None,
        window_age_s=None,
        cpu_seconds_total=None,
        memory_bytes=None,
    )


def _exporter(stage: StageReport, time_s: float, site: str, firewall: str) -> ExporterPoint:
    return ExporterPoint(
        time_s=time_s,
        site=site,
        firewall=firewall,
        exporter=stage.stage[len(EXPORTER) :],
        records_total=stage.taken,
        decoded_total=stage.given,
        dropped_total=sum(stage.dropped.values()) if stage.dropped else 0,
        healthy=stage.healthy,
    )


def drop_points(stage: StageReport, time_s: float, *, site: str, firewall: str) -> Iterator[DropPoint]:
    """One point a reason; the same reasons always, since a series that comes and goes is no counter."""
    reasons = sorted(stage.dropped)
    shown, rest = reasons[:REASONS_SHOWN], reasons[REASONS_SHOWN:]
    counts = {reason: stage.dropped[reason] for reason in shown}
    if rest:
        counts[OTHER] = counts.get(OTHER, 0) + sum(stage.dropped[reason] for reason in rest)
    for reason, count in counts.items():
        yield DropPoint(time_s=time_s, site=site, firewall=firewall, stage=stage.stage, reason=reason, dropped_total=count)
