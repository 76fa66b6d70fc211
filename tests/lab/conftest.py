"""What the tests of drills need of the machine."""

import os
import shutil
from collections.abc import Iterator

import pytest

from netwatch.lab.caretaker import namespaces_of
from tests.conftest import missing


def machine_for_drills() -> None:
    """Skip where none can be held."""
    if os.geteuid() != 0:
        missing("network namespaces need root")
    for program in ("ip", "nft", "conntrack", "sysctl"):
        if shutil.which(program) is None:
            missing(f"{program} is not installed")


@pytest.fixture
def drill_machine() -> Iterator[None]:
    """A machine that can hold drills; afterwards nothing of one is left."""
    machine_for_drills()
    yield
    assert namespaces_of(os.getpid()) == []
