"""One TOML file to typed settings. Every error names the file and the key, and a misspelt key is an error, not silence.

The sections mirror the stages; a replay uses ``site``, ``firewall``, ``service`` and ``mitigate`` of the same file that the daemon runs
with, so that what is tried on a capture is what will run.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from netwatch.detect.detector import DetectorSettings
from netwatch.errors import ConfigError, UsageError
from netwatch.export.alerts.policy import AlertPolicy
from netwatch.export.sink import SinkContext
from netwatch.export.sinks import AnySinkSettings
from netwatch.mitigate.ladder import Rung, rungs
from netwatch.mitigate.playbook import Playbook
from netwatch.mitigate.settings import MitigationKeys, MitigationSettings
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
    namespace: str | None = None  # network namespace of the firewall, as `ip netns` names it; default: the one netwatch runs in
    profile: str = "linux"  # how it keeps state: a name of rules/firewalls or the path of a TOML file
    limit: PositiveInt | None = None  # entries of its state table; default: the profile's
    strict: bool | None = None  # refuse TCP sessions that do not begin with SYN; default: the profile's


class CanarySection(Section, frozen=True):
    """Connections of netwatch's own to a service, from where its clients are: beyond the firewall."""

    address: str | None = None  # of the service to connect to, where that is a prefix
    interval_s: Positive = 1.0
    timeout_s: Positive = 3.0
    speaks: Literal["tcp", "smtp"] | None = None  # default: smtp on ports 25 and 587
    hello: str | None = None  # name to say EHLO with; default: QUIT right after the greeting
    namespace: str | None = None  # to connect from
    source: str | None = None  # address to connect from
    command: tuple[str, ...] = ()  # instead of a connection: {address} and {port} are put in, exit code 0 is an answer


class ServiceSection(Section, frozen=True):
    name: str
    address: str
    port: Port
    protocol: Literal["tcp", "udp"] = "tcp"
    canary: CanarySection | None = None


class CaptureSection(Section, frozen=True):
    interface: str
    sample: PositiveInt = 1
    ways: Literal["in", "both"] = "both"  # "in" where both sides of the firewall are captured: each packet counts once
    promiscuous: bool = False
    snaplen: Annotated[int, msgspec.Meta(ge=64, le=65535)] = 128  # 192 where headers inside a tunnel matter


class ConntrackSection(Section, frozen=True):
    poll_s: Annotated[float, msgspec.Meta(ge=0.1, le=60)] = 1.0
    survey_s: Annotated[float, msgspec.Meta(ge=5)] = 30.0  # between two walks over the whole table; more often when something is wrong


class MitigateSection(MitigationKeys, frozen=True, kw_only=True):
    on_flush: Literal["re-arm", "stand-down"] = "re-arm"  # when somebody else removes netwatch's table


class Config(Section, frozen=True):
    """The whole file; every key has a default, so that an empty file observes and changes nothing."""

    site: str = "default"
    state_dir: str = "/var/lib/netwatch"
    firewall: FirewallSection = FirewallSection()
    service: tuple[ServiceSection, ...] = ()
    capture: tuple[CaptureSection, ...] = ()
    conntrack: ConntrackSection = ConntrackSection()
    mitigate: MitigateSection = MitigateSection()
    playbooks: str | None = None  # a folder of playbooks of your own, beside those of rules/playbooks
    ladder: dict[Mode, tuple[str, ...]] = {}  # of playbooks, by failure mode, instead of the one in rules/detectors
    sink: tuple[AnySinkSettings, ...] = ()
    alerts: AlertPolicy = AlertPolicy()

    @property
    def sink_context(self) -> SinkContext:
        return SinkContext(site=self.site, firewall=self.firewall.name, state_dir=Path(self.state_dir), alerts=self.alerts)

    @property
    def services(self) -> tuple[Service, ...]:
        return tuple(Service(entry.name, entry.address, entry.port, entry.protocol) for entry in self.service)


def load_config(path: Path) -> Config:
    """Read and check a configuration.

    Raises:
        ConfigError: the file cannot be read, or a key is unknown, missing, of the wrong type or out of range.
    """
    import netaddr  # not before there is an address to read: its import takes as long as reading all rules

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
    for mode, entries in config.ladder.items():
        try:
            rungs(entries, playbooks_of(config))
        except ConfigError as error:
            raise ConfigError(f"{path}: ladder.{mode}: {error}") from error
    names = [entry.name for entry in config.service]
    if doubled := {name for name in names if names.count(name) > 1}:
        raise ConfigError(f"{path}: service.name must be unique, got {', '.join(sorted(doubled))} more than once")
    return config


def mitigation_settings(config: Config) -> MitigationSettings:
    """What netwatch may do to the firewall, by ``[mitigate]`` and the driver."""
    keys = {name: getattr(config.mitigate, name) for name in MitigationKeys.__struct_fields__}
    return MitigationSettings(**keys, dry_run=config.firewall.driver == "dry-run")


def playbooks_of(config: Config) -> dict[str, Playbook]:
    """The shipped playbooks, and the configuration's own."""
    return all_playbooks(Path(config.playbooks) if config.playbooks is not None else None)


def detector_settings(config: Config) -> dict[Mode, DetectorSettings]:
    """The shipped settings of every detector, with the configuration's own ladders."""
    return {
        mode: msgspec.structs.replace(settings, ladder=config.ladder.get(mode, settings.ladder))
        for mode, settings in all_detector_settings().items()
    }


def ladders(config: Config) -> dict[Mode, tuple[Rung, ...]]:
    """What is tried against each mode, gentlest first."""
    playbooks = playbooks_of(config)
    return {mode: rungs(settings.ladder, playbooks) for mode, settings in detector_settings(config).items()}


def parse_service(text: str) -> Service:
    """Read ``ADDR:PORT/PROTO`` as the command line takes it: ``203.0.113.25:25/tcp``, ``[2001:db8::25]:25/tcp``, ``203.0.113.0/24:25/tcp``.

    Raises:
        UsageError: it is not of that form; the text says which part is wrong.
    """
    import netaddr

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
    playbooks = playbooks_of(file)
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
        detectors=detector_settings(file),
        playbooks=playbooks,
        what_if=tuple(playbooks[name] for name in dict.fromkeys(what_if)),
    )


EXAMPLE = """\
# netwatch.toml: netwatch observes until [mitigate] says otherwise.
site = "dc1"
state_dir = "/var/lib/netwatch"
# playbooks = "/etc/netwatch/playbooks"   # of your own, beside the shipped ones

[firewall]
name = "edge-1"
driver = "nftables"              # or "dry-run": prints what it would do
profile = "linux"                # how it keeps state: `netwatch rules list`, or a TOML file; live, the kernel's settings rule
# namespace = "edge"             # network namespace of the firewall; default: the one netwatch runs in
# limit = 262144                 # entries of its state table; default: the profile's
# strict = false                 # refuse TCP sessions that do not begin with SYN

[[service]]                      # without any, services are learned from the traffic
name = "inbound-smtp"
address = "203.0.113.25"         # or a prefix
port = 25
protocol = "tcp"
# [service.canary]               # connections of netwatch's own, from where clients are
# namespace = "probe"            # or source = "198.51.100.99", or command = ["ssh", "probe", "nc", "-z", "{address}", "{port}"]
# interval_s = 1.0
# timeout_s = 3.0

[[capture]]                      # the side where clients are; more than one: set ways = "in" on each
interface = "eth0"
sample = 1                       # 1 in N packets, chosen in the kernel
# ways = "both"

[conntrack]
poll_s = 1.0
# survey_s = 30.0                # between two walks over the whole table; more often when something is wrong

[mitigate]
mode = "observe"                 # observe | suggest | enforce
never_block = ["198.51.100.0/24"]
max_life_s = 900                 # then a mitigation ends whatever goes on
# verify_s = 5.0                 # a change that has not helped by then is undone
# hold_down_s = 120.0            # a mitigation outlives its cause by this
# max_prefixes = 256
# max_healthy_share = 0.005      # of the healthy sessions of the last minute, those that a change would have hit
# max_baseline_share = 0.02      # of the packets before the incident, those that it would have refused
# max_changes = 10               # within changes_per_s
# changes_per_s = 600.0
# on_flush = "re-arm"            # or "stand-down": when somebody else removes netwatch's table

# [ladder]                       # instead of the shipped ones: `netwatch rules explain syn-flood`
# syn-flood = ["synproxy+clear-half-open", "prefix-drop"]

# [[sink]]
# type = "influxdb"              # InfluxDB 2.x and what speaks its write API
# url = "http://127.0.0.1:8086"
# org = "noc"
# bucket = "netwatch"
# token_env = "INFLUX_TOKEN"

# [[sink]]
# type = "prometheus"
# listen = "127.0.0.1:9464"

# [[sink]]                       # also pagerduty, opsgenie, apprise, mail, webhook, jsonl, syslog: docs/alerting.md
# type = "alertmanager"
# url = "http://127.0.0.1:9093"

# [alerts]
# runbook_url = "https://wiki.example.net/netwatch/modes/"
# report_url = "https://netwatch.example.net/incidents/{incident}"
"""
