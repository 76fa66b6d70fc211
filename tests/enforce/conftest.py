"""Fixtures: a bare namespace for what needs only a kernel, and a site of three with real packets. Both are gone after the test."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing
from itertools import count

import pytest

from netwatch.rulebook import rules_folder
from tests.conftest import missing
from tests.mitigate.site import Site

NUMBERS = count()


@pytest.fixture
def base() -> str:
    """The text of netwatch's table."""
    return (rules_folder() / "nftables" / "base.nft").read_text()


@pytest.fixture
def namespace() -> Iterator[str]:
    """The name of a fresh network namespace without any link."""
    if os.geteuid() != 0:
        missing("network namespaces need root")
    for program in ("ip", "nft", "conntrack"):
        if shutil.which(program) is None:
            missing(f"{program} is not installed")
    name = f"nw-{os.getpid()}-enforce{next(NUMBERS)}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        yield name
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True)


@pytest.fixture
def site(namespace: str) -> Iterator[Site]:
    with closing(Site()) as site:
        site.build()
        yield site
