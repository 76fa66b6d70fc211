"""Time-outs are those of the namespace that is asked about, as they are now."""

import pytest

from netwatch.kernel.namespace import entered
from netwatch.kernel.sysctl import CONNTRACK, path, read
from netwatch.kernel.timeouts import timeouts
from netwatch.model.session import Timeouts
from tests.enforce.conftest import namespace
from tests.enforce.table import set_sysctl

__all__ = ["namespace"]  # fixtures

pytestmark = pytest.mark.namespace


def test_a_namespace_has_its_own(namespace: str) -> None:
    before = timeouts(namespace)
    set_sysctl(namespace, f"{CONNTRACK}udp_timeout", "7")
    set_sysctl(namespace, f"{CONNTRACK}tcp_timeout_syn_sent", "33")
    after = timeouts(namespace)
    assert (after.udp_s, after.syn_sent_s) == (7.0, 33.0)
    changed = {name for name in Timeouts.__struct_fields__ if getattr(before, name) != getattr(after, name)}
    assert changed == {"udp_s", "syn_sent_s"}


def test_a_sysctl_is_read_by_its_name_in_the_threads_namespace(namespace: str) -> None:
    set_sysctl(namespace, f"{CONNTRACK}udp_timeout", "9")
    with entered(namespace):
        assert read(f"{CONNTRACK}udp_timeout") == "9"
    with pytest.raises(FileNotFoundError):
        path("net.netfilter.nf_conntrack_moon").read_text()
