"""How soon do people know? ``python -m benchmarks.paging [--runs N]``, as root: a SYN flood on the firewall of a drill, with a real
Alertmanager, both databases and a pager beside netwatch.

Times are from the detection, by netwatch's own clock: until the pager got its trigger, until Alertmanager told its receiver (it waits 0.1 s
for others of the group, as it is configured here), until both were told that it is over after netwatch said so.
"""

import argparse
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from netwatch.config import replay_settings
from netwatch.daemon.warm_up import warm_up
from tests.daemon.night import Night, night

STEPS = (
    "pager triggered",
    "alert at Alertmanager's receiver",
    "change on the page, after it was applied",
    "page resolved, after the end",
    "alert resolved, after the end",
)


def main(words: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    chosen = parser.parse_args(words)
    warm_up(replay_settings())
    runs = []
    for _ in range(chosen.runs):
        with tempfile.TemporaryDirectory(dir="/var/tmp") as name, night(Path(name)) as one:
            runs.append(delays_s(one))
    print("| from detection to | s, median (worst) |\n|---|---|")
    for step, found in zip(STEPS, zip(*runs, strict=True), strict=True):
        print(f"| {step} | {statistics.median(found):.2f} ({max(found):.2f}) |")


def delays_s(one: Night) -> tuple[float, ...]:
    """In the order of ``STEPS``."""
    detected_s = one.of("incident.opened")[0]["incident"]["detected_s"]
    applied_s = one.of("change.applied")[0]["time_s"]
    over_s = one.of("incident.closed")[-1]["time_s"]
    triggers = [page.at_s for page in one.pages if page.json["event_action"] == "trigger"]
    resolved_s = max(page.at_s for page in one.pages if page.json["event_action"] == "resolve")
    return (
        triggers[0] - detected_s,
        one.told("firing")[0].at_s - detected_s,
        min(at_s for at_s in triggers if at_s >= applied_s) - applied_s,
        resolved_s - over_s,
        one.told("resolved")[-1].at_s - over_s,
    )


if __name__ == "__main__":
    main(sys.argv[1:])
