"""Whether netwatch's table is there, asked of the kernel directly: one question of a few bytes, however much the table holds.

The kernel counts the transactions of a namespace (the generation of its ruleset). As long as that number stays the same nobody changed
anything, and nothing more is asked. Otherwise the table is looked up: a table that was flushed is missing, one that was made anew has
another handle, and one that was flushed of its rules has fewer of them. Elements come and go by their timeouts without a transaction.
Numbers: include/uapi/linux/netfilter/nf_tables.h.
"""

import errno
import struct
from enum import StrEnum

import msgspec

from netwatch.enforce.base_table import TABLE
from netwatch.kernel.netlink import DUMP, KernelRefusalError, Netlink, attribute, message

GET_TABLE, GET_RULE, GET_GENERATION, GET_OBJECT = 0xA01, 0xA07, 0xA10, 0xA13
INET = 1
TABLE_NAME, TABLE_HANDLE = 1, 4
RULE_TABLE = 1
OBJECT_TABLE, OBJECT_NAME, OBJECT_TYPE = 1, 2, 3
COUNTER = 1
GENERATION_ID = 1


class TableState(StrEnum):
    """How netwatch's table is found."""

    INTACT = "intact"
    MISSING = "missing"  # never loaded, or flushed with the whole ruleset
    REPLACED = "replaced"  # somebody loaded it anew: what was armed is not any more
    DAMAGED = "damaged"  # rules were taken out of it or put into it


class Fingerprint(msgspec.Struct, frozen=True):
    """What tells our table from another of its name."""

    handle: int
    rules: int


class Ruleset:
    """The kernel's nftables, as far as we ask it. One thread at a time."""

    def __init__(self, namespace: str | None = None) -> None:
        self._netlink = Netlink(namespace)

    def generation(self) -> int:
        """Number of transactions so far, of anybody."""
        return _number((self._one(message(GET_GENERATION, 0, 0)) or {}).get(GENERATION_ID))

    def fingerprint(self) -> Fingerprint | None:
        """Of netwatch's table; None if there is none."""
        table = self._one(message(GET_TABLE, 0, INET, attribute(TABLE_NAME, _text(TABLE))))
        if table is None:
            return None
        rules = self._netlink.ask(message(GET_RULE, DUMP, INET, attribute(RULE_TABLE, _text(TABLE))))
        return Fingerprint(_number(table.get(TABLE_HANDLE)), sum(1 for _ in rules))

    def has_counter(self, name: str) -> bool:
        """Netwatch's table has a named counter of this name."""
        words = attribute(OBJECT_TABLE, _text(TABLE)) + attribute(OBJECT_NAME, _text(name))
        return self._one(message(GET_OBJECT, 0, INET, words + attribute(OBJECT_TYPE, struct.pack(">I", COUNTER)))) is not None

    def _one(self, request: bytes) -> dict[int, bytes] | None:
        try:
            for answer in self._netlink.ask(request):
                return answer.attributes
        except KernelRefusalError as error:
            if error.number != errno.ENOENT:
                raise
        return None

    def close(self) -> None:
        self._netlink.close()


def _text(word: str) -> bytes:
    return word.encode() + b"\0"


def _number(value: bytes | None) -> int:
    return int.from_bytes(value or b"", "big")
