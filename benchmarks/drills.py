"""Every drill several times over, with netwatch and without: what each costs.

``python -m benchmarks.drills [--runs N] [--only …] [--write]``.

Times are of this machine and its load; what holds elsewhere is the comparison with the same drill without protection.
"""

import argparse
import statistics
import sys
from collections.abc import Iterator, Sequence

from benchmarks.report import put_into_readme
from netwatch.daemon.drill import Drill, drill
from netwatch.lab.outcome import Phase
from netwatch.lab.scenario import SCENARIOS, Scenario

SETTLED_S = 2
"""Success is asked for from so long after the first change on."""

HEADER = (
    "| drill | impact s, median (worst) | without netwatch | detected s | first change s | success 2 s after it | undone | CPU s | MB |\n"
    "|---|---|---|---|---|---|---|---|---|"
)


def main(words: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--only", nargs="*", choices=[one.name for one in SCENARIOS])
    parser.add_argument("--write", action="store_true", help="put the table into benchmarks/README.md")
    chosen = parser.parse_args(words)
    lines = [HEADER]
    print(HEADER)
    for scenario in SCENARIOS:
        if not chosen.only or scenario.name in chosen.only:
            lines.append(row(scenario, [drill(scenario) for _ in range(chosen.runs)], drill(scenario, protect=False)))
            print(lines[-1], flush=True)
    if chosen.write:
        put_into_readme("drills", "\n".join(lines))


def row(scenario: Scenario, runs: Sequence[Drill], alone: Drill) -> str:
    impacts = [run.outcome.impact_s for run in runs]
    undone = sum(len(run.protection.undone) for run in runs if run.protection is not None)
    lasting = "" if alone.outcome.impact_over else " and on"
    cells = (
        scenario.name,
        f"{statistics.median(impacts):.1f} ({max(impacts):.1f})",
        f"{alone.outcome.impact_s:.1f}{lasting}, {alone.outcome.success[Phase.AFTER].share:.0%} afterwards",
        _median(run.protection.detected_at_s for run in runs if run.protection is not None),
        _median(run.protection.first_change_at_s for run in runs if run.protection is not None),
        f"{min(settled_success(run) for run in runs):.1%}",
        str(undone),
        f"{statistics.median(run.outcome.protection_cpu_s for run in runs):.1f}",
        f"{max(run.outcome.protection_bytes for run in runs) / 1e6:.0f}",
    )
    return "| " + " | ".join(cells) + " |"


def settled_success(run: Drill) -> float:
    """Of the clients' attempts from two seconds after the first change to the end, those that succeeded."""
    change_s = run.protection.first_change_at_s if run.protection is not None else None
    begin_s = SETTLED_S + (change_s if change_s is not None else 0.0)
    seconds = [second for second in run.outcome.seconds if second.at_s >= begin_s]
    tried = sum(second.clients.tried for second in seconds)
    return sum(second.clients.succeeded for second in seconds) / tried if tried else 1.0


def _median(times_s: Iterator[float | None]) -> str:
    """And in how many runs there was one."""
    found = list(times_s)
    seen = [one for one in found if one is not None]
    return f"{statistics.median(seen):.1f} ({len(seen)}/{len(found)})" if seen else "never"


if __name__ == "__main__":
    main(sys.argv[1:])
