"""All checks in their order: the machine, the state table, nftables, trials with real packets, the configuration."""

from collections.abc import Iterator

from netwatch.config import Config
from netwatch.doctor import machine, ruleset, site, state_table, trial
from netwatch.doctor.check import Check
from netwatch.mitigate.settings import OperatingMode
from netwatch.rulebook import rules_folder


def examine(config: Config) -> list[Check]:
    """Do them all; nothing is left behind, and nothing of the firewall is changed."""
    return list(_checks(config))


def _checks(config: Config) -> Iterator[Check]:
    base = (rules_folder() / "nftables" / "base.nft").read_text()
    acts = config.firewall.driver == "nftables" and config.mitigate.mode is not OperatingMode.OBSERVE
    yield from machine.checks()
    yield from state_table.checks(config.firewall.namespace, acts=acts)
    yield from ruleset.checks(base, config.firewall.namespace, acts=acts)
    yield from trial.checks(base)
    yield from site.checks(config)
