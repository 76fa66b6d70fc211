"""The page on alerting shows configurations that load, and names every sink and key that there is."""

import re
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from netwatch.config import load_config
from netwatch.export.alerts.policy import AlertPolicy
from netwatch.export.alerts.settings import AlertSinkSettings
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "alerting.md").read_text()
BLOCKS = re.findall(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS, ids=[re.sub(r"\W+", "-", block[:40]) for block in BLOCKS])
def test_every_configuration_loads(tmp_path: Path, block: str) -> None:
    path = tmp_path / "netwatch.toml"
    path.write_text(block)
    load_config(path)


def test_all_of_them_load_together_and_every_type_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "netwatch.toml"
    path.write_text("\n".join(BLOCKS))
    shown = {type(sink) for sink in load_config(path).sink}
    assert shown == set(get_args(AlertSinkSettings))


def test_every_key_of_the_policy_is_shown() -> None:
    policy = next(block for block in BLOCKS if block.startswith("[alerts]"))
    assert set(re.findall(r"^(\w+) =", policy, re.MULTILINE)) == {field.name for field in msgspec.structs.fields(AlertPolicy)}


def test_the_policy_reaches_every_sink(tmp_path: Path) -> None:
    path = tmp_path / "netwatch.toml"
    path.write_text(next(block for block in BLOCKS if block.startswith("[alerts]")))
    policy = load_config(path).sink_context.alerts
    assert policy.runbook("syn-flood") == "https://wiki.example.net/netwatch/modes/syn-flood.md"
    assert policy.report("edge-1-1") == "https://netwatch.example.net/incidents/edge-1-1"
    assert AlertPolicy().runbook("syn-flood") == "docs/modes/syn-flood.md"
    assert (ROOT / AlertPolicy().runbook("mitigation-induced")).exists()
