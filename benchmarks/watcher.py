"""A netwatch that watches a service of the lab with all of its detectors, and changes nothing."""

import sys
from pathlib import Path

from netwatch.lab import plan

CONFIGURATION = """\
state_dir = "{folder}/state"
[firewall]
name = "edge"
[[service]]
name = "smtp"
address = "{server}"
port = {port}
[[capture]]
interface = "{interface}"
"""
EVENTS = "events.jsonl"


def watcher(folder: Path, interface: str, more: str = "") -> tuple[str, ...]:
    """Write its configuration, with ``more`` of TOML behind it; the command that runs it. Its events go to ``EVENTS`` in the folder."""
    configuration = folder / "netwatch.toml"
    text = CONFIGURATION.format(folder=folder, server=plan.SERVER, port=plan.SERVICE_PORT, interface=interface)
    configuration.write_text(text + more)
    return (sys.executable, "-m", "netwatch", "run", "--config", str(configuration), "--events", str(folder / EVENTS))
