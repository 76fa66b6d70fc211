"""The state table as we read it, against ``conntrack -L``, which reads it its own way; and deletions of every kind of entry."""

import subprocess
import time

import numpy as np
import pytest

from captures.generator.scene import endpoint
from captures.generator.wire import SYN, TCP, UDP, Packet
from netwatch.decode.ctnetlink import EntryDecoder
from netwatch.enforce.ctnetlink import Filter, StateTable
from netwatch.model.address import address_text
from netwatch.model.entry import EntryStatus
from netwatch.model.packet import Rows
from netwatch.model.session import TcpState
from tests.enforce.table import SERVER6, entries, established, fill, half_open, set_sysctl
from tests.mitigate.site import SERVER, Site

pytestmark = pytest.mark.namespace

Line = dict[str, str | int]


def read(namespace: str, wanted: Filter = Filter()) -> Rows:  # noqa: B008
    return np.concatenate([rows.copy() for _, rows in StateTable(namespace).dump(EntryDecoder(), wanted)])


def shown(namespace: str) -> list[Line]:
    """``conntrack -L`` as values."""
    lines: list[Line] = []
    for line in entries(namespace, "-f", "ipv4", "-o", "id") + entries(namespace, "-f", "ipv6", "-o", "id"):
        words = line.split()
        named = [(name, value) for name, separator, value in (word.partition("=") for word in words) if separator]
        pairs = dict(reversed(named))  # the first of each: of the original direction
        lines.append(
            {
                "protocol": int(words[1]),
                "left_s": int(words[2]),
                "state": words[3] if words[0] == "tcp" else "",
                "src": pairs["src"],
                "dst": pairs["dst"],
                "sport": int(pairs.get("sport", 0)),
                "dport": int(pairs.get("dport", 0)),
                "id": int(dict(named)["id"]),  # the last: ICMP has identifiers of its own
                "zone": int(pairs.get("zone", 0)),
                "bytes": int(pairs.get("bytes", 0)),
                "assured": "[ASSURED]" in words,
                "replied": "[UNREPLIED]" not in words,
            }
        )
    return sorted(lines, key=lambda line: line["id"])


def told(rows: Rows) -> list[Line]:
    lines: list[Line] = [
        {
            "protocol": int(row["protocol"]),
            "left_s": int(row["timeout_s"]),
            "state": TcpState(int(row["state"])).name if row["protocol"] == 6 else "",
            "src": address_text(int(row["src_hi"]), int(row["src_lo"])),
            "dst": address_text(int(row["dst_hi"]), int(row["dst_lo"])),
            "sport": int(row["sport"]),
            "dport": int(row["dport"]),
            "id": int(row["id"]),
            "zone": int(row["zone"]),
            "bytes": int(row["original_bytes"]),
            "assured": bool(row["status"] & EntryStatus.ASSURED),
            "replied": bool(row["status"] & EntryStatus.SEEN_REPLY),
        }
        for row in rows
    ]
    return sorted(lines, key=lambda line: line["id"])


@pytest.fixture
def mixed(site: Site) -> str:
    """The firewall's namespace with entries of every kind that can be made here."""
    firewall = site.names["firewall"]
    set_sysctl(firewall, "net.netfilter.nf_conntrack_acct", "1")
    site.banner()
    site.banner(server="2001:db8:5::25", source="2001:db8:c::2")
    site.on("client", "ping", "-c", "1", "-W", "1", SERVER)
    site.on("client", "ping", "-6", "-c", "1", "-W", "1", "2001:db8:5::25")
    site.sent([Packet(0, endpoint("192.0.2.2", 4000 + n), endpoint(SERVER, 53), UDP, True, 40) for n in range(3)])
    site.sent([Packet(0, endpoint("192.0.2.2", 4000 + n), endpoint("203.0.113.99", 25), TCP, True, 0, SYN, n, 0, 100) for n in range(3)])
    fill(firewall, [*half_open(3), *half_open(3, server=SERVER6), *established(3)])
    for words in (
        "-p tcp -s 10.9.0.1 -d 203.0.113.25 --sport 1 --dport 25 --state ESTABLISHED --zone 7",
        "-p tcp -s 10.9.0.2 -d 203.0.113.25 --sport 1 --dport 25 --state ESTABLISHED --orig-zone 8",
        "-p tcp -s 10.9.0.3 -d 203.0.113.25 --sport 1 --dport 25 --state ESTABLISHED --reply-zone 9",
        "-p gre -s 10.9.0.4 -d 203.0.113.25 --srckey 1 --dstkey 2",
        "-p sctp -s 10.9.0.5 -d 203.0.113.25 --sport 1 --dport 25 --state ESTABLISHED --orig-vtag 1 --reply-vtag 2",
        "-p 99 -s 10.9.0.6 -d 203.0.113.25",
    ):
        site.on("firewall", "conntrack", "-I", *words.split(), "-t", "100", check=False)
    return firewall


def test_what_is_read_is_what_conntrack_shows(mixed: str) -> None:
    ours, theirs = told(read(mixed)), shown(mixed)
    assert len(ours) >= 18
    assert {line["protocol"] for line in ours} >= {1, 6, 17, 58}
    for mine, other in zip(ours, theirs, strict=True):
        assert abs(int(mine.pop("left_s")) - int(other.pop("left_s"))) <= 1
        assert mine == other


def test_every_kind_of_entry_can_be_deleted_by_its_tuple(mixed: str) -> None:
    table = StateTable(mixed)
    ((block, rows),) = list(table.dump(EntryDecoder(), Filter()))
    outcome = table.delete(block, rows)
    assert (outcome.deleted, outcome.gone, outcome.failed) == (len(rows), 0, 0), outcome.reason
    assert shown(mixed) == []


def test_the_kernel_shows_only_what_a_filter_asks_for(namespace: str) -> None:
    fill(namespace, [*half_open(5), *half_open(4, port=26), *established(3), *half_open(2, server=SERVER6)])
    assert len(read(namespace, Filter(unassured=True))) == 11
    assert len(read(namespace, Filter(family=2, protocol=6, port=25))) == 8
    assert len(read(namespace, Filter(family=10, protocol=6, port=25, unassured=True))) == 2


def test_a_table_of_many_blocks_is_read_once_each(namespace: str) -> None:
    fill(namespace, half_open(6000))
    blocks = [len(rows) for _, rows in StateTable(namespace).dump(EntryDecoder(), Filter())]
    assert len(blocks) >= 2
    assert sum(blocks) == 6000
    assert len(np.unique(read(namespace)["id"])) == 6000


def test_entries_are_counted_by_the_kernel(namespace: str) -> None:
    fill(namespace, half_open(7))
    assert StateTable(namespace).count() == 7
    subprocess.run(["ip", "netns", "exec", namespace, "conntrack", "-D", "-s", "10.0.0.3"], check=True, capture_output=True)
    end = time.monotonic() + 5
    while StateTable(namespace).count() != 6:
        assert time.monotonic() < end
