"""What a site lets netwatch do to its firewall. The defaults do nothing: mode ``observe``."""

from enum import StrEnum
from typing import Annotated

import msgspec

Positive = Annotated[float, msgspec.Meta(gt=0)]
PositiveInt = Annotated[int, msgspec.Meta(ge=1)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class OperatingMode(StrEnum):
    OBSERVE = "observe"  # plans are told, never applied
    SUGGEST = "suggest"  # a plan waits for ``netwatch approve ID``
    ENFORCE = "enforce"


class MitigationKeys(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the section ``[mitigate]`` of the configuration says about it."""

    mode: OperatingMode = OperatingMode.OBSERVE
    never_block: tuple[str, ...] = ()
    verify_s: Annotated[float, msgspec.Meta(ge=3)] = 5.0  # a change that has not helped by then is undone; two whole windows need 3 s
    hold_down_s: Positive = 120.0  # a mitigation outlives its cause by this; netfilter's SYN_SENT, its longest half-open state, lasts 120 s
    max_life_s: Positive = 900.0  # then a mitigation ends whatever goes on; harm that comes back is a new decision
    max_prefixes: PositiveInt = 256
    max_healthy_share: Share = 0.005  # of the healthy sessions of the last minute, those that a plan would have hit
    max_baseline_share: Share = 0.02  # of the packets before the incident, those that it would have refused
    max_changes: PositiveInt = 10  # within ``changes_per_s``
    changes_per_s: Positive = 600.0
    failover_s: Positive = 600.0  # so long after the firewall lost its state, live sessions may still have to be picked up
    retry_s: Positive = 600.0  # a ladder that did not help is climbed again after this, if the incident still lasts


class MitigationSettings(MitigationKeys, frozen=True, kw_only=True):
    dry_run: bool = False  # the driver only prints, so nothing it does can be verified
