"""The way of the data, in order. Read this file first.

::

    capture ─► decode ─► reassembly ─► flows ─► services ─► session table ─► meter ─► detect ─► incident ─► recommendation
    (edge in)                └──────── per block of packets ────────────────────┘   └────── per window ───────────┘    │
                                                                                                             export (edge out)

Blocks of packets go through the tables; at every second of the packets' own clock a window is closed and judged. Nothing here reads a
clock: a replay, a drill and a live firewall give the same incidents for the same packets. A what-if is a second ``Line`` of the same parts,
forked from the first at the moment its mitigation would have been in force.
"""
