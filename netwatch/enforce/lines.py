"""The lines of a change: each adds or deletes elements of netwatch's own table, and nothing else is let through.

A line is parsed to its last character and written out again before it is run, so what a firewall gets is what was understood: no second
command behind a semicolon, no other table, no include. Keys are put in one form (``203.0.113.25/32`` is ``203.0.113.25``), which is also
how the kernel lists them, so that what was asked for can be found in what is in force.
"""

import re
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network

import msgspec

from netwatch.enforce.base_table import FAMILY, TABLE, BaseTable, SetType
from netwatch.errors import ChangeForbiddenError
from netwatch.model.change import Change
from netwatch.model.change import Element as ListedElement
from netwatch.model.service import Protocol

LINE = re.compile(rf"\s*(add|delete)\s+element\s+{FAMILY}\s+{TABLE}\s+(\w+)\s*\{{([^{{}};#$\\\n]*)\}}\s*", re.ASCII)
ELEMENT = re.compile(
    r"""\s*(?P<key>[0-9A-Za-z.:/ ]+?)
        (?:\s+timeout\s+(?P<timeout>[0-9a-z]+))?
        (?:\s+expires\s+(?P<expires>[0-9a-z]+))?
        (?:\s+:\s+(?P<value>(?:jump|goto)\s+\w+|"\w+"))?\s*""",
    re.VERBOSE | re.ASCII,
)
DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+)s)?(?:(\d+)ms)?", re.ASCII)
DURATION_UNITS_S = (86_400.0, 3600.0, 60.0, 1.0, 0.001)
PROTOCOLS = {protocol.name.lower(): int(protocol) for protocol in Protocol}
PROTOCOL_NAMES = {number: name for name, number in PROTOCOLS.items()}
LARGEST_PORT, LARGEST_PROTOCOL = 65_535, 255


class Element(msgspec.Struct, frozen=True):
    """An element that arms a rule, or (without a life) one that protects."""

    set: str
    key: str
    value: str = ""  # of a map
    life_s: float | None = None  # None: it stays until it is deleted
    expires_s: float | None = None  # of a listed one, from now

    @property
    def place(self) -> tuple[str, str]:
        """What makes it the same element as another."""
        return self.set, self.key

    @property
    def listed(self) -> ListedElement:
        return ListedElement(self.set, self.key, self.expires_s)

    def add(self, life_s: float | None) -> str:
        timeout = "" if life_s is None else f" timeout {_duration(life_s)}"
        value = f" : {self.value}" if self.value else ""
        return f"add element {FAMILY} {TABLE} {self.set} {{ {self.key}{timeout}{value} }}"

    def delete(self) -> str:
        value = f" : {self.value}" if self.value else ""
        return f"delete element {FAMILY} {TABLE} {self.set} {{ {self.key}{value} }}"


def elements_of(change: Change, base: BaseTable) -> tuple[Element, ...]:
    """What a change adds, each element once.

    Raises:
        ChangeForbiddenError: a line is not what a change may say, an element outlives the change, or nothing would undo it.
    """
    added = _parsed(change, change.nft, "add", base)
    undone = {element.place for element in _parsed(change, change.undo, "delete", base)}
    for element in added:
        if base.sets[element.set].timed:
            if element.life_s is None:
                raise ChangeForbiddenError(f"change {change.id}: the element {element.key} of {element.set} must have a timeout")
            if element.life_s > change.life_s:
                raise ChangeForbiddenError(
                    f"change {change.id}: the element {element.key} of {element.set} lives {element.life_s:g} s, "
                    f"the change only {change.life_s:g} s"
                )
            if element.place not in undone:
                raise ChangeForbiddenError(f"change {change.id}: nothing undoes the element {element.key} of {element.set}")
    return added


def protections(never_block: Sequence[str], base: BaseTable) -> tuple[Element, ...]:
    """What puts prefixes out of reach of every rule of netwatch's table, in as few elements as possible.

    Raises:
        ChangeForbiddenError: one is no prefix.
    """
    try:
        networks = [ip_network(prefix, strict=False) for prefix in never_block]
    except ValueError as error:
        raise ChangeForbiddenError(f"never_block: {error}") from error
    merged4 = collapse_addresses(one for one in networks if isinstance(one, IPv4Network))
    merged6 = collapse_addresses(one for one in networks if isinstance(one, IPv6Network))
    texts = [str(network) for network in (*merged4, *merged6)]
    kinds = [base.sets["protect6" if ":" in text else "protect4"] for text in texts]
    return tuple(filter(None, (element_from(text, kind, base) for text, kind in zip(texts, kinds, strict=True))))


def _parsed(change: Change, lines: Sequence[str], verb: str, base: BaseTable) -> tuple[Element, ...]:
    found: dict[tuple[str, str], Element] = {}
    for line in lines:
        match = LINE.fullmatch(line)
        if match is None or match[1] != verb:
            raise ChangeForbiddenError(f"change {change.id}: '{line}' does not {verb} elements of table {FAMILY} {TABLE}, and is not sent")
        if match[2] not in base.sets or base.sets[match[2]].learned:
            raise ChangeForbiddenError(f"change {change.id}: '{line}': table {FAMILY} {TABLE} has no set '{match[2]}' to arm")
        for text in match[3].split(","):
            element = element_from(text, base.sets[match[2]], base)
            if element is None:
                raise ChangeForbiddenError(f"change {change.id}: '{line}': '{text.strip()}' is no element of {match[2]}")
            found[element.place] = element
    return tuple(found.values())


def element_from(text: str, kind: SetType, base: BaseTable) -> Element | None:
    """Read one element as it is written or listed; None if it is none of this set."""
    match = ELEMENT.fullmatch(text)
    if match is None:
        return None
    parts = [part.strip() for part in re.split(r"\s\.\s", match["key"])]
    if len(parts) != len(kind.fields):
        return None
    canonical = [_canonical(part, field) for part, field in zip(parts, kind.fields, strict=True)]
    value = " ".join((match["value"] or "").split())
    if None in canonical or not _value_fits(value, kind, base):
        return None
    life_s, expires_s = (None if words is None else duration_s(words) for words in (match["timeout"], match["expires"]))
    if match["timeout"] and not life_s:
        return None
    return Element(kind.name, " . ".join(part for part in canonical if part), value, life_s, expires_s)


def _canonical(part: str, field: str) -> str | None:
    """One part of a key in the kernel's form; None if it is not of its type."""
    if field == "inet_service":
        return str(int(part)) if part.isdecimal() and int(part) <= LARGEST_PORT else None
    if field == "inet_proto":
        number = int(part) if part.isdecimal() else PROTOCOLS.get(part.lower(), LARGEST_PROTOCOL + 1)
        return PROTOCOL_NAMES.get(number, str(number)) if number <= LARGEST_PROTOCOL else None
    try:
        network = ip_network(part, strict=False)
    except ValueError:
        return None
    if network.version != (4 if field == "ipv4_addr" else 6):
        return None
    return str(network.network_address) if network.prefixlen == network.max_prefixlen else str(network)


def _value_fits(value: str, kind: SetType, base: BaseTable) -> bool:
    match kind.value:
        case "":
            return not value
        case "verdict":
            return value.split(" ")[-1] in base.chains and " " in value
        case _:
            return value.strip('"') in base.limits and value.startswith('"')


def _duration(seconds: float) -> str:
    return f"{seconds:.0f}s" if seconds == int(seconds) and seconds else f"{max(1, round(seconds * 1000))}ms"


def duration_s(words: str) -> float | None:
    """Seconds of ``1d2h3m4s5ms``; None if it is no duration."""
    match = DURATION.fullmatch(words)
    if match is None or not words:
        return None
    return sum(int(count) * unit for count, unit in zip(match.groups(), DURATION_UNITS_S, strict=True) if count)
