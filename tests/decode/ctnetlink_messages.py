"""ctnetlink messages as a kernel writes them, and a slow reader of them that cannot be wrong in the same way: plain Python, no arrays."""

import struct
from collections.abc import Iterator
from ipaddress import ip_address

from netwatch.model.session import SessionState

LONGEST_STATE = 9
Row = dict[str, int]


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("<HH", len(value) + 4, kind) + value + bytes(-len(value) % 4)


def nested(kind: int, *parts: bytes) -> bytes:
    return attribute(kind | 0x8000, b"".join(parts))


def message(kind: int, body: bytes, *, flags: int = 2) -> bytes:
    return struct.pack("<IHHII", len(body) + 16, kind, flags, 1, 0) + body + bytes(-len(body) % 4)


def original(source: str, destination: str, *, protocol: int = 6, sport: int = 1000, dport: int = 25, kind: int = 1) -> bytes:
    first = 1 if "." in source else 3
    numbers = [attribute(1, bytes([protocol]))]
    if protocol in (6, 17, 47, 132, 136):
        numbers += [attribute(2, struct.pack(">H", sport)), attribute(3, struct.pack(">H", dport))]
    elif protocol in (1, 58):
        numbers += [attribute(4, struct.pack(">H", sport)), attribute(5, b"\x08"), attribute(6, b"\x00")]
    addresses = (attribute(first, ip_address(source).packed), attribute(first + 1, ip_address(destination).packed))
    return nested(kind, nested(1, *addresses), nested(2, *numbers))


def entry(
    source: str = "192.0.2.7",
    destination: str = "203.0.113.25",
    *,
    protocol: int = 6,
    state: int | None = 3,
    status: int = 0x0E,
    left_s: int | None = 431_990,
    counted: tuple[int, int] | None = None,
    zone: int | None = None,
    kind: int = 0x100,
    number: int = 77,
    sport: int = 1000,
    dport: int = 25,
) -> bytes:
    """A whole entry, in the order of the kernel's ``ctnetlink_fill_info``."""
    parts = [
        original(source, destination, protocol=protocol, sport=sport, dport=dport),
        original(destination, source, protocol=protocol, sport=dport, dport=sport, kind=2),
    ]
    if zone is not None:
        parts.append(attribute(18, struct.pack(">H", zone)))
    parts += [attribute(3, struct.pack(">I", status)), attribute(8, struct.pack(">I", 5)), attribute(12, struct.pack(">I", number))]
    parts.append(attribute(11, struct.pack(">I", 1)))
    if left_s is not None:
        parts.append(attribute(7, struct.pack(">I", left_s)))
    if protocol == 6 and state is not None:
        parts.append(nested(4, nested(1, attribute(1, bytes([state])), attribute(2, b"\x07"), attribute(3, b"\x07"))))
    if counted is not None:
        parts.append(nested(9, attribute(1, struct.pack(">Q", counted[0])), attribute(2, struct.pack(">Q", counted[1]))))
        parts.append(nested(10, attribute(1, struct.pack(">Q", 2)), attribute(2, struct.pack(">Q", 100))))
    family = 2 if "." in source else 10
    return message(kind, struct.pack(">BBH", family, 0, 0) + b"".join(parts))


DONE = message(3, bytes(4))


class BadAttributeError(Exception):
    """An attribute does not fit."""


def chain(data: bytes) -> Iterator[tuple[int, bytes, int]]:
    """Type, value and place of each attribute."""
    at = 0
    while at < len(data):
        if len(data) - at < 4:
            raise BadAttributeError
        length, kind = struct.unpack_from("<HH", data, at)
        if not 4 <= length <= len(data) - at:
            raise BadAttributeError
        yield kind & 0x3FFF, data[at + 4 : at + length], at
        at += (length + 3) // 4 * 4


def sized(value: bytes, size: int) -> int:
    if len(value) != size:
        raise BadAttributeError
    return int.from_bytes(value, "big")


def slow_entry(body: bytes) -> Row | None:
    """The row of one entry's message (without the netlink header); None if something is missing.

    Raises:
        BadAttributeError: an attribute does not fit.
    """
    if len(body) < 4:
        return None
    row: Row = {"timeout_s": 0xFFFF_FFFF, "accounted": 0, "family": body[0]}
    tcp_state = None
    for kind, value, at in chain(body[4:]):
        match kind:
            case 1:
                row |= slow_tuple(value, row["family"]) | {"tuple_at": at + 4, "tuple_len": len(value) + 4}
            case 3 | 7 | 8 | 12:
                row[{3: "status", 7: "timeout_s", 8: "mark", 12: "id"}[kind]] = sized(value, 4)
            case 18:
                row["zone"] = sized(value, 2)
            case 4:
                tcp_state = slow_state(value)
            case 9 | 10:
                side = "original" if kind == 9 else "reply"
                row[f"{side}_packets"] = row[f"{side}_bytes"] = 0
                for inner, number, _ in chain(value):
                    if inner in (1, 2):
                        row[f"{side}_packets" if inner == 1 else f"{side}_bytes"] = sized(number, 8)
                row["accounted"] |= kind == 9
    if not {"src", "dst", "protocol", "status", "id"} <= row.keys():
        return None
    if row["protocol"] == 47:
        row["sport"] = row["dport"] = 0  # keys, not ports
    row["state"] = slow_session_state(row["protocol"], row["status"], tcp_state)
    return row if row["state"] >= 0 else None


def slow_tuple(value: bytes, family: int) -> Row:
    found: Row = {}
    for kind, inner, _ in chain(value):
        for part, number, _ in chain(inner) if kind in (1, 2) else ():
            if kind == 1:
                address = sized(number, 4 if part <= 2 else 16)
                if family == 2 and part in (1, 2):
                    found["src" if part == 1 else "dst"] = 0xFFFF_0000_0000 | address
                if family == 10 and part in (3, 4):
                    found["src" if part == 3 else "dst"] = address
            elif part == 1:
                found["protocol"] = sized(number, 1)
            elif part in (2, 3):
                found["sport" if part == 2 else "dport"] = sized(number, 2)
    return found


def slow_state(value: bytes) -> int | None:
    for kind, inner, _ in chain(value):
        if kind != 1:
            return None
        for part, number, _ in chain(inner):
            if part == 1:
                if len(number) != 1 or number[0] > LONGEST_STATE:
                    raise BadAttributeError
                return number[0]
        return None
    return None


def slow_session_state(protocol: int, status: int, tcp_state: int | None) -> int:
    replied, assured = bool(status & 2), bool(status & 4)
    if protocol == 6:
        offloaded = bool(status & 0xC000)
        return tcp_state if tcp_state is not None else int(SessionState.ESTABLISHED) if offloaded else -1
    if protocol in (17, 136):
        return int(SessionState.UDP_UNREPLIED if not replied else SessionState.UDP_STREAM if assured else SessionState.UDP_REPLIED)
    if protocol in (1, 58):
        return int(SessionState.ICMP)
    return int(SessionState.OTHER if replied else SessionState.OTHER_UNREPLIED)
