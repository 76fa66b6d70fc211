"""The state table's time-outs as a namespace has them now: sysctls of the state tracking, read into ``Timeouts``."""

from netwatch.kernel.namespace import entered
from netwatch.kernel.sysctl import CONNTRACK, read
from netwatch.model.session import Timeouts

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


def timeouts(namespace: str | None = None) -> Timeouts:
    """What the kernel does not have (built without GRE or SCTP, or the table is not loaded) is left at netfilter's default."""
    found = {}
    with entered(namespace):
        for field in Timeouts.__struct_fields__:
            name = OTHER_PROTOCOLS.get(field, f"tcp_timeout_{field.removesuffix('_s')}")
            try:
                found[field] = float(read(CONNTRACK + name))
            except FileNotFoundError:
                continue
    return Timeouts(**found)
