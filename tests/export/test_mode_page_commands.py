"""Every command of the runbook is one: it parses, its programs are known, and it runs where it can be tried."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether
from scapy.utils import wrpcap

from tests.collect.namespaces import namespaces, run
from tests.conftest import ROOT, missing

PAGES = sorted((ROOT / "docs" / "modes").glob("*.md"))
BASE = ROOT / "rules" / "nftables" / "base.nft"
PROGRAMS = frozenset(
    "awk cat conntrack cut dmesg echo grep head ip nc netwatch nft nstat sort ss sysctl tcpdump tshark uniq wc".split()  # noqa: SIM905
)
ON_THE_PATH = frozenset({"awk", "conntrack", "dmesg", "ip", "nft", "nstat", "ss", "sysctl", "tcpdump", "tshark"})


def commands(page: Path, section: str | None = None) -> list[str]:
    """The lines of the fenced blocks, of a section or of all."""
    text = page.read_text()
    if section is not None:
        text = text.partition(f"## {section}\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


def programs(command: str) -> list[str]:
    bare = re.sub(r"'[^']*'|\"[^\"]*\"", "''", command).partition(" #")[0]
    bare = re.sub(r"\d?>\S+|\$\([^)]*\)", "", bare)
    return [part.split()[0] for part in re.split(r"[|;]|&&", bare) if part.split()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_parses_and_its_programs_are_known(page: Path) -> None:
    for command in commands(page):
        parsed = subprocess.run(["bash", "-n", "-c", command], capture_output=True, text=True, check=False)
        assert parsed.returncode == 0, f"{command}: {parsed.stderr}"
        assert set(programs(command)) <= PROGRAMS, command


def tryable(command: str) -> str:
    """The command so that it ends by itself: a filter is compiled and not waited for, complaints are not hidden."""
    command = re.sub(r"tcpdump -ni (\w+) -c \d+", r"tcpdump -di \1", command)
    return command.replace(" 2>/dev/null", "")


@pytest.fixture(scope="module")
def firewall(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A namespace with the interfaces, addresses and table that the pages speak of, and a folder with a capture and the table's file."""
    if absent := [program for program in sorted(ON_THE_PATH) if shutil.which(program) is None]:
        missing(f"not installed: {', '.join(absent)}")
    folder = tmp_path_factory.mktemp("runbook")
    syn = Ether() / IP(src="198.51.100.7", dst="203.0.113.25") / TCP(sport=40000, dport=25, flags="S")
    wrpcap(str(folder / "incident.pcap"), [syn, syn, Ether() / IP(src="198.51.100.7", dst="203.0.113.25") / TCP(dport=25, flags="R")])
    shutil.copy(BASE, folder)
    with namespaces("runbook") as (namespace,):
        run("ip", "-n", namespace, "link", "add", "eth0", "type", "veth", "peer", "name", "eth1")
        for name in ("eth0", "eth1"):
            run("ip", "-n", namespace, "link", "set", name, "up")
        run("ip", "-n", namespace, "address", "add", "203.0.113.1/24", "dev", "eth0")
        run("ip", "-n", namespace, "route", "add", "default", "dev", "eth0")
        run("ip", "netns", "exec", namespace, "nft", "-f", str(BASE))
        yield namespace, folder


def tried(namespace: str, folder: Path, command: str) -> None:
    words = ["ip", "netns", "exec", namespace, "bash", "-c", tryable(command)]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    complaints = [line for line in done.stderr.splitlines() if not re.search(r"flow entries have been shown|as user \"root\"", line)]
    assert not complaints, f"{command}: {done.stderr}"
    assert done.returncode in (0, 1), f"{command}: {done.returncode}"  # grep says 1 for none


@pytest.mark.namespace
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_confirms_a_mode_can_be_run(firewall: tuple[str, Path], page: Path) -> None:
    for command in commands(page, "Confirm by hand"):
        if not {"nc", "netwatch"} & set(programs(command)):
            tried(*firewall, command)


@pytest.mark.namespace
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_undoes_a_change_by_hand_undoes_it(firewall: tuple[str, Path], page: Path) -> None:
    namespace, _ = firewall
    for command in commands(page, "Undo"):
        if programs(command) != ["nft"]:
            continue
        if armed := re.search(r"delete element inet netwatch (\w+) '\{ (.*?) \}'", command):
            run("ip", "netns", "exec", namespace, "nft", f"add element inet netwatch {armed[1]} {{ {armed[2]} timeout 60s }}")
        tried(*firewall, command)
        if armed:
            listed = run("ip", "netns", "exec", namespace, "nft", "list", "set", "inet", "netwatch", armed[1])
            assert "elements" not in listed
