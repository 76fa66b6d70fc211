"""Where the oracles of the shared captures and we disagree, each with its reason. The test fails when one of them no longer holds."""

from typing import NamedTuple


class Difference(NamedTuple):
    capture: str
    field: str
    ours: int
    oracle: int
    reason: str


GUESSED_RECORD_HEADER = (
    "the second record's length is garbage, from which tshark concludes that every record header has 8 bytes more than the file's magic "
    "number says; by the magic number the first record is the whole IPv4 packet that was captured, and the file is damaged after it"
)

SAMPLED_HEADERS = (
    "tshark follows the headers that an sFlow datagram quotes as samples; they are copies of packets seen elsewhere, not what it "
    "carries itself"
)

KNOWN_DIFFERENCES = (
    Difference("decode/suricata-verify__bug-6875-01__fuzz.pcap", "packets", 1, 2, GUESSED_RECORD_HEADER),
    Difference("decode/suricata-verify__bug-6875-01__fuzz.pcap", "flows_outer", 1, 0, GUESSED_RECORD_HEADER),
    Difference("decode/suricata-verify__bug-6875-01__fuzz.pcap", "ip_packets", 1, 0, GUESSED_RECORD_HEADER),
    Difference("flowexport/nDPI__sflow.pcap", "flows_inner", 1, 2, SAMPLED_HEADERS),
)

LARGEST_SHARE = 0.02
"""Differences allowed at most, of all comparisons."""
