"""A change after all guards: what a driver is going to do, and nothing that it may not."""

from collections.abc import Sequence

import msgspec

from netwatch.enforce.base_table import BaseTable
from netwatch.enforce.lines import Element, elements_of
from netwatch.enforce.selection import Selection
from netwatch.enforce.sysctl import setting
from netwatch.errors import ChangeForbiddenError
from netwatch.model.change import Change
from netwatch.model.plan import Eviction

SYSCTL_SET = "sysctl"
"""Stands for the name of a set where a sysctl is listed among what is in force."""


class Order(msgspec.Struct, frozen=True):
    """What a change comes down to."""

    arming: tuple[Element, ...]  # each with a life of its own
    protecting: tuple[Element, ...]  # without an end; they make netwatch do less, and are not undone
    eviction: Eviction | None
    sysctls: tuple[str, ...]  # "key=value"


def order_of(change: Change, base: BaseTable, *, never_block: Sequence[str]) -> Order:
    """Let a change through the guards.

    Raises:
        ChangeForbiddenError: one of them refuses it; the text says which and why.
    """
    if not change.life_s > 0:
        raise ChangeForbiddenError(f"change {change.id}: life_s must be > 0, got {change.life_s:g}")
    elements = elements_of(change, base)
    if change.evict is not None:
        Selection(change.evict, never_block=never_block)
    sysctls = tuple("=".join(setting(line)) for line in change.sysctl)
    if not (elements or change.evict or sysctls):
        raise ChangeForbiddenError(f"change {change.id}: it changes nothing")
    return Order(
        tuple(element for element in elements if base.sets[element.set].arms),
        tuple(element for element in elements if not base.sets[element.set].arms),
        change.evict,
        sysctls,
    )
