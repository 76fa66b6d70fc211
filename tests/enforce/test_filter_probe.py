"""The probe believes no kernel: it sees what is gone and what is left, in a namespace that nobody uses."""

import subprocess
import threading

import pytest

from netwatch.enforce.ctnetlink import Filter, StateTable
from netwatch.enforce.filter_probe import can_filter_delete
from netwatch.errors import FirewallRefusedError
from netwatch.kernel.namespace import entered
from tests.enforce.table import fill, half_open

pytestmark = pytest.mark.namespace


def test_what_the_kernel_can_is_told_for_each_family_with_a_reason_if_it_cannot() -> None:
    found = can_filter_delete()
    broken = [name for name, works in (("IPv4", found.ipv4), ("IPv6", found.ipv6)) if not works]
    assert all(name in found.reason for name in broken)
    assert bool(found.reason) is bool(broken)
    assert (found.serves(2), found.serves(10), found.serves(0)) == (found.ipv4, found.ipv6, False)


def test_a_kernel_that_flushes_everything_is_found_out() -> None:
    def flush(_: StateTable, __: Filter) -> None:
        subprocess.run(["conntrack", "-F"], check=True, capture_output=True)

    found = can_filter_delete(flush)
    assert (found.ipv4, found.ipv6) == (False, False)
    assert "IPv4 and IPv6" in found.reason


def test_a_kernel_that_refuses_or_does_nothing_is_found_out() -> None:
    def refuse(_: StateTable, __: Filter) -> None:
        raise FirewallRefusedError("the kernel does not delete by a filter")

    for deletion in (refuse, lambda _, __: None):
        found = can_filter_delete(deletion)
        assert (found.ipv4, found.ipv6) == (False, False)


def test_it_touches_no_table_but_its_own_and_leaves_nothing(namespace: str) -> None:
    fill(namespace, half_open(20))
    threads = threading.active_count()
    with entered(namespace):
        can_filter_delete()
    assert StateTable(namespace).count() == 20
    assert threading.active_count() == threads


def test_without_the_right_to_make_namespaces_it_says_that_it_cannot(monkeypatch: pytest.MonkeyPatch) -> None:
    from netwatch.kernel import namespace as module

    class Forbidden:
        def unshare(self, _: int) -> int:
            return -1

    monkeypatch.setattr(module, "LIBC", Forbidden())
    found = can_filter_delete()
    assert (found.ipv4, found.ipv6) == (False, False)
    assert "cannot be made" in found.reason
