"""What netwatch's table holds, read from its own text (``rules/nftables/base.nft``): the only words that a change may use.

The text is written by us, a statement a line and a block's head on a line of its own, so it is read by lines. What is found is used to
refuse changes before a firewall sees them, and to know which sets arm a rule. It is not a parser of nftables.
"""

import re
from collections.abc import Iterator
from hashlib import blake2b

import msgspec

from netwatch.errors import EnforceError
from netwatch.model.session import Timeouts

FAMILY, TABLE = "inet", "netwatch"

HEAD = re.compile(r"\s*(set|map|chain|limit|ct timeout)\s+(\w+)\s*\{")
TYPE = re.compile(r"\btype\s+([\w .]+?)\s*(?::\s*(\w+))?\s*;")
FLAGS = re.compile(r"\bflags\s+([\w, ]+?)\s*;")
POLICY = re.compile(r"policy\s*=\s*\{([^}]*)\}")

POLICY_FIELDS = {
    "established": "established_s",
    "syn_sent": "syn_sent_s",
    "syn_recv": "syn_recv_s",
    "fin_wait": "fin_wait_s",
    "close_wait": "close_wait_s",
    "last_ack": "last_ack_s",
    "time_wait": "time_wait_s",
    "close": "close_s",
    "unack": "unacknowledged_s",
    "retrans": "max_retrans_s",
    "unreplied": "udp_s",
    "replied": "udp_stream_s",
}


class SetType(msgspec.Struct, frozen=True):
    """A set or map of the table."""

    name: str
    fields: tuple[str, ...]  # "ipv4_addr", "inet_service"
    value: str  # of a map: "verdict" or "limit"; empty for a set
    timed: bool  # its elements end by themselves
    learned: bool  # filled by packets, not by netwatch

    @property
    def arms(self) -> bool:
        """Its elements put a rule in force."""
        return self.timed and not self.learned

    @property
    def kind(self) -> str:
        return "map" if self.value else "set"


class BaseTable(msgspec.Struct, frozen=True):
    """The text and the names in it."""

    text: str
    sets: dict[str, SetType]
    chains: frozenset[str]
    limits: frozenset[str]
    policies: tuple[Timeouts, ...]  # that entries may have been given

    @property
    def digest(self) -> str:
        return blake2b(self.text.encode(), digest_size=6).hexdigest()


def base_table(text: str) -> BaseTable:
    """Read the names from the text.

    Raises:
        EnforceError: it defines another table than netwatch's own, or none.
    """
    tables = set(re.findall(r"^\s*(?:add |delete )?table\s+(\S+\s+\S+)", text, re.MULTILINE))
    if tables != {f"{FAMILY} {TABLE}"}:
        raise EnforceError(f"the base table must be {FAMILY} {TABLE} and nothing else, not {', '.join(sorted(tables)) or 'empty'}")
    sets: dict[str, SetType] = {}
    names: dict[str, set[str]] = {"chain": set(), "limit": set()}
    policies = []
    for kind, name, body in _blocks(text):
        if kind in ("set", "map"):
            sets[name] = _set_type(name, body)
        elif kind == "ct timeout":
            policies.append(_policy(body))
        else:
            names[kind].add(name)
    return BaseTable(text, sets, frozenset(names["chain"]), frozenset(names["limit"]), tuple(policies))


def _blocks(text: str) -> Iterator[tuple[str, str, str]]:
    """Kind, name and body of each block inside the table."""
    lines = [line.partition("#")[0] for line in text.splitlines()]
    for number, line in enumerate(lines):
        if head := HEAD.match(line):
            depth, body = 0, []
            for inner in lines[number:]:
                depth += inner.count("{") - inner.count("}")
                body.append(inner)
                if depth <= 0:
                    break
            yield head[1], head[2], "\n".join(body)


def _set_type(name: str, body: str) -> SetType:
    kind, flags = TYPE.search(body), FLAGS.search(body)
    if kind is None:
        raise EnforceError(f"base table: set {name} has no type")
    words = set(re.split(r"[, ]+", flags[1])) if flags else set()
    return SetType(name, tuple(re.split(r"\s*\.\s*", kind[1])), kind[2] or "", "timeout" in words, "dynamic" in words)


def _policy(body: str) -> Timeouts:
    policy = POLICY.search(body)
    times = dict(re.findall(r"(\w+)\s*:\s*(\d+)", policy[1])) if policy else {}
    return Timeouts(**{POLICY_FIELDS[name]: float(value) for name, value in times.items() if name in POLICY_FIELDS})
