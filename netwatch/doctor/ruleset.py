"""nftables: whether netwatch's table can be loaded here, and who else has rules at the very same places."""

import re
import shutil
import struct
import subprocess
from collections.abc import Iterator

from netwatch.doctor.check import Check, failed, ok, skipped, warning
from netwatch.enforce.base_table import TABLE
from netwatch.enforce.libnftables import LIBRARY, PROGRAM, PROGRAM_WITHIN_S, NftProgram, library, nft
from netwatch.errors import FirewallRefusedError, FirewallUnreachableError
from netwatch.kernel.netlink import DUMP, KernelRefusalError, Netlink, attributes, message

GET_CHAIN = 0xA04
CHAIN_TABLE, CHAIN_NAME, CHAIN_HOOK = 1, 3, 4
HOOK_NUMBER, HOOK_PRIORITY = 1, 2
HOOKS = {"prerouting": 0, "input": 1, "forward": 2, "output": 3, "postrouting": 4}
FAMILIES = {"inet": 1, "ip": 2, "ip6": 10}
"""Those that see the packets of table ``inet netwatch``; numbers of include/uapi/linux/netfilter.h."""

OURS = re.compile(r"type \w+ hook (\w+) priority (-?\d+)")


def checks(base: str, namespace: str | None, *, acts: bool) -> Iterator[Check]:
    bad = failed if acts else warning
    yield _installed(bad=acts)
    try:
        driver = nft(namespace)
    except FirewallUnreachableError as error:
        yield bad("netwatch's table", str(error), why="mitigations are elements of it", advice="install nftables, and run doctor as root")
        return
    try:
        driver.run(base, dry=True)
        yield ok("netwatch's table", "the kernel would take it (checked, not loaded)")
    except FirewallRefusedError as error:
        words = str(error).splitlines()[0]
        if "Operation not permitted" in str(error):
            yield skipped("netwatch's table", words, advice="run doctor as root")
        else:
            yield bad(
                "netwatch's table",
                f"refused: {words}",
                why="mitigations are elements of it",
                advice="the kernel or nft lacks a feature that rules/nftables/base.nft uses: nft 1.0.6 and the modules nft_ct, nft_limit, "
                "nft_connlimit, nft_synproxy and nft_reject are needed",
            )
    finally:
        driver.close()
    yield from _neighbours(base, namespace)


def _installed(*, bad: bool) -> Check:
    if library() is not None:
        return ok("nftables", f"{LIBRARY}, {_version()}")
    try:
        NftProgram()
    except FirewallUnreachableError as error:
        outcome = failed if bad else warning
        return outcome("nftables", str(error), why="without it no firewall rule can be changed", advice="apt install nftables")
    return warning(
        "nftables",
        f"the program nft is there, {LIBRARY} is not",
        why="each change then starts a process: some 10 ms instead of 0.4 ms",
        advice="apt install libnftables1",
    )


def _version() -> str:
    """Of the program, which comes from the same source; the library does not tell its own."""
    program = shutil.which(PROGRAM)
    if program is None:
        return "of unknown version, without the program nft"
    return subprocess.run([program, "--version"], capture_output=True, text=True, check=False, timeout=PROGRAM_WITHIN_S).stdout.strip()


def _neighbours(base: str, namespace: str | None) -> Iterator[Check]:
    ours = {(HOOKS[hook], int(priority)): hook for hook, priority in OURS.findall(base)}
    try:
        with Netlink(namespace) as netlink:
            found = [chain for family in FAMILIES for chain in _chains(netlink, family)]
    except FirewallUnreachableError as error:
        yield skipped("neighbouring rules", str(error), advice="run doctor as root")
        return
    same = [(f"{family} {table}", chain, place) for family, table, chain, place in found if place in ours and table != TABLE]
    for table, chain, place in same:
        yield warning(
            "neighbouring rules",
            f"chain {chain} of table {table} hooks {ours[place]} at priority {place[1]}, as netwatch's table does",
            why="which of the two sees a packet first depends on which was loaded first",
            advice="give that chain another priority: lower to be asked before netwatch, higher to be asked after it",
        )
    if not same:
        yield ok("neighbouring rules", f"{len(found)} other chains with a hook, none at a place of netwatch's")


def _chains(netlink: Netlink, family: str) -> Iterator[tuple[str, str, str, tuple[int, int]]]:
    """Family, table, name, and hook with priority of each chain that has a hook."""
    try:
        answers = list(netlink.ask(message(GET_CHAIN, DUMP, FAMILIES[family])))
    except KernelRefusalError:
        return  # no nftables of this family in the kernel
    for answer in answers:
        if (hook := answer.attributes.get(CHAIN_HOOK)) is None:
            continue
        table, chain = (answer.attributes[kind].rstrip(b"\0").decode(errors="replace") for kind in (CHAIN_TABLE, CHAIN_NAME))
        if table == TABLE and family == "inet":
            continue
        place = attributes(hook)
        yield family, table, chain, (struct.unpack(">I", place[HOOK_NUMBER])[0], struct.unpack(">i", place[HOOK_PRIORITY])[0])
