"""Every driver with what a test needs beside it: time that passes, and somebody else who flushes the ruleset."""

import io
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from netwatch.decode.ctnetlink import EntryDecoder
from netwatch.enforce.base_table import base_table
from netwatch.enforce.ctnetlink import StateTable
from netwatch.enforce.driver import Driver
from netwatch.enforce.dry_run import DryRun
from netwatch.enforce.eviction import Evictor
from netwatch.enforce.libnftables import NftProgram
from netwatch.enforce.nftables import Nftables, open_nftables
from netwatch.enforce.ruleset import Ruleset
from netwatch.enforce.sysctl import Sysctls
from netwatch.kernel.timeouts import timeouts

NEVER_BLOCK = ("198.51.100.0/25", "198.51.100.128/25", "2001:db8:1::/48")


class Rig:
    """A driver under test."""

    def __init__(self, driver: Driver, *, wait: Callable[[float], None], flush: Callable[[], None], settings: Callable[[], str]) -> None:
        self.driver = driver
        self.wait = wait
        self.flush_by_others = flush
        self.settings = settings
        """All that the driver's table holds but what counts down, as text."""


def nft(namespace: str, text: str, *options: str) -> str:
    """Run a text as somebody else would."""
    command = ["ip", "netns", "exec", namespace, "nft", *options, "-f", "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def with_program(base: str, namespace: str, folder: Path) -> Nftables:
    """The driver without the library."""
    evictor = Evictor(
        StateTable(namespace),
        EntryDecoder(),
        timeouts=partial(timeouts, namespace),
        policies=base_table(base).policies,
        never_block=NEVER_BLOCK,
    )
    sysctls = Sysctls(folder / "sysctls.json", namespace)
    return Nftables(base, nft=NftProgram(namespace), ruleset=Ruleset(namespace), evictor=evictor, sysctls=sysctls, never_block=NEVER_BLOCK)


@contextmanager
def real(driver: Nftables, namespace: str) -> Iterator[Rig]:
    try:
        yield Rig(
            driver,
            wait=time.sleep,
            flush=lambda: void(nft(namespace, "flush ruleset")),
            settings=lambda: nft(namespace, "list ruleset", "-s"),
        )
    finally:
        driver.close()


def with_library(base: str, namespace: str, folder: Path) -> Nftables:
    return open_nftables(base, decoder=EntryDecoder(), state_folder=folder, namespace=namespace, never_block=NEVER_BLOCK)


@contextmanager
def dry(base: str) -> Iterator[Rig]:
    now_s = [1000.0]

    def wait(seconds: float) -> None:
        now_s[0] += seconds

    driver = DryRun(base, stream=io.StringIO(), clock=lambda: now_s[0], never_block=NEVER_BLOCK)
    yield Rig(driver, wait=wait, flush=driver.flush_by_others, settings=lambda: str([(one.set, one.key) for one in driver.in_force()]))


def void(_: object) -> None:
    """What a command printed is of no interest."""
