"""Changes as playbooks write them, quiet by default: a test names only what differs."""

from collections.abc import Sequence

from netwatch.model.change import Change
from netwatch.model.plan import Eviction
from netwatch.model.service import Service

SMTP = Service("smtp", "203.0.113.25", 25, "tcp")
SMTP6 = Service("smtp6", "2001:db8:5::25", 25, "tcp")


def element(name: str, key: str, *, life_s: float = 60, value: str = "") -> tuple[str, str]:
    """The line that adds an element, and the one that deletes it."""
    value = f" : {value}" if value else ""
    where = f"element inet netwatch {name}"
    return f"add {where} {{ {key} timeout {life_s:g}s{value} }}", f"delete {where} {{ {key}{value} }}"


def change(*elements: tuple[str, str], life_s: float = 60, evict: Eviction | None = None, sysctl: Sequence[str] = ()) -> Change:
    return Change(
        id="c1",
        playbook="test",
        nft=tuple(add for add, _ in elements),
        undo=tuple(delete for _, delete in elements),
        evict=evict,
        sysctl=tuple(sysctl),
        life_s=life_s,
    )


def synproxy(*, life_s: float = 60) -> Change:
    return change(element("synproxy4", "203.0.113.25 . 25", life_s=life_s), life_s=life_s)


def of_every_kind(*, life_s: float = 60) -> Change:
    """One element of each kind of set and map that a playbook arms."""
    return change(
        element("synproxy4", "203.0.113.25 . 25", life_s=life_s),
        element("synproxy6", "2001:db8:5::25 . 25", life_s=life_s),
        element("blk4", "192.0.2.0/24", life_s=life_s),
        element("blk6", "2001:db8:bad::/48", life_s=life_s),
        element("notrack4", "203.0.113.0/24 . udp . 53", life_s=life_s),
        element("meter4", "203.0.113.25 . tcp . 25", life_s=life_s, value="jump meter_20"),
        element("hold6", "2001:db8:5::25 . tcp . 25", life_s=life_s, value="jump hold_200"),
        element("ramp4", "203.0.113.25 . 25", life_s=life_s, value='"ramp_25"'),
        life_s=life_s,
    )
