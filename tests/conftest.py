"""Where the tests find real captures, and why those that need something skip where it is absent."""

import os
from pathlib import Path
from typing import NoReturn

import pytest

ROOT = Path(__file__).resolve().parent.parent
SHARED_CAPTURES = ROOT.parent / "shared" / "captures"


def missing(what: str) -> NoReturn:
    """Skip with the reason; in CI nothing that the tests need may be missing, so there it fails."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what}: CI must have it")
    pytest.skip(what)


@pytest.fixture(scope="session")
def shared_captures() -> Path:
    """The collection of real captures with independent expected results that lies beside the checkout."""
    if not SHARED_CAPTURES.is_dir():
        missing("the shared collection of captures is not beside this checkout")
    return SHARED_CAPTURES


def pytest_itemcollected(item: pytest.Item) -> None:
    """Files are shared out between processes; what changes the kernel's limits or measures its clock runs in one of them."""
    item.add_marker(pytest.mark.xdist_group("kernel" if item.get_closest_marker("namespace") else item.nodeid.split("::")[0]))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """… and after all others, so that it has the machine to itself."""
    items.sort(key=lambda item: item.get_closest_marker("namespace") is not None)
