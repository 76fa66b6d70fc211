"""The driver that changes nothing says what another would do."""

import io

import numpy as np

from netwatch.enforce.base_table import base_table
from netwatch.enforce.dry_run import DryRun
from netwatch.model.plan import Eviction
from tests.enforce.changes import SMTP, change, element


def test_it_prints_exactly_what_it_would_do(base: str) -> None:
    stream, now_s = io.StringIO(), [1000.0]
    driver = DryRun(base, stream=stream, clock=lambda: now_s[0], never_block=("198.51.100.0/24",))
    wanted = change(
        element("synproxy4", "203.0.113.25 . 25", life_s=300),
        life_s=300,
        evict=Eviction(states=("SYN_SENT", "SYN_RECV"), min_idle_s=2.0, services=(SMTP,), prefixes=("192.0.2.0/24",), only_silent=True),
        sysctl=("net.netfilter.nf_conntrack_tcp_loose=0",),
    )
    driver.load()
    driver.check(wanted)
    driver.apply(wanted, now_s=1000.0, protected=np.zeros(1200, np.uint64))
    driver.repeat(wanted)
    driver.renew(wanted, now_s=1000.0, life_s=600)
    now_s[0] = 1100.0
    driver.undo(wanted)
    driver.undo(wanted)
    driver.release()
    evicting = (
        "delete entries in SYN_SENT, SYN_RECV of 203.0.113.25:25/tcp from 192.0.2.0/24 idle for at least 2 s "
        "whose client never sent payload but none from 198.51.100.0/24"
    )
    assert stream.getvalue().splitlines() == [
        f"dry-run: would load table inet netwatch, of {len(base_table(base).sets)} sets and maps",
        "dry-run: would run nft add element inet netwatch protect4 { 198.51.100.0/24 }",
        "dry-run: would run nft add element inet netwatch synproxy4 { 203.0.113.25 . 25 timeout 300s }",
        "dry-run: would hold sysctl net.netfilter.nf_conntrack_tcp_loose=0 for 300 s",
        f"dry-run: would {evicting} and none of 1,200 sessions known to live",
        f"dry-run: would {evicting}",
        "dry-run: would run nft add element inet netwatch synproxy4 { 203.0.113.25 . 25 timeout 600s }",
        "dry-run: would hold sysctl net.netfilter.nf_conntrack_tcp_loose=0 for 600 s",
        "dry-run: would run nft delete element inet netwatch synproxy4 { 203.0.113.25 . 25 }",
        "dry-run: would put back what was before sysctl net.netfilter.nf_conntrack_tcp_loose=0",
        "dry-run: would delete table inet netwatch",
    ]
