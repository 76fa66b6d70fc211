"""One TOML file to typed settings. Every error names the file and the key, and a misspelt key is an error, not silence.

The sections mirror the stages; a replay uses ``site``, ``firewall``, ``service`` and ``mitigate`` of the same file that the daemon runs
with, so that what is tried on a capture is what will run.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import netaddr

from netwatch.detect.detector import DetectorSettings
from netwatch.errors import ConfigError, UsageError
from netwatch.export.sinks import AnySinkSettings
from netwatch.mitigate.playbook import Playbook
from netwatch.model.incident import Mode
from netwatch.model.service import Service
from netwatch.model.session import FirewallProfile
from netwatch.rulebook import all_detector_settings, all_playbooks, firewall_profile, load

Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
Positive = Annotated[float, msgspec.Meta(gt=0)]
PositiveInt = Annotated[int, msgspec.Meta(ge=1)]


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of every table of the file: an unknown key is refused."""


class FirewallSection(Section, frozen=True):
    name: str = "firewall"
    driver: Literal["nftables", "dry-run"] = "dry-run"
    profile: str = "linux"  # how it keeps state: a name of rules/firewalls or the path of a TOML file
    limit: PositiveInt | None = None  # entries of its state table; default: the profile's
    strict: bool | None = None  # refuse TCP sessions that do not begin with SYN; default: the profile's


class ServiceSection(Section, frozen=True):
    name: str
    address: str
    port: Port
    protocol: Literal["tcp", "udp"] = "tcp"


class CaptureSection(Section, frozen=True):
    interface: str
    sample: PositiveInt = 1


class ConntrackSection(Section, frozen=True):
    poll_s: Positive = 1.0


class MitigateSection(Section, frozen=True):
    mode: Literal["observe", "suggest", "enforce"] = "observe"
    never_block: tuple[str, ...] = ()
    max_life_s: Positive = 900.0


class Config(Section, frozen=True):
    """The whole file; every key has a default, so that an empty file observes and changes nothing."""

    site: str = "default"
    state_dir: str = "/var/lib/netwatch"
    firewall: FirewallSection = FirewallSection()
    service: tuple[ServiceSection, ...] = ()
    capture: tuple[CaptureSection, ...] = ()
    conntrack: ConntrackSection = ConntrackSection()
    mitigate: MitigateSection = MitigateSection()
    sink: tuple[AnySinkSettings, ...] = ()

    @property
    def services(self) -> tuple[Service, ...]:
        return tuple(Service(entry.name, entry.address, entry.port, entry.protocol) for entry in self.service)


def load_config(path: Path) -> Config:
    """Read and check a configuration.

    Raises:
        ConfigError: the file cannot be read, or a key is unknown, missing, of the wrong type or out of range.
    """
    config = load(Config, path)
    for position, entry in enumerate(config.service):
        try:
            netaddr.IPNetwork(entry.address)
        except (netaddr.AddrFormatError, ValueError) as error:
            raise ConfigError(f"{path}: service[{position}].address: '{entry.address}' is no address or prefix") from error
    for position, prefix in enumerate(config.mitigate.never_block):
        try:
            netaddr.IPNetwork(prefix)
        except (netaddr.AddrFormatError, ValueError) as error:
            raise ConfigError(f"{path}: mitigate.never_block[{position}]: '{prefix}' is no address or prefix") from error
    names = [entry.name for entry in config.service]
    if doubled := {name for name in names if names.count(name) > 1}:
        raise ConfigError(f"{path}: service.name must be unique, got {', '.join(sorted(doubled))} more than once")
    return config


def parse_service(text: str) -> Service:
    """Read ``ADDR:PORT/PROTO`` as the command line takes it: ``203.0.113.25:25/tcp``, ``[2001:db8::25]:25/tcp``, ``203.0.113.0/24:25/tcp``.

    Raises:
        UsageError: it is not of that form; the text says which part is wrong.
    """
    form = f"--service '{text}': expected ADDR:PORT/PROTO such as 203.0.113.25:25/tcp or [2001:db8::25]:25/tcp"
    address, colon, rest = text.rpartition(":")
    port, slash, protocol = rest.partition("/")
    if not (address and colon and slash):
        raise UsageError(form)
    if protocol not in ("tcp", "udp"):
        raise UsageError(f"--service '{text}': protocol must be tcp or udp, got '{protocol}'")
    if not (port.isascii() and port.isdigit() and 1 <= int(port) <= 65535):
        raise UsageError(f"--service '{text}': port must be 1 to 65535, got '{port}'")
    try:
        network = netaddr.IPNetwork(address.strip("[]"))
    except (netaddr.AddrFormatError, ValueError) as error:
        raise UsageError(f"--service '{text}': '{address}' is no address or prefix") from error
    whole = network.prefixlen == (32 if network.version == 4 else 128)
    plain = str(network.ip) if whole else str(network.cidr)
    service = Service(name="", address=plain, port=int(port), protocol=protocol)
    return msgspec.structs.replace(service, name=service.label)


class ReplaySettings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that rules a replay, read and checked: from the command line over the configuration over the defaults."""

    firewall_name: str
    profile: FirewallProfile
    services: tuple[Service, ...]  # empty: learned
    never_block: tuple[str, ...]
    inner: bool
    expiry: bool
    detectors: dict[Mode, DetectorSettings]
    playbooks: dict[str, Playbook]
    what_if: tuple[Playbook, ...]


def replay_settings(
    *,
    config: Path | None = None,
    firewall: str | None = None,
    limit: int | None = None,
    strict: bool | None = None,
    services: Sequence[str] = (),
    inner: bool = False,
    expiry: bool = True,
    what_if: Sequence[str] = (),
) -> ReplaySettings:
    """Put the settings of a replay together; what is ``None`` or empty comes from the configuration, then from the profile.

    Raises:
        UsageError: an unknown profile or playbook, a limit below 1, a service that is not of the form ADDR:PORT/PROTO.
        ConfigError: a file is wrong.
    """
    file = load_config(config) if config is not None else Config()
    if limit is not None and limit < 1:
        raise UsageError(f"--limit {limit}: a session table holds at least 1 entry")
    profile = firewall_profile(firewall or file.firewall.profile)
    wished_limit = limit if limit is not None else file.firewall.limit
    wished_strict = strict if strict is not None else file.firewall.strict
    playbooks = all_playbooks()
    if unknown := [name for name in what_if if name not in playbooks]:
        raise UsageError(f"--what-if {unknown[0]}: no such playbook; there are {', '.join(sorted(playbooks))}")
    return ReplaySettings(
        firewall_name=file.firewall.name,
        profile=msgspec.structs.replace(
            profile,
            limit=wished_limit if wished_limit is not None else profile.limit,
            strict=wished_strict if wished_strict is not None else profile.strict,
        ),
        services=tuple(parse_service(text) for text in services) or file.services,
        never_block=file.mitigate.never_block,
        inner=inner,
        expiry=expiry,
        detectors=all_detector_settings(),
        playbooks=playbooks,
        what_if=tuple(playbooks[name] for name in dict.fromkeys(what_if)),
    )


EXAMPLE = """\
# netwatch.toml: netwatch observes until [mitigate] says otherwise.
site = "dc1"
state_dir = "/var/lib/netwatch"

[firewall]
name = "edge-1"
driver = "nftables"              # or "dry-run": prints what it would do
profile = "linux"                # how it keeps state: `netwatch rules list`, or the path of a TOML file
# limit = 262144                 # entries of its state table; default: the profile's
# strict = false                 # refuse TCP sessions that do not begin with SYN

[[service]]                      # without any, services are learned from the traffic
name = "inbound-smtp"
address = "203.0.113.25"         # or a prefix
port = 25
protocol = "tcp"

[[capture]]
interface = "eth0"
sample = 1                       # 1 in N packets, chosen in the kernel

[conntrack]
poll_s = 1.0

[mitigate]
mode = "observe"                 # observe | suggest | enforce
never_block = ["198.51.100.0/24"]
max_life_s = 900

# [[sink]]
# type = "influxdb"              # InfluxDB 2.x and what speaks its write API
# url = "http://127.0.0.1:8086"
# org = "noc"
# bucket = "netwatch"
# token_env = "INFLUX_TOKEN"

# [[sink]]
# type = "prometheus"
# listen = "127.0.0.1:9464"
"""
