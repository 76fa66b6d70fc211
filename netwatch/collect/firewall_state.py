"""The once-a-second poll of a live firewall: how full its state table is, what it dropped and why, what netwatch's own rules count.

It costs one or two milliseconds: the kernel keeps the number of entries, so nothing is walked. Everything is read in the firewall's
namespace; the limit of the table and the processors' counters are the whole machine's.
"""

import errno
import os
import struct
import time
from typing import Self

from netwatch.collect import kernel_files
from netwatch.collect.differences import Differences
from netwatch.collect.kernel_files import Counters, read
from netwatch.errors import FirewallUnreachableError
from netwatch.kernel.namespace import entered
from netwatch.kernel.netlink import DUMP, KernelRefusalError, Netlink, attribute, attributes, message
from netwatch.kernel.sysctl import TABLE_LIMIT
from netwatch.kernel.sysctl import read as read_sysctl
from netwatch.model.firewall_state import (
    Counted,
    FirewallState,
    InterfaceCounts,
    ReassemblyCounts,
    SoftnetCounts,
    SynproxyCounts,
    TableEvents,
)

TABLE = "netwatch"

# include/uapi/linux/netfilter/nfnetlink_conntrack.h
GET_STATISTICS_OF_PROCESSORS, GET_STATISTICS = 0x104, 0x105
GLOBAL_ENTRIES, GLOBAL_LIMIT = 1, 2
TABLE_COUNTERS = {
    "collisions": 2,
    "invalid": 4,
    "insert_failed": 9,
    "dropped": 10,
    "early_dropped": 11,
    "icmp_errors": 12,
    "restarts": 13,
    "clashes_resolved": 14,
    "chain_too_long": 15,
}
"""Fields of ``TableEvents`` and the attributes behind them."""

# include/uapi/linux/netfilter/nf_tables.h
GET_OBJECTS = 0x0A13
ANY_FAMILY, FAMILY_INET = 0, 1
OBJECT_TABLE, OBJECT_NAME, OBJECT_TYPE, OBJECT_DATA = 1, 2, 3, 4
TYPE_COUNTER = struct.pack(">I", 1)
COUNTER_BYTES, COUNTER_PACKETS = 1, 2
NO_SUCH_TABLE = (errno.ENOENT, errno.EOPNOTSUPP, errno.EINVAL)


class FirewallPoll:
    """Reads one firewall again and again; for one thread."""

    def __init__(self, namespace: str | None = None) -> None:
        """Open what the polls read from.

        Raises:
            FirewallUnreachableError: there is no such namespace, or no netfilter in this kernel.
        """
        self._namespace = namespace
        self._netlink = Netlink(namespace)
        self._narrow: dict[str, Differences[tuple[str, str]]] = {name: Differences(32) for name in ("table", "softnet", "synproxy")}
        self._wide: dict[str, Differences[tuple[str, str]]] = {name: Differences(64) for name in ("own", "device", "reassembly")}
        self._polled_s: float | None = None

    def poll(self) -> FirewallState:
        """Read everything once.

        Raises:
            FirewallUnreachableError: the kernel refuses or does not answer; the next poll may do better.
        """
        at_s, now_s = time.time(), time.monotonic()
        entries, limit = self._fill()
        table, own = self._table_counters(), self._own_counters()
        with entered(self._namespace):
            device = read("dev", kernel_files.device)
            softnet = read("softnet_stat", kernel_files.softnet)
            synproxy = read("stat/synproxy", kernel_files.synproxy)
            reassembly = {**read("snmp", kernel_files.reassembly4), **read("snmp6", kernel_files.reassembly6)}
            held = {**read("sockstat", kernel_files.fragment_memory), **read("sockstat6", kernel_files.fragment_memory)}
        interval_s = 0.0 if self._polled_s is None else now_s - self._polled_s
        self._polled_s = now_s
        return FirewallState(
            at_s=at_s,
            interval_s=interval_s,
            entries=entries,
            limit=limit,
            table=TableEvents(**_totals(self._narrow["table"].since(table))),
            counters={name: Counted(**counts) for name, counts in _by_owner(self._wide["own"].since(own)).items()},
            interfaces={name: InterfaceCounts(**counts) for name, counts in _by_owner(self._wide["device"].since(device)).items()},
            softnet=_softnet(self._narrow["softnet"].since(softnet)),
            synproxy=SynproxyCounts(**_totals(self._narrow["synproxy"].since(synproxy))),
            reassembly=ReassemblyCounts(**_totals(self._wide["reassembly"].since(reassembly)), **_totals(held)),
        )

    def _fill(self) -> tuple[int, int]:
        """Entries and limit of the state table."""
        try:
            (answer,) = self._netlink.ask(message(GET_STATISTICS, 0, ANY_FAMILY))
        except KernelRefusalError as error:
            raise FirewallUnreachableError(
                f"the state table cannot be asked: {os.strerror(error.number)}; the kernel's nf_conntrack_netlink is needed"
            ) from error
        entries, limit = answer.attributes[GLOBAL_ENTRIES], answer.attributes.get(GLOBAL_LIMIT)
        # Kernels before 5.12 do not tell the limit here.
        return int.from_bytes(entries, "big"), int.from_bytes(limit, "big") if limit is not None else int(read_sysctl(TABLE_LIMIT))

    def _table_counters(self) -> Counters:
        try:
            answers = list(self._netlink.ask(message(GET_STATISTICS_OF_PROCESSORS, DUMP, ANY_FAMILY)))
        except KernelRefusalError as error:
            raise FirewallUnreachableError(f"the state table's counters cannot be read: {os.strerror(error.number)}") from error
        return {
            (field, str(answer.number)): int.from_bytes(answer.attributes[kind], "big")
            for answer in answers
            for field, kind in TABLE_COUNTERS.items()
            if kind in answer.attributes
        }

    def _own_counters(self) -> Counters:
        """Named counters of netwatch's own table; none while it is not loaded."""
        body = attribute(OBJECT_TABLE, TABLE.encode() + b"\0") + attribute(OBJECT_TYPE, TYPE_COUNTER)
        try:
            answers = list(self._netlink.ask(message(GET_OBJECTS, DUMP, FAMILY_INET, body)))
        except KernelRefusalError as error:
            if error.number in NO_SUCH_TABLE:
                return {}
            raise FirewallUnreachableError(f"nftables' counters cannot be read: {os.strerror(error.number)}") from error
        found = {}
        for answer in answers:
            name, counts = answer.attributes[OBJECT_NAME].rstrip(b"\0").decode(), attributes(answer.attributes[OBJECT_DATA])
            found["packets", name] = int.from_bytes(counts[COUNTER_PACKETS], "big")
            found["bytes", name] = int.from_bytes(counts[COUNTER_BYTES], "big")
        return found

    def close(self) -> None:
        self._netlink.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _totals(counters: Counters) -> dict[str, int]:
    """By field, whoever's they are."""
    totals: dict[str, int] = {}
    for (field, _), count in counters.items():
        totals[field] = totals.get(field, 0) + count
    return totals


def _by_owner(counters: Counters) -> dict[str, dict[str, int]]:
    owners: dict[str, dict[str, int]] = {}
    for (field, owner), count in counters.items():
        owners.setdefault(owner, {})[field] = count
    return owners


def _softnet(counters: Counters) -> SoftnetCounts:
    fields: dict[str, dict[int, int]] = {}
    for (field, processor), count in counters.items():
        fields.setdefault(field, {})[int(processor)] = count
    return SoftnetCounts(**{field: tuple(counts[processor] for processor in sorted(counts)) for field, counts in fields.items()})
