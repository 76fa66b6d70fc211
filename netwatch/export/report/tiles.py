"""The few figures beside the verdict: how fast, how full, how much was lost."""

from dataclasses import dataclass

from netwatch.export import figures
from netwatch.model.incident import Incident
from netwatch.model.replay import FirewallSummary, Replay, SeriesPoint


@dataclass(frozen=True)
class Tile:
    label: str
    value: str
    note: str


def tiles(replay: Replay, main: Incident | None) -> list[Tile]:
    """Of the main incident; without one, of the firewall alone."""
    found = [_table(replay.firewall)]
    if main is None:
        return found if replay.series else []
    found.insert(0, _detected(main))
    found.append(_lost(replay.firewall))
    if main.service is not None and (handshakes := _handshakes(main, replay.series)):
        found.append(handshakes)
    found.append(_lasted(main, replay))
    return found


def _detected(main: Incident) -> Tile:
    return Tile("Detected after", figures.duration(max(0.0, main.detected_s - main.onset_s)), f"at {figures.clock(main.detected_s)} UTC")


def _table(firewall: FirewallSummary) -> Tile:
    fill = figures.percent(firewall.peak_entries / firewall.limit) if firewall.limit else figures.THIN
    full = f", full from {figures.clock(firewall.full_at_s)}" if firewall.full_at_s is not None else ""
    return Tile("State table at most", fill, f"{firewall.peak_entries:,} of {firewall.limit:,}{full}")


def _lost(firewall: FirewallSummary) -> Tile:
    return Tile(
        "Dropped, table full", figures.count(firewall.dropped_full), f"packets of new sessions; {firewall.early_dropped:,} entries evicted"
    )


def _handshakes(main: Incident, series: tuple[SeriesPoint, ...]) -> Tile | None:
    """How many of the handshakes asked for were completed while it lasted; a flood's own are among those asked for."""
    end_s = float("inf") if main.ended_s is None else main.ended_s
    during = [
        service
        for point in series
        if main.onset_s <= point.start_s < end_s
        for service in point.services
        if service.service == main.service
    ]
    asked, completed = sum(point.asked for point in during), sum(point.completed for point in during)
    if not asked or not str(main.service).endswith("/tcp"):
        return None
    return Tile("Handshakes completed", figures.percent(min(1.0, completed / asked)), f"{completed:,} of {asked:,} asked for, all sources")


def _lasted(main: Incident, replay: Replay) -> Tile:
    if main.ended_s is not None:
        return Tile("Lasted", figures.duration(main.ended_s - main.onset_s), f"until {figures.clock(main.ended_s)} UTC")
    last_s = replay.series[-1].end_s if replay.series else main.detected_s
    return Tile("Lasts", figures.duration(max(0.0, last_s - main.onset_s)), "still on at the end of the capture")
