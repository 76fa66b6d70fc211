"""How the live firewall keeps state, as its sysctls say now: the profile that the model of its table runs with.

Sizes belong to the whole machine, time-outs to a namespace. All may be changed while it runs, so they are read again now and then; entries
keep the time that their last packet gave them.
"""

from pathlib import Path

from netwatch.collect.namespace import entered
from netwatch.errors import FirewallUnreachableError
from netwatch.model.session import FirewallProfile, Timeouts

FOLDER = Path("/proc/sys/net/netfilter")
NO_LIMIT = 1 << 28
"""Entries that stand for nf_conntrack_max = 0, no limit at all: more than any machine has memory for."""

OTHER_PROTOCOLS = {
    "udp_s": "udp_timeout",
    "udp_stream_s": "udp_timeout_stream",
    "icmp_s": "icmp_timeout",
    "generic_s": "generic_timeout",
    "gre_s": "gre_timeout",
    "gre_stream_s": "gre_timeout_stream",
    "sctp_s": "sctp_timeout_established",
}
"""Fields of ``Timeouts`` and the sysctls behind them; those of TCP follow a rule."""


def kernel_profile(namespace: str | None = None) -> FirewallProfile:
    """Read the profile of a namespace's state table.

    Raises:
        FirewallUnreachableError: there is no such namespace, or no connection tracking in this kernel.
    """
    with entered(namespace):
        try:
            return FirewallProfile(
                name="kernel",
                description="the state table of this machine, as its sysctls are set",
                limit=_number("max") or NO_LIMIT,
                buckets=_number("buckets"),
                timeouts=_timeouts(),
                strict=_number("tcp_loose") == 0,
                window_tracking=_number("tcp_be_liberal") == 0,
                max_retrans=_number("tcp_max_retrans"),
            )
        except FileNotFoundError as error:
            raise FirewallUnreachableError(f"no connection tracking here ({error.filename} is missing): load nf_conntrack") from error


def _timeouts() -> Timeouts:
    """Kernels built without GRE or SCTP lack theirs; these keep netfilter's defaults."""
    found = {}
    for field in Timeouts.__struct_fields__:
        name = OTHER_PROTOCOLS.get(field, f"tcp_timeout_{field.removesuffix('_s')}")
        if (FOLDER / f"nf_conntrack_{name}").exists():
            found[field] = float(_number(name))
    return Timeouts(**found)


def _number(name: str) -> int:
    return int((FOLDER / f"nf_conntrack_{name}").read_text())
