"""The model against what a kernel said of real captures: every packet's verdict, counted, and what was left in the table.

The kernel was fed at full speed, so the model runs without time-outs. Fragments go through reassembly first, as they do in a kernel.
"""

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from netwatch.collect import open_capture
from netwatch.decode import Decoder
from netwatch.model.session import FirewallProfile, SessionState
from netwatch.model.tracked import TRACKED
from netwatch.track.fragments import Reassembly
from netwatch.track.session_entry import ASSURED, SEEN_REPLY
from netwatch.track.session_table import SessionTable
from tests.conftest import SHARED_CAPTURES

pytestmark = pytest.mark.shared

LOOPBACK = "127.0.0.1 to itself: a firewall never forwards that, so the kernel that was asked confirmed no entry"
DIFFERENT = {
    "mailtls/chrissanders__mail_sender_attachment.pcapng": "frames of up to 4150 bytes: the link to the kernel that was asked carried 1514",
    "mailtls/zeek__smtp-mail-transactions-invalid.pcap": LOOPBACK,
    "tcpstate/suricata-verify__alert-no-3whs-established__no-3whs.pcap": LOOPBACK,
}
PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp", 47: "gre", 58: "icmpv6", 132: "sctp"}


def judged_captures() -> list[str]:
    """Captures that a kernel has judged, as the collection's manifest names them."""
    manifest = SHARED_CAPTURES / "MANIFEST.tsv"
    if not manifest.is_file():
        return []
    with manifest.open() as lines:
        return [line["file"] for line in csv.DictReader(lines, delimiter="\t") if line["conntrack_reliable"]]


def kernels_word(folder: Path, name: str, mode: str) -> dict[str, Any]:
    area, file = name.split("/")
    word: dict[str, Any] = json.loads((folder / area / "oracle" / f"{file}.json").read_text())["linux_conntrack"][mode]
    return word


def through_the_model(path: Path, *, strict: bool) -> SessionTable:
    table = SessionTable(FirewallProfile(name="linux", description="", strict=strict), expiry=False)
    decoder, reassembly = Decoder(), Reassembly()
    with open_capture(str(path)) as capture:
        for frames in capture.blocks():
            block = decoder.decode(frames)
            tracked = np.zeros(len(block.packets), TRACKED)
            reassembly.track(block, tracked)
            table.track(block.packets, block.quoted, tracked)
    return table


def entry_states(table: SessionTable) -> dict[str, int]:
    """The model's entries in the words of ``conntrack -L``."""
    counted: Counter[str] = Counter()
    entries = table._arrays.entries
    for entry in entries[entries["protocol"] != 0]:
        name = PROTOCOLS[int(entry["protocol"])]
        name += f":{SessionState(entry['state']).name}" if name == "tcp" else ""
        name += "" if entry["status"] & SEEN_REPLY else " UNREPLIED"
        name += " ASSURED" if entry["status"] & ASSURED else ""
        counted[name] += 1
    return dict(counted)


def differences(folder: Path, name: str, mode: str) -> list[str]:
    """Where the model and the kernel do not agree; empty if they do."""
    table, word = through_the_model(folder / name, strict=mode == "strict"), kernels_word(folder, name, mode)
    judged = table.verdicts
    ours = {
        "new": judged["new"],
        "est": judged["established"],
        "rel": judged["related"],
        "inv": judged["invalid"],
        "unt": judged["untracked"],
    }
    found = [] if ours == word["ct_state_packets"] else [f"{mode} packets: {ours}, kernel {word['ct_state_packets']}"]
    left = entry_states(table)
    return found if left == word["entry_states"] else [*found, f"{mode} entries: {left}, kernel {word['entry_states']}"]


@pytest.mark.parametrize("name", judged_captures())
def test_verdicts_and_entries_are_the_kernels(shared_captures: Path, name: str) -> None:
    found = differences(shared_captures, name, "loose") + differences(shared_captures, name, "strict")
    if DIFFERENT.get(name):
        assert found, f"agrees now, so this is no longer true: {DIFFERENT[name]}"
    else:
        assert not found


def test_few_captures_differ(shared_captures: Path) -> None:
    names = judged_captures()
    assert len(names) >= 62
    assert set(DIFFERENT) <= set(names)
