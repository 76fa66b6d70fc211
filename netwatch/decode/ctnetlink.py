"""ctnetlink: a dump of the kernel's state table, messages in, columns out.

The kernel hands out a dump in blocks of up to 32 kB, each a chain of netlink messages, each a header and a chain of attributes (type,
length, value), some of which hold attributes again. Which attributes an entry has depends on the kernel and on what is switched on
(accounting, marks, zones, helpers), so the walk reads them by type, not by place; it costs about 100 ns an entry, next to 2 µs that
the kernel takes to write one (465,000 entries/s measured).

An entry that is not whole is counted and left out, since somebody may delete what is shown here. Headers are in the machine's byte
order, which is little-endian on all that numba compiles for; values of ctnetlink are in network order. Numbers:
include/uapi/linux/netlink.h, netfilter/nfnetlink.h and netfilter/nfnetlink_conntrack.h.
"""

from enum import IntEnum
from socket import AF_INET, AF_INET6
