"""The scenarios of a drill, as data: what is attacked how, what else happens, and how small the firewall's table is made for it.

The limits are small so that a drill takes seconds and not hours; what matters is the ratio of attack to limit and of limit to buckets. A
full table drops a new session with P = exp(-16 U/B), U unassured entries in B buckets (``nf_conntrack_core.c`` looks at 8 buckets, two
nodes an entry): 10,000 half-open entries in 262,144 buckets refuse every second newcomer, assured ones refuse all.
"""

import msgspec

from netwatch.errors import UsageError
from netwatch.lab import plan
from netwatch.lab.clients import Load, Manner
from netwatch.lab.generator import Attack, Kind
from netwatch.lab.plan import Role

CANARY_PER_S = 10.0
ONE_PREFIX = "198.18.0.0/16"
ONE_NETWORK = "198.18.77.0/24"


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """Something that somebody does, other than sending packets."""

    at_s: float  # after the attack begins
    text: str
    role: Role
    command: tuple[str, ...]
    input: str = ""
    only_unprotected: bool = False


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """A drill before it is run."""

    name: str
    text: str
    limit: int  # nf_conntrack_max
    buckets: int | None = None  # as the machine has it
    attacks: tuple[Attack, ...] = ()
    surge_per_s: float = 0.0  # more clients while the attack lasts
    steps: tuple[Step, ...] = ()
    clients: Load = Load(per_s=40.0, seconds=0.0)
    canary: Load = Load(per_s=CANARY_PER_S, seconds=0.0, sources=(plan.CANARY,))
    sysctls: dict[str, str] = {}
    silent_server: bool = False
    before_s: float = 5.0
    attack_s: float = 10.0
    after_s: float = 6.0

    @property
    def total_s(self) -> float:
        return self.before_s + self.attack_s + self.after_s

    def with_phases(self, before_s: float, attack_s: float, after_s: float) -> "Scenario":
        """The same, shorter or longer: what ends with the attack ends with it then, and attacks last no longer than it."""
        return msgspec.structs.replace(
            self,
            before_s=before_s,
            attack_s=attack_s,
            after_s=after_s,
            attacks=tuple(msgspec.structs.replace(one, seconds=min(one.seconds, attack_s)) for one in self.attacks),
            steps=tuple(msgspec.structs.replace(one, at_s=attack_s if one.at_s == self.attack_s else one.at_s) for one in self.steps),
        )


def _flood(kind: Kind, per_s: float, seconds: float, *, sources: str = plan.ATTACK_SOURCES, port: int = plan.SERVICE_PORT) -> Attack:
    return Attack(kind=kind, per_s=per_s, seconds=seconds + 1, count=int(per_s * seconds), sources=sources, port=port)


OUTAGE = f"table inet outage {{ chain input {{ type filter hook input priority 0; tcp dport {plan.SERVICE_PORT} drop; }}; }}"

BROKEN_SYNPROXY = f"""
table inet operator {{
  chain raw {{
    type filter hook prerouting priority -300;
    ip daddr {plan.SERVER} tcp dport {plan.SERVICE_PORT} tcp flags & (fin|syn|rst|ack) == syn notrack
  }}
  chain forward {{
    type filter hook forward priority -5;
    ip daddr {plan.SERVER} tcp dport {plan.SERVICE_PORT} ct state invalid,untracked synproxy mss 1460 wscale 7 timestamp sack-perm
    ct state invalid drop
  }}
}}
"""
"""With "timestamp" the last ACK of the handshake repeats a time that a current server never sent, and it refuses each connection."""

RETRYING = Load(per_s=80.0, seconds=0.0, retry_s=1.0)
LONG_SESSIONS = Load(per_s=40.0, seconds=0.0, manner=Manner.SESSION, sessions=20)
LONG_CANARY = Load(per_s=CANARY_PER_S, seconds=0.0, manner=Manner.SESSION, sessions=10, sources=(plan.CANARY,))

SCENARIOS = (
    Scenario(
        name="syn-flood",
        text="spoofed SYNs, five times the table each second: each holds an entry for 60 s",
        limit=10_000,
        attacks=(_flood(Kind.SYN, 50_000, 10),),
    ),
    Scenario(
        name="absorbed-flood",
        text="the same SYNs on a table with as many buckets as entries, as Linux comes: half-open entries give way to new sessions",
        limit=16_384,
        buckets=16_384,
        attacks=(_flood(Kind.SYN, 50_000, 10),),
    ),
    Scenario(
        name="stuck-table",
        text="full handshakes whose peers vanish: assured entries that last five days, so the outage outlives the attack",
        limit=8000,
        buckets=8192,
        # Full after 1.6 s; then the attack takes what closed sessions leave. Were any of those still in the full table at its end, the
        # kernel's garbage collector would throw them out when it comes by, once a minute or so, and let clients in for some seconds.
        sysctls={"net.netfilter.nf_conntrack_tcp_timeout_time_wait": "1"},
        attacks=(_flood(Kind.HANDSHAKE, 5000, 4.5, sources=ONE_PREFIX),),
        attack_s=5.0,
        after_s=10.0,
    ),
    Scenario(
        name="udp-flood",
        text="datagrams from random sources to a port that does not answer: each holds an entry for 30 s",
        limit=10_000,
        attacks=(_flood(Kind.UDP, 50_000, 10, port=plan.SINK_PORT),),
    ),
    Scenario(
        name="slow-leak",
        text="200 sessions a second that are never closed, below any threshold of rate, until the table is full of them",
        limit=2500,
        sysctls={"net.netfilter.nf_conntrack_tcp_timeout_time_wait": "8"},
        attacks=(_flood(Kind.HANDSHAKE, 200, 15, sources=ONE_NETWORK),),
        clients=Load(per_s=20.0, seconds=0.0),
        attack_s=16.0,
    ),
    Scenario(
        name="ack-flood",
        text="bare ACKs of sessions that never were: picked up as established (tcp_loose), each holds an entry for 300 s",
        limit=10_000,
        attacks=(_flood(Kind.ACK, 50_000, 10),),
        silent_server=True,
    ),
    Scenario(
        name="failover",
        text="the firewall loses its sessions and picks up none (tcp_loose off): those that were open hang",
        limit=10_000,
        sysctls={"net.netfilter.nf_conntrack_tcp_loose": "0"},
        steps=(Step(at_s=0.0, text="the state table is lost", role=Role.FIREWALL, command=("conntrack", "-F")),),
        clients=LONG_SESSIONS,
        canary=LONG_CANARY,
        attack_s=2.0,
        after_s=10.0,
    ),
    Scenario(
        name="retry-storm",
        text="the service is away for 8 s; what queued meanwhile retries, fills the table and makes the outage longer than its cause",
        limit=2000,
        # So that the normal load fits the small table: 90 sessions a second, each closed at once.
        sysctls={"net.netfilter.nf_conntrack_tcp_timeout_time_wait": "8"},
        steps=(
            Step(at_s=0.0, text="the service goes away", role=Role.SERVER, command=("nft", "-f", "-"), input=OUTAGE),
            Step(at_s=8.0, text="the service is back", role=Role.SERVER, command=("nft", "delete", "table", "inet", "outage")),
        ),
        clients=RETRYING,
        attack_s=8.0,
        after_s=10.0,
    ),
    Scenario(
        name="bad-mitigation",
        text="a flood, and a synproxy against it that breaks every connection",
        limit=10_000,
        sysctls={"net.netfilter.nf_conntrack_tcp_loose": "0"},
        attacks=(_flood(Kind.SYN, 20_000, 8),),
        steps=(
            Step(
                at_s=1.0,
                text="an operator loads a synproxy with timestamps",
                role=Role.FIREWALL,
                command=("nft", "-f", "-"),
                input=BROKEN_SYNPROXY,
                only_unprotected=True,
            ),
        ),
        attack_s=8.0,
    ),
    Scenario(name="benign-surge", text="three times the normal load, all of it wanted", limit=10_000, surge_per_s=80.0),
)


def scenario(name: str) -> Scenario:
    """A scenario by its name.

    Raises:
        UsageError: there is none of that name.
    """
    for one in SCENARIOS:
        if one.name == name:
            return one
    raise UsageError(f"there is no scenario '{name}'; there are {', '.join(one.name for one in SCENARIOS)}")
