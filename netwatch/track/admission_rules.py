"""From a mitigation's rules as values to the arrays that the kernels ask.

Prefixes become sorted, disjoint ranges of addresses, with those that must never be blocked cut out of those that are dropped, so that one
binary search answers for any number of them. Services become a byte of rules each.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from netwatch.model.address import HALF_MASK, prefix_halves
from netwatch.model.plan import Admission
from netwatch.model.service import Service
from netwatch.track.admission import (
    ACTIVE,
    CONNECTION_LIMIT,
    LIMITED,
    METER_BUCKETS,
    METER_DEPTH_NS,
    METER_STEP_NS,
    METERED,
    PROXIED,
    RETIMED,
    SETTING_COUNT,
    SYN_FILTER_BITS,
    WORD_BITS,
    Guard,
)
from netwatch.track.refusals import REFUSED_SETS, REFUSED_WAYS

Range = tuple[int, int]
"""First and last address, as 128-bit numbers with IPv4 mapped."""

SECOND_NS = 1_000_000_000


def ranges_of(prefixes: Iterable[str]) -> list[Range]:
    """Sorted, disjoint ranges that cover the same addresses as some prefixes."""
    found = []
    for prefix in prefixes:
        net_hi, net_lo, mask_hi, mask_lo, _ = prefix_halves(prefix)
        first, mask = net_hi << 64 | net_lo, mask_hi << 64 | mask_lo
        found.append((first, first | (~mask & ((1 << 128) - 1))))
    merged: list[Range] = []
    for first, last in sorted(found):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    return merged


def without(ranges: Sequence[Range], spared: Sequence[Range]) -> list[Range]:
    """Cut some ranges out of others."""
    left = list(ranges)
    for cut_first, cut_last in spared:
        remaining = []
        for first, last in left:
            if first < cut_first:
                remaining.append((first, min(last, cut_first - 1)))
            if last > cut_last:
                remaining.append((max(first, cut_last + 1), last))
        left = [(first, last) for first, last in remaining if first <= last]
    return sorted(set(left))


def range_array(ranges: Sequence[Range]) -> NDArray[np.uint64]:
    """Ranges as kernels search them."""
    rows = [(first >> 64, first & HALF_MASK, last >> 64, last & HALF_MASK) for first, last in ranges]
    return np.array(rows, np.uint64).reshape(len(rows), 4)


def groups_of(named: Sequence[Service], indices: Mapping[str, int], group_count: int) -> NDArray[np.bool_]:
    """Which services are meant: the named ones that are known, or all if none is named."""
    meant = np.full(group_count, not named, np.bool_)
    for service in named:
        index = indices.get(service.label)
        if index is not None and index < group_count:
            meant[index] = True
    return meant


def service_rules(admission: Admission, indices: Mapping[str, int], group_count: int) -> NDArray[np.uint8]:
    """The byte of rules of each service."""
    rules = np.zeros(group_count, np.uint8)
    if admission.synproxy:
        rules[groups_of(admission.synproxy, indices, group_count)] |= PROXIED
    if admission.meter_per_s is not None:
        rules[groups_of(admission.meter_services, indices, group_count)] |= METERED
    if admission.connection_limit is not None:
        rules[groups_of(admission.connection_limit_services, indices, group_count)] |= LIMITED
    if admission.new_timeouts is not None:
        rules[groups_of(admission.new_timeouts_services, indices, group_count)] |= RETIMED
    return rules


def open_guard(group_count: int) -> Guard:
    """No mitigation: everything is admitted, and nothing is kept."""
    nothing = range_array([])
    words = np.zeros((2, 1), np.uint64)
    return Guard(
        dropped=nothing,
        spared=nothing,
        rules=np.zeros(group_count, np.uint8),
        syn_filters=words,
        meter_ns=np.zeros(1, np.int64),
        refused_keys=np.zeros(1, np.uint64),
        refused_marks=np.zeros(1, np.uint8),
        settings=np.zeros(SETTING_COUNT, np.int64),
    )


def build_guard(admission: Admission, indices: Mapping[str, int], group_count: int) -> Guard:
    """A mitigation as the kernels ask it. ``indices`` gives each service's number by its label."""
    settings = np.zeros(SETTING_COUNT, np.int64)
    settings[ACTIVE] = 1
    if admission.meter_per_s is not None:
        settings[METER_STEP_NS] = max(1, round(SECOND_NS / admission.meter_per_s))
        settings[METER_DEPTH_NS] = settings[METER_STEP_NS] * (max(1, admission.meter_burst) - 1)
    if admission.connection_limit is not None:
        settings[CONNECTION_LIMIT] = admission.connection_limit
    spared = ranges_of(admission.never_block)
    return Guard(
        dropped=range_array(without(ranges_of(admission.drop_prefixes), spared)),
        spared=range_array(spared),
        rules=service_rules(admission, indices, group_count),
        syn_filters=np.zeros((2, SYN_FILTER_BITS // WORD_BITS if admission.synproxy else 1), np.uint64),
        meter_ns=np.zeros(METER_BUCKETS if admission.meter_per_s is not None else 1, np.int64),
        refused_keys=np.zeros(REFUSED_SETS * REFUSED_WAYS, np.uint64),
        refused_marks=np.zeros(REFUSED_SETS * REFUSED_WAYS, np.uint8),
        settings=settings,
    )
