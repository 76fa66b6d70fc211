"""``[alerts]``: what pages, how often, and where its links lead; for all sinks that tell people."""

from typing import Annotated, Literal

import msgspec

RUNBOOK = "docs/modes/"
"""The runbook as it comes with netwatch; a site that serves it, or has pages of its own, gives their address."""


class AlertPolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    runbook_url: str = RUNBOOK  # a mode's page is this and ``<mode>.md``, or ``{mode}`` is put in where it says so
    report_url: str | None = None  # of one incident, with ``{incident}`` in it
    min_severity: Literal["warning", "critical"] = "warning"  # what is only worth knowing never pages
    max_pages: Annotated[int, msgspec.Meta(ge=1)] = 10  # within ``pages_per_s``; what is over it becomes one digest
    pages_per_s: Annotated[float, msgspec.Meta(gt=0)] = 600.0

    def runbook(self, mode: str) -> str:
        """The page of a mode; empty for what has none (a digest, a test)."""
        if not mode:
            return ""
        if "{mode}" in self.runbook_url:
            return self.runbook_url.replace("{mode}", mode)
        return f"{self.runbook_url.rstrip('/')}/{mode}.md"

    def report(self, incident_id: str) -> str:
        """The report of an incident; empty where no address is configured."""
        return self.report_url.replace("{incident}", incident_id) if self.report_url and incident_id else ""
