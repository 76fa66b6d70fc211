"""The outcome as tables in Markdown, and where they stand in README.md."""

import os
import platform
from collections.abc import Sequence
from pathlib import Path

from benchmarks.measure import Summary

README = Path(__file__).resolve().parent / "README.md"


def machine() -> str:
    """What it was measured on, without a name of the machine."""
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    return f"{os.cpu_count()} processors ({model}), Linux {platform.release().split('-')[0]}, Python {platform.python_version()}"


def comparison(summaries: Sequence[Summary], rounds: int) -> str:
    """One line a program, fastest first; ratios are to the first of ``summaries``."""
    ours = summaries[0]
    lines = [
        f"Medians of {rounds} rounds; {ours.packets:,} packets, page cache warm; {machine()}.",
        "",
        f"| program | what it does | wall s | CPU s | peak MiB | M packets/s | {ours.program.name} is |",
        "|---|---|---|---|---|---|---|",
    ]
    for item in sorted(summaries, key=lambda summary: -summary.million_packets_per_s):
        ratio = ours.million_packets_per_s / item.million_packets_per_s
        note = "" if item.packets == ours.packets else f" (first {item.packets:,})"
        lines.append(
            f"| {item.program.name}{note} | {item.program.does} | {item.wall_s:.2f} | {item.cpu_s:.2f} | {item.peak_mib:.0f} "
            f"| {item.million_packets_per_s:.2f} | {'-' if item is ours else f'{ratio:.1f}x as fast'} |"
        )
    return "\n".join(lines)


def linearity(summaries: Sequence[Summary]) -> str:
    """Time and memory by the number of packets, and the straight line through the times."""
    import numpy as np  # not while programs run: it would count in their peak memory

    packets = np.array([item.packets for item in summaries], float) / 1e6
    cpu_s = np.array([item.cpu_s for item in summaries])
    slope, start = np.polyfit(packets, cpu_s, 1)
    off = np.abs(cpu_s - (start + slope * packets)) / cpu_s
    lines = ["| million packets | wall s | CPU s | peak MiB | M packets/s |", "|---|---|---|---|---|"]
    lines += [
        f"| {item.packets / 1e6:g} | {item.wall_s:.2f} | {item.cpu_s:.2f} | {item.peak_mib:.0f} | {item.million_packets_per_s:.2f} |"
        for item in summaries
    ]
    lines += ["", f"CPU time is {start:.2f} s + {slope:.3f} s a million packets; no point lies more than {off.max():.0%} off that line."]
    return "\n".join(lines)


def put_into_readme(section: str, text: str) -> None:
    """Replace what stands between the section's two marks."""
    begin, end = f"<!-- {section}: written by python -m benchmarks -->", f"<!-- end of {section} -->"
    before, _, rest = README.read_text().partition(begin)
    _, _, after = rest.partition(end)
    README.write_text(f"{before}{begin}\n{text}\n{end}{after}")
