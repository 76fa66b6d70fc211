"""The checks, for people (what is not well is explained) and for scripts."""

import sys
from collections import Counter
from collections.abc import Sequence

import msgspec
from rich.console import Console
from rich.text import Text

from netwatch.doctor.check import Check, Outcome

SCHEMA_VERSION = 1
STYLES = {Outcome.OK: "green", Outcome.WARNING: "yellow", Outcome.FAILED: "bold red", Outcome.SKIPPED: "cyan"}


class JsonReport(msgspec.Struct, frozen=True, kw_only=True):
    """``doctor --json``."""

    schema_version: int = SCHEMA_VERSION
    failed: int
    checks: Sequence[Check]


def write_report(checks: Sequence[Check], *, as_json: bool) -> None:
    """To standard output."""
    counts = Counter(check.outcome for check in checks)
    if as_json:
        report = JsonReport(failed=counts[Outcome.FAILED], checks=checks)
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(report), indent=2).decode() + "\n")
        return
    console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
    for check in checks:
        console.print(Text.assemble((f"{check.outcome:<8}", STYLES[check.outcome]), f" {check.name}: {check.found}"))
        if check.why:
            console.print(f"           why: {check.why}")
        if check.advice:
            console.print(f"           do:  {check.advice}")
    console.print(", ".join(f"{counts[outcome]} {outcome}" for outcome in Outcome if counts[outcome]))
