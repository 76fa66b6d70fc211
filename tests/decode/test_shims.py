"""Tags, labels and shims between the link and IP."""

import numpy as np
import pytest

from netwatch.decode import Decoder
from netwatch.decode.kernel import LAYERS
from netwatch.model.packet import DecodeStatus
from tests.decode.bytes_of import MACS, UDP4, UDP6, ethernet
from tests.decode.one import decode_one, status_of
from tests.decode.slow_reader import frame, frame_block

BOTTOM = b"\x00\x01\x01\x40"  # an MPLS label with the bottom bit
UPPER = b"\x00\x02\x00\x40"


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(ethernet(0x8100, b"\x00\x05\x08\x00" + UDP4), id="802.1Q"),
        pytest.param(ethernet(0x88A8, b"\x00\x05\x81\x00\x00\x06\x08\x00" + UDP4), id="802.1ad"),
        pytest.param(ethernet(0x9100, b"\x00\x05\x91\x00\x00\x06\x81\x00\x00\x07\x08\x00" + UDP4), id="three tags"),
        pytest.param(ethernet(0x8847, UPPER + UPPER + BOTTOM + UDP4), id="MPLS labels"),
        pytest.param(ethernet(0x8848, BOTTOM + UDP6), id="MPLS multicast"),
        pytest.param(ethernet(0x8847, BOTTOM + bytes(4) + ethernet(0x0800, UDP4)), id="pseudowire with a control word"),
        pytest.param(ethernet(0x8847, BOTTOM + ethernet(0x0800, UDP4)), id="pseudowire without a control word"),
        pytest.param(ethernet(0x8864, b"\x11\x00\x00\x01\x00\x30\x00\x21" + UDP4), id="PPPoE"),
        pytest.param(ethernet(0x8864, b"\x11\x00\x00\x01\x00\x30\x02\x81" + BOTTOM + UDP4), id="PPPoE with MPLS"),
        pytest.param(ethernet(len(UDP4) + 8, bytes.fromhex("aaaa030000000800") + UDP4), id="LLC and SNAP"),
        pytest.param(ethernet(len(UDP4) + 3, b"\x06\x06\x03" + UDP4), id="LLC with the old SAP of IP"),
        pytest.param(ethernet(len(UDP6) + 4, b"\xfe\xfe\x03\x8e" + UDP6), id="LLC with OSI's number of IPv6"),
        pytest.param(ethernet(100, bytes.fromhex("aaaa030080c20007") + ethernet(0x0800, UDP4)), id="a bridged frame in SNAP"),
        pytest.param(bytes.fromhex("01000c000000") + MACS[6:] + bytes(14) + ethernet(0x0800, UDP4), id="ISL"),
        pytest.param(ethernet(0x88E7, bytes(16) + b"\x08\x00" + UDP4), id="provider backbone bridging"),
        pytest.param(ethernet(0x893F, bytes(6) + b"\x08\x00" + UDP4), id="E-tag"),
        pytest.param(ethernet(0x8926, bytes(4) + b"\x08\x00" + UDP4), id="VN-tag"),
        pytest.param(ethernet(0x8909, b"\x01\x01\x00\x01\x00\x00\x08\x00" + UDP4), id="Cisco metadata"),
    ],
)
def test_ip_is_found_behind_tags_and_shims(data: bytes) -> None:
    row = decode_one(data)
    assert row["status"] == DecodeStatus.OK
    assert (row["sport"], row["dport"], row["payload_len"]) == (1000, 2000, 10)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(ethernet(38, b"\x42\x42\x03" + bytes(35)), id="spanning tree"),
        pytest.param(ethernet(60, bytes.fromhex("aaaa0300000c2000") + bytes(52)), id="CDP"),
        pytest.param(ethernet(0x8863, bytes(40)), id="PPPoE discovery"),
        pytest.param(ethernet(0x8864, b"\x11\xa7" + bytes(40)), id="PPPoE session that ends"),
        pytest.param(ethernet(0x8847, BOTTOM + b"\x10\x00\x00\x07" + bytes(40)), id="channel of a pseudowire"),
        pytest.param(ethernet(0x8847, BOTTOM + b"\x00\x00\x00\x00" + bytes(40)), id="pseudowire with something else"),
        pytest.param(ethernet(0x8100, b"\x00\x05\x08\x06" + bytes(28)), id="ARP behind a tag"),
        pytest.param(ethernet(0x88CC, bytes(40)), id="LLDP"),
    ],
)
def test_what_is_not_ip_is_no_error(data: bytes) -> None:
    assert status_of(data) == DecodeStatus.NOT_IP


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        (b"\x00\x2a\x08\x00", 42),
        (b"\xe0\x2a\x08\x00", 42),
        (b"\x00\x0a\x81\x00\x00\x14\x08\x00", 10),
        (b"\x00\x00\x81\x00\x00\x14\x08\x00", 20),
    ],
)
def test_the_vlan_is_the_outermost_tag_that_names_one(tags: bytes, expected: int) -> None:
    assert decode_one(ethernet(0x8100, tags + UDP4))["vlan"] == expected


def test_a_tag_that_the_kernel_took_out_of_the_frame_is_the_outermost() -> None:
    block = frame_block([frame(ethernet(0x8100, b"\x00\x2a\x08\x00" + UDP4))])
    block.frames["vlan"] = 7
    assert list(Decoder().decode(block).packets["vlan"]) == [7]


@pytest.mark.parametrize("tags", [LAYERS - 2, LAYERS - 1, 200])
def test_tags_are_followed_to_a_bound(tags: int) -> None:
    data = ethernet(0x8100, b"\x00\x05\x81\x00" * (tags - 1) + b"\x00\x05\x08\x00" + UDP4)
    assert status_of(data) == (DecodeStatus.OK if tags <= LAYERS - 2 else DecodeStatus.TOO_MANY_LAYERS)


@pytest.mark.parametrize("cut", range(1, 14))
def test_an_ethernet_header_that_is_not_whole_is_counted_as_cut(cut: int) -> None:
    assert status_of(ethernet(0x0800)[:cut], wire_len=60) == DecodeStatus.CUT_LINK_HEADER


def test_a_frame_without_a_byte_is_cut() -> None:
    block = Decoder().decode(frame_block([frame(b"", wire_len=60)]))
    assert np.array_equal(block.packets["status"], [DecodeStatus.CUT_LINK_HEADER])
