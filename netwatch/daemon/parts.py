"""Makes the parts of a running netwatch from its configuration."""

from collections.abc import Callable

import msgspec

from netwatch.collect.canary import Canary, CanarySettings
from netwatch.collect.kernel_profile import kernel_profile
from netwatch.collect.ring import InterfaceSettings
from netwatch.config import Config, ReplaySettings, ServiceSection, detector_settings, playbooks_of
from netwatch.errors import ConfigError
from netwatch.model.canary import CanaryResult
from netwatch.model.session import FirewallProfile
from netwatch.rulebook import firewall_profile, rules_folder

OURS = "linux"
"""The profile of a firewall that netwatch runs on: then the kernel's own settings are better than any file."""


def engine_settings(config: Config) -> ReplaySettings:
    """What rules detection, live.

    Raises:
        ConfigError: there is nothing to capture, or a rule is wrong.
    """
    if not config.capture:
        raise ConfigError("[[capture]] is missing: name at least one interface to watch, on the side where clients are")
    return ReplaySettings(
        firewall_name=config.firewall.name,
        profile=live_profile(config),
        services=config.services,
        never_block=config.mitigate.never_block,
        inner=False,
        expiry=True,
        detectors=detector_settings(config),
        playbooks=playbooks_of(config),
        what_if=(),
    )


def live_profile(config: Config) -> FirewallProfile:
    """How the firewall keeps state: as its kernel says, or as the file of another maker's says."""
    profile = kernel_profile(config.firewall.namespace) if config.firewall.profile == OURS else firewall_profile(config.firewall.profile)
    return msgspec.structs.replace(
        profile,
        limit=config.firewall.limit or profile.limit,
        strict=profile.strict if config.firewall.strict is None else config.firewall.strict,
    )


def interfaces(config: Config) -> tuple[InterfaceSettings, ...]:
    return tuple(
        InterfaceSettings(
            interface=entry.interface, sample=entry.sample, ways=entry.ways, promiscuous=entry.promiscuous, snaplen=entry.snaplen
        )
        for entry in config.capture
    )


def canaries(config: Config, tell: Callable[[CanaryResult], None]) -> dict[str, Canary]:
    """One for each service that has one configured, by the service's name.

    Raises:
        ConfigError: one cannot work as it is set up.
    """
    return {entry.name: Canary(_canary_settings(entry, config), tell) for entry in config.service if entry.canary is not None}


def _canary_settings(entry: ServiceSection, config: Config) -> CanarySettings:
    assert entry.canary is not None
    service = next(one for one in config.services if one.name == entry.name)
    given = {name: getattr(entry.canary, name) for name in entry.canary.__struct_fields__}
    return CanarySettings(service=service, **given)


def base_table() -> str:
    """netwatch's nftables table, inert."""
    return (rules_folder() / "nftables" / "base.nft").read_text()
