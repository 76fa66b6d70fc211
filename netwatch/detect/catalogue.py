"""The detectors there are, by mode: what each is made from and how a set of them is built."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from netwatch.detect.ack_flood import AckFlood, AckFloodSettings
from netwatch.detect.asymmetric_routing import AsymmetricRouting, AsymmetricRoutingSettings
from netwatch.detect.detector import Detector, DetectorSettings
from netwatch.detect.established_creep import EstablishedCreep, EstablishedCreepSettings
from netwatch.detect.failover_without_sync import FailoverWithoutSync, FailoverWithoutSyncSettings
from netwatch.detect.fragment_exhaustion import FragmentExhaustion, FragmentExhaustionSettings
from netwatch.detect.idle_timeout_blackhole import IdleTimeoutBlackhole, IdleTimeoutBlackholeSettings
from netwatch.detect.retry_storm import RetryStorm, RetryStormSettings
from netwatch.detect.rst_flood import RstFlood, RstFloodSettings
from netwatch.detect.service_silent import ServiceSilent, ServiceSilentSettings
from netwatch.detect.syn_flood import SynFlood, SynFloodSettings
from netwatch.detect.table_full import TableFull, TableFullSettings
from netwatch.detect.time_wait_pileup import TimeWaitPileup, TimeWaitPileupSettings
from netwatch.detect.udp_state_flood import UdpStateFlood, UdpStateFloodSettings
from netwatch.model.incident import Mode
from netwatch.model.session import FirewallProfile


class Entry(NamedTuple):
    settings: type[DetectorSettings]
    detector: Callable[[Any, FirewallProfile], Detector]  # Any: each takes its own settings


CATALOGUE: dict[Mode, Entry] = {
    Mode.TABLE_FULL: Entry(TableFullSettings, TableFull),
    Mode.SYN_FLOOD: Entry(SynFloodSettings, SynFlood),
    Mode.ESTABLISHED_CREEP: Entry(EstablishedCreepSettings, EstablishedCreep),
    Mode.TIME_WAIT_PILEUP: Entry(TimeWaitPileupSettings, TimeWaitPileup),
    Mode.UDP_STATE_FLOOD: Entry(UdpStateFloodSettings, UdpStateFlood),
    Mode.ACK_FLOOD: Entry(AckFloodSettings, AckFlood),
    Mode.RST_FLOOD: Entry(RstFloodSettings, RstFlood),
    Mode.ASYMMETRIC_ROUTING: Entry(AsymmetricRoutingSettings, AsymmetricRouting),
    Mode.IDLE_TIMEOUT_BLACKHOLE: Entry(IdleTimeoutBlackholeSettings, IdleTimeoutBlackhole),
    Mode.FRAGMENT_EXHAUSTION: Entry(FragmentExhaustionSettings, FragmentExhaustion),
    Mode.RETRY_STORM: Entry(RetryStormSettings, RetryStorm),
    Mode.FAILOVER_WITHOUT_SYNC: Entry(FailoverWithoutSyncSettings, FailoverWithoutSync),
    Mode.SERVICE_SILENT: Entry(ServiceSilentSettings, ServiceSilent),
}
"""In the order in which findings of one window are told."""


def detectors(settings_by_mode: Mapping[Mode, DetectorSettings], profile: FirewallProfile) -> list[Detector]:
    """Every detector, with the settings given for its mode or its defaults.

    Args:
        settings_by_mode: as read from ``rules/detectors/<mode>.toml``; each of the type that ``CATALOGUE`` names.
        profile: of the firewall that is watched; how long its entries last decides which rates fill it.
    """
    return [entry.detector(settings_by_mode.get(mode, entry.settings()), profile) for mode, entry in CATALOGUE.items()]
