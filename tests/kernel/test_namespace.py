"""Only the calling thread steps into a namespace, and it comes back whatever happens there."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from netwatch.errors import FirewallUnreachableError
from netwatch.kernel.namespace import OWN, entered, in_fresh_namespace
from tests.enforce.conftest import namespace

__all__ = ["namespace"]  # fixtures


def here() -> str:
    return str(OWN.readlink())


@pytest.mark.namespace
def test_only_the_thread_is_there_and_it_comes_back(namespace: str) -> None:
    before = here()
    with ThreadPoolExecutor(1) as other:
        other.submit(here).result()  # it is started before anybody goes anywhere
        with entered(namespace):
            assert here() != before
            assert other.submit(here).result() == before
    assert here() == before


@pytest.mark.namespace
def test_it_comes_back_after_an_error_too(namespace: str) -> None:
    before = here()
    with pytest.raises(ZeroDivisionError), entered(namespace):
        _ = 1 // 0
    assert here() == before


@pytest.mark.namespace
def test_a_fresh_namespace_is_nobodys_and_only_for_the_action(namespace: str) -> None:
    with entered(namespace):
        inside = here()
        assert in_fresh_namespace(here) not in (inside, here())
        assert here() == inside


def test_a_namespace_that_is_not_there_is_named() -> None:
    with pytest.raises(FirewallUnreachableError, match="network namespace 'nw-none': No such file"), entered("nw-none"):
        pass


def test_no_name_is_where_the_thread_is_already() -> None:
    before = here()
    with entered(None):
        assert here() == before
