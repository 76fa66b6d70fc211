"""Link types of the tcpdump registry (tcpdump.org/linktypes.html): what the first byte of a frame is.

The number in a capture's header says which header a frame begins with. The names are those of the registry in lower case.
"""

from collections.abc import Mapping

UNREPRESENTABLE = 0xFFFF
"""What ``FRAME.link_type`` holds when a pcap header gives a number beyond 16 bits; the registry leaves it unassigned."""

DLT_OF_RAW_IP = (12, 14)
"""Some programs write the capture library's own DLT_RAW (12, on OpenBSD 14) where the file format wants LINKTYPE_RAW (101)."""

RAW = 101

LINK_TYPE_NAMES: Mapping[int, str] = {
    0: "null",
    1: "ethernet",
    3: "ax25",
    6: "ieee802_5",
    7: "arcnet_bsd",
    8: "slip",
    9: "ppp",
    10: "fddi",
    50: "ppp_hdlc",
    51: "ppp_ether",
    100: "atm_rfc1483",
    RAW: "raw",
    104: "c_hdlc",
    105: "ieee802_11",
    107: "frelay",
    108: "loop",
    113: "linux_sll",
    114: "ltalk",
    117: "pflog",
    119: "ieee802_11_prism",
    122: "ip_over_fc",
    123: "sunatm",
    127: "ieee802_11_radiotap",
    129: "arcnet_linux",
    138: "apple_ip_over_ieee1394",
    139: "mtp2_with_phdr",
    140: "mtp2",
    141: "mtp3",
    143: "docsis",
    144: "linux_irda",
    147: "user0",
    148: "user1",
    149: "user2",
    150: "user3",
    151: "user4",
    152: "user5",
    153: "user6",
    154: "user7",
    155: "user8",
    156: "user9",
    157: "user10",
    158: "user11",
    159: "user12",
    160: "user13",
    161: "user14",
    162: "user15",
    163: "ieee802_11_avs",
    165: "bacnet_ms_tp",
    166: "ppp_pppd",
    169: "gprs_llc",
    187: "bluetooth_hci_h4",
    189: "usb_linux",
    192: "ppi",
    195: "ieee802_15_4_withfcs",
    197: "erf",
    201: "bluetooth_hci_h4_with_phdr",
    203: "lapd",
    204: "ppp_with_dir",
    205: "c_hdlc_with_dir",
    206: "frelay_with_dir",
    209: "ipmb_linux",
    215: "ieee802_15_4_nonask_phy",
    220: "usb_linux_mmapped",
    224: "fc_2",
    225: "fc_2_with_frame_delims",
    226: "ipnet",
    227: "can_socketcan",
    228: "ipv4",
    229: "ipv6",
    230: "ieee802_15_4_nofcs",
    231: "dbus",
    235: "dvb_ci",
    236: "mux27010",
    237: "stanag_5066_d_pdu",
    239: "nflog",
    240: "netanalyzer",
    241: "netanalyzer_transparent",
    242: "ipoib",
    243: "mpeg_2_ts",
    247: "infiniband",
    248: "sctp",
    249: "usbpcap",
    251: "bluetooth_le_ll",
    253: "netlink",
    256: "bluetooth_le_ll_with_phdr",
    258: "pktap",
    259: "epon",
    264: "iso_14443",
    266: "usb_darwin",
    270: "loratap",
    271: "vsock",
    273: "nordic_ble",
    274: "docsis31_xra31",
    275: "ethernet_mpacket",
    276: "linux_sll2",
    278: "openvizsla",
    280: "elee_logger",
    283: "ieee802_15_4_tap",
    285: "usb_2_0",
}
"""Number to name, of what captures of networks hold; the decoder understands a few of them."""


def registered_number(written: int) -> int:
    """The registry's number for the one that a file gives."""
    if written in DLT_OF_RAW_IP:
        return RAW
    return min(written, UNREPRESENTABLE)


def link_type_name(written: int) -> str:
    """``ethernet``, ``linux_sll`` …; ``link_type_NNN`` for a number without a name here."""
    return LINK_TYPE_NAMES.get(registered_number(written), f"link_type_{written}")
