"""How the live firewall keeps state, as its sysctls say now: the profile that the model of its table runs with.

Sizes belong to the whole machine, time-outs to a namespace. All may be changed while it runs, so they are read again now and then; entries
keep the time that their last packet gave them.
"""

from netwatch.errors import FirewallUnreachableError
from netwatch.kernel.namespace import entered
from netwatch.kernel.sysctl import CONNTRACK, read
from netwatch.kernel.timeouts import timeouts
from netwatch.model.session import FirewallProfile

NO_LIMIT = 1 << 28
"""Entries that stand for nf_conntrack_max = 0, no limit at all: more than any machine has memory for."""


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
                timeouts=timeouts(),
                strict=_number("tcp_loose") == 0,
                window_tracking=_number("tcp_be_liberal") == 0,
                max_retrans=_number("tcp_max_retrans"),
            )
        except FileNotFoundError as error:
            raise FirewallUnreachableError(f"no connection tracking here ({error.filename} is missing): load nf_conntrack") from error


def _number(name: str) -> int:
    return int(read(CONNTRACK + name))
