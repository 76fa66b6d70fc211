"""The firewall's state table: whether the kernel keeps one here, what netwatch can read of it, and how it will behave when it is full."""

from collections.abc import Iterator

from netwatch.doctor.check import Check, failed, ok, skipped, warning
from netwatch.enforce.ctnetlink import StateTable
from netwatch.enforce.filter_probe import can_filter_delete
from netwatch.errors import EnforceError, FirewallUnreachableError
from netwatch.kernel.namespace import entered
from netwatch.kernel.sysctl import CONNTRACK, read


def checks(namespace: str | None, *, acts: bool) -> Iterator[Check]:
    """``acts``: netwatch is configured to change the firewall."""
    try:
        with entered(namespace):
            values = {name: _value(name) for name in ("max", "buckets", "acct", "timestamp", "tcp_loose", "tcp_be_liberal")}
    except FirewallUnreachableError as error:
        yield failed("state table", str(error), why="it is the firewall's", advice="create it, or correct firewall.namespace")
        return
    if values["max"] is None:
        yield failed(
            "state table",
            "this kernel keeps none here (nf_conntrack is not loaded)",
            why="there is nothing to watch or to protect",
            advice="modprobe nf_conntrack nf_conntrack_netlink, and load rules that use `ct state`",
        )
        return
    yield from _counting(namespace)
    yield from _size(values["max"], values["buckets"] or 0)
    yield _accounting(values["acct"], acts=acts)
    yield ok("state table: start times", f"nf_conntrack_timestamp is {values['timestamp']}; netwatch does not need it")
    yield ok("state table: pick-up", f"nf_conntrack_tcp_loose is {values['tcp_loose']}: sessions {_pick_up(values['tcp_loose'])}")
    yield ok("state table: windows", f"nf_conntrack_tcp_be_liberal is {values['tcp_be_liberal']}: {_windows(values['tcp_be_liberal'])}")
    yield _filtered_deletion()


def _value(name: str) -> int | None:
    try:
        return int(read(CONNTRACK + name))
    except FileNotFoundError:
        return None


def _counting(namespace: str | None) -> Iterator[Check]:
    try:
        entries = StateTable(namespace).count()
    except FirewallUnreachableError as error:
        yield skipped("state table: entries", str(error), advice="run doctor as root")
        return
    except EnforceError as error:
        yield failed(
            "state table: entries",
            f"cannot be read over netlink: {error}",
            why="netwatch reads and evicts entries that way",
            advice="modprobe nf_conntrack_netlink",
        )
        return
    if entries:
        yield ok("state table: entries", f"{entries:,} now")
    else:
        yield warning(
            "state table: entries",
            "none",
            why="either nothing passes, or no rule here makes the kernel track connections, and then netwatch sees an empty table",
            advice="load rules that use `ct state`, and look again while there is traffic",
        )


def _size(limit: int, buckets: int) -> Iterator[Check]:
    found = f"{limit:,} entries in {buckets:,} buckets"
    # nf_conntrack_core.c, early_drop(): eight buckets are looked at for a victim.
    if limit and buckets and limit < buckets / 8:
        yield warning(
            "state table: size",
            found,
            why="with far fewer entries than buckets early drop finds no victim in a full table, and new connections are refused",
            advice=f"sysctl net.netfilter.nf_conntrack_max={buckets}, or fewer buckets (/sys/module/nf_conntrack/parameters/hashsize)",
        )
    elif limit > 4 * buckets > 0:
        yield warning(
            "state table: size",
            found,
            why="chains of more than four entries make each new packet slower as the table fills",
            advice=f"echo {limit} > /sys/module/nf_conntrack/parameters/hashsize",
        )
    else:
        yield ok("state table: size", found)


def _accounting(value: int | None, *, acts: bool) -> Check:
    if value:
        return ok("state table: accounting", "nf_conntrack_acct is on")
    return warning(
        "state table: accounting",
        "nf_conntrack_acct is off",
        why="without it nobody knows which clients ever sent payload, so netwatch evicts no silent sessions from a table stuck full"
        if acts
        else "without it surveys do not know which sessions ever carried payload",
        advice="sysctl net.netfilter.nf_conntrack_acct=1; it counts for entries made from then on",
    )


def _pick_up(loose: int | None) -> str:
    return "are picked up in mid-stream, also by floods of ACKs" if loose else "must begin with SYN; after a failover they are cut"


def _windows(liberal: int | None) -> str:
    return "packets out of window pass" if liberal else "packets out of window are invalid"


def _filtered_deletion() -> Check:
    """Tried in a namespace of its own."""
    found = can_filter_delete()
    if found.ipv4 and found.ipv6:
        return ok("eviction by filter", "half-open entries of a service go in one message")
    if found.ipv4:
        return ok("eviction by filter", f"IPv4 in one message, IPv6 one by one: {found.reason}")
    return warning(
        "eviction by filter",
        found.reason,
        why="entries are then evicted one by one, slower but as safe",
        advice="Linux 6.8 or later; as root, so that it can be tried",
    )
