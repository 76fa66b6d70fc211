"""Where the tests find real captures, and why those that need something skip where it is absent."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SHARED_CAPTURES = ROOT.parent / "shared" / "captures"


def missing(what: str) -> None:
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
