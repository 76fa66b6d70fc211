"""The fixture ``site``: fresh namespaces for each test, gone afterwards whatever happened."""

import os
import shutil
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.conftest import missing
from tests.mitigate.site import Site


@pytest.fixture
def site() -> Iterator[Site]:
    if os.geteuid() != 0:
        missing("network namespaces need root")
    for program in ("ip", "nft", "conntrack"):
        if shutil.which(program) is None:
            missing(f"{program} is not installed")
    with closing(Site()) as site:
        site.build()
        yield site
