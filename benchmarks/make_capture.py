"""Writes a large, realistic capture: mail-like TCP sessions, DNS, and a spoofed SYN flood in the middle third of its 60 seconds.

::

    python -m benchmarks.make_capture OUT.pcap [--packets 5000000] [--seed 1]

Classic pcap with microseconds, Ethernet, 96 bytes kept of each packet. A tenth of the sessions is IPv6. Sessions have handshakes, data both
ways with numbers that fit together, and an orderly close; each SYN of the flood has a source of its own, as spoofed ones do. The same seed
gives the same bytes. Columns are made with numpy, then every packet's bytes are laid out in a matrix of fixed width, of which each row's
first bytes are written.
"""

import argparse
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

START_S = 1_750_000_000
SPAN_S = 60.0
SNAPLEN = 96
RECORD_BYTES = 16 + SNAPLEN
VICTIM = 0xC0A8_0019  # 192.168.0.25
FLOOD_SHARE, DNS_SHARE, IPV6_SHARE = 0.07, 0.04, 0.1
MEAN_DATA_PACKETS, LARGEST_SESSION = 26, 4000
SERVICES = {25: 0.35, 443: 0.35, 587: 0.1, 993: 0.1, 465: 0.05, 80: 0.05}
FIN, SYN, PSH, ACK = 0x01, 0x02, 0x08, 0x10
TCP, UDP = 6, 17
SLICE = 250_000

Column = NDArray[np.int64]


@dataclass
class Packets:
    """Columns, one value a packet; client and server are IPv4 numbers, which IPv6 addresses end in."""

    at_s: NDArray[np.float64]
    from_server: NDArray[np.bool_]
    is_ipv6: NDArray[np.bool_]
    client: Column
    server: Column
    client_port: Column
    server_port: Column
    protocol: Column
    flags: Column
    payload: Column
    seq: Column
    ack: Column

    def __len__(self) -> int:
        return len(self.at_s)

    def take(self, rows: NDArray[np.intp] | slice) -> "Packets":
        return Packets(*(getattr(self, column.name)[rows] for column in fields(self)))


def joined(parts: list[Packets]) -> Packets:
    """All parts in the order of time."""
    whole = Packets(*(np.concatenate([getattr(part, column.name) for part in parts]) for column in fields(Packets)))
    return whole.take(np.argsort(whole.at_s, kind="stable"))


def running(values: Column, first: Column) -> Column:
    """Sum of what lies before each packet within its session; ``first`` is the position of its session's first packet."""
    before = np.cumsum(values) - values
    return before - before[first]


def sessions(packets: int, rng: np.random.Generator) -> Packets:
    """TCP sessions of ``packets`` packets altogether: three of handshake, data, four of closing each."""
    data = np.minimum(rng.geometric(1 / MEAN_DATA_PACKETS, packets // 8 + 16), LARGEST_SESSION)
    count = max(1, int(np.searchsorted(np.cumsum(data + 7), packets)))
    length = data[:count] + 7
    length[0] += packets - length.sum()
    session = np.repeat(np.arange(count), length)
    first = np.repeat(np.cumsum(length) - length, length)
    place = np.arange(packets) - first
    left = length[session] - 1 - place
    is_data = (place >= 3) & (left >= 4)

    from_server = is_data & (rng.random(packets) < 0.5) | (place == 1) | (left == 2) | (left == 1)
    size = rng.choice(4, packets, p=[0.45, 0.25, 0.10, 0.20])
    payload = np.choose(size, [np.zeros(packets, np.int64), rng.integers(20, 300, packets), rng.integers(300, 1400, packets), 1448])
    payload[~is_data] = 0
    flags = np.where(payload > 0, PSH | ACK, ACK)
    flags[place == 0], flags[place == 1] = SYN, SYN | ACK
    flags[(left == 3) | (left == 1)] = FIN | ACK

    used = payload + (flags & (SYN | FIN) != 0)
    by_server, by_client = running(np.where(from_server, used, 0), first), running(np.where(from_server, 0, used), first)
    server_isn, client_isn = rng.integers(0, 2**32, (2, count))[:, session]
    start_s = rng.random(count) * (SPAN_S - 3)
    lasts_s = np.minimum(rng.exponential(4.0, count) + 0.01, SPAN_S - start_s - 0.01)
    server_number = np.where(from_server, server_isn + by_server, client_isn + by_client)
    other_number = np.where(from_server, client_isn + by_client, server_isn + by_server)
    return Packets(
        at_s=start_s[session] + lasts_s[session] * place / length[session],
        from_server=from_server,
        is_ipv6=(rng.random(count) < IPV6_SHARE)[session],
        client=rng.integers(0x0A00_0001, 0x0AFF_FFFE, count)[session],
        server=0xC0A8_0000 + rng.integers(1, 2000, count)[session],
        client_port=rng.integers(1024, 65535, count)[session],
        server_port=rng.choice(list(SERVICES), count, p=list(SERVICES.values()))[session],
        protocol=np.full(packets, TCP),
        flags=flags,
        payload=payload,
        seq=server_number % 2**32,
        ack=np.where(place == 0, 0, other_number % 2**32),
    )


def queries(pairs: int, rng: np.random.Generator) -> Packets:
    """DNS queries and their answers."""
    asked_s = rng.random(pairs) * (SPAN_S - 0.1)
    twice = np.tile(np.arange(pairs), 2)
    zeros = np.zeros(2 * pairs, np.int64)
    return Packets(
        at_s=np.concatenate([asked_s, asked_s + rng.exponential(0.004, pairs)]),
        from_server=np.repeat([False, True], pairs),
        is_ipv6=(rng.random(pairs) < IPV6_SHARE)[twice],
        client=rng.integers(0x0A00_0001, 0x0AFF_FFFE, pairs)[twice],
        server=0xC0A8_0000 + rng.integers(1, 6, pairs)[twice],
        client_port=rng.integers(1024, 65535, pairs)[twice],
        server_port=np.full(2 * pairs, 53),
        protocol=np.full(2 * pairs, UDP),
        flags=zeros,
        payload=np.concatenate([rng.integers(30, 60, pairs), rng.integers(60, 400, pairs)]),
        seq=zeros,
        ack=zeros,
    )


def flood(packets: int, rng: np.random.Generator) -> Packets:
    """SYNs from sources that do not exist to one mail server."""
    zeros, no = np.zeros(packets, np.int64), np.zeros(packets, np.bool_)
    return Packets(
        at_s=SPAN_S / 3 + rng.random(packets) * SPAN_S / 3,
        from_server=no,
        is_ipv6=no,
        client=rng.integers(0x1400_0000, 0xDFFF_FFFF, packets),
        server=np.full(packets, VICTIM),
        client_port=rng.integers(1024, 65535, packets),
        server_port=np.full(packets, 25),
        protocol=np.full(packets, TCP),
        flags=np.full(packets, SYN),
        payload=zeros,
        seq=rng.integers(0, 2**32, packets),
        ack=zeros,
    )


def put(matrix: NDArray[np.uint8], at: int, values: Column | int, width: int, *, order: str = ">") -> None:
    """Write a number of ``width`` bytes into each row."""
    column = np.broadcast_to(values, len(matrix)).astype(f"{order}u{width}")
    matrix[:, at : at + width] = np.ascontiguousarray(column).view(np.uint8).reshape(-1, width)


def laid_out(part: Packets) -> tuple[NDArray[np.uint8], Column]:
    """Rows of a pcap record's header and bytes, and how many bytes of each row count."""
    rows, flip = np.zeros((len(part), RECORD_BYTES), np.uint8), part.from_server
    is_tcp, is_syn = part.protocol == TCP, part.flags & SYN != 0
    above_ip = np.where(is_tcp, np.where(is_syn, 40, 32), 8) + part.payload
    wire = np.maximum(14 + np.where(part.is_ipv6, 40, 20) + above_ip, 60)
    kept = np.minimum(wire, SNAPLEN)
    second = np.floor(part.at_s).astype(np.int64)
    for at, values in ((0, START_S + second), (4, ((part.at_s - second) * 1e6).astype(np.int64)), (8, kept), (12, wire)):
        put(rows, at, values, 4, order="<")
    frame = rows[:, 16:]
    frame[:, (0, 6)] = 2  # locally administered
    frame[:, 5], frame[:, 11] = np.where(flip, 2, 1), np.where(flip, 1, 2)
    source, target = np.where(flip, part.server, part.client), np.where(flip, part.client, part.server)
    sport, dport = np.where(flip, part.server_port, part.client_port), np.where(flip, part.client_port, part.server_port)
    for is_ipv6, transport in ((False, 34), (True, 54)):
        chosen = np.flatnonzero(part.is_ipv6 == is_ipv6)
        mine = frame[chosen]
        if is_ipv6:
            put(mine, 12, 0x86DD, 2)
            mine[:, 14], mine[:, 20], mine[:, 21] = 0x60, part.protocol[chosen], 64
            put(mine, 18, above_ip[chosen], 2)
            mine[:, 22] = mine[:, 38] = 0xFD
            put(mine, 34, source[chosen], 4)
            put(mine, 50, target[chosen], 4)
        else:
            put(mine, 12, 0x0800, 2)
            mine[:, 14], mine[:, 20], mine[:, 22], mine[:, 23] = 0x45, 0x40, 64, part.protocol[chosen]
            put(mine, 16, 20 + above_ip[chosen], 2)
            put(mine, 26, source[chosen], 4)
            put(mine, 30, target[chosen], 4)
            words = mine[:, 14:34].reshape(-1, 10, 2).astype(np.int64)
            total = (words[:, :, 0] * 256 + words[:, :, 1]).sum(axis=1)
            total = (total & 0xFFFF) + (total >> 16)
            put(mine, 24, 0xFFFF - ((total & 0xFFFF) + (total >> 16)), 2)
        put(mine, transport, sport[chosen], 2)
        put(mine, transport + 2, dport[chosen], 2)
        tcp = is_tcp[chosen]
        segments, datagrams = mine[tcp], mine[~tcp]
        put(segments, transport + 4, part.seq[chosen][tcp], 4)
        put(segments, transport + 8, part.ack[chosen][tcp], 4)
        segments[:, transport + 12] = np.where(is_syn[chosen][tcp], 0xA0, 0x80)
        segments[:, transport + 13] = part.flags[chosen][tcp]
        put(segments, transport + 14, 64240, 2)
        timestamps, opening = [1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 1], [2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7]
        segments[:, transport + 20 : transport + 32] = timestamps
        syns = is_syn[chosen][tcp]
        segments[syns, transport + 20 : transport + 40] = opening
        put(datagrams, transport + 4, above_ip[chosen][~tcp], 2)
        mine[tcp], mine[~tcp] = segments, datagrams
        frame[chosen] = mine
    return rows, kept + 16


def make_capture(path: Path, packets: int, seed: int = 1) -> None:
    """Write a capture of exactly ``packets`` packets."""
    rng = np.random.default_rng(seed)
    of_flood, pairs = int(packets * FLOOD_SHARE), int(packets * DNS_SHARE / 2)
    whole = joined([sessions(packets - of_flood - 2 * pairs, rng), queries(pairs, rng), flood(of_flood, rng)])
    with path.open("wb") as file:
        file.write(np.array([0xA1B2C3D4, 2 | 4 << 16, 0, 0, SNAPLEN, 1], "<u4").tobytes())
        for begin in range(0, packets, SLICE):
            rows, length = laid_out(whole.take(slice(begin, begin + SLICE)))
            file.write(rows[np.arange(RECORD_BYTES) < length[:, None]].tobytes())


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("--packets", type=int, default=5_000_000)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    make_capture(chosen.output, chosen.packets, chosen.seed)


if __name__ == "__main__":
    main()
