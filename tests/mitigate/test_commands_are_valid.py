"""Every command that any playbook can write is one that nft and conntrack take: nothing is pasted that fails in the middle of an outage."""

import shlex

import pytest

from netwatch.mitigate.playbook import Playbook, recommend
from netwatch.model.incident import Mode, Recommendation
from netwatch.rulebook import find, load, names, rules_folder
from tests.mitigate.site import Site
from tests.mitigate.test_playbook import DNS, SERVICES, SMTP, SMTP6, incident

pytestmark = pytest.mark.namespace

PREFIXES = ("192.0.2.0/24", "2001:db8:bad::/48")
NEVER_BLOCK = ("198.51.100.0/24", "2001:db8:1::/48")


def recommendations() -> list[Recommendation]:
    """Each playbook against each mode it answers, for every kind of service."""
    found = []
    for name in names("playbooks"):
        playbook = load(Playbook, find("playbooks", name))
        for mode in playbook.answers:
            for service in (None, SMTP, SMTP6, DNS):
                one = recommend(incident(mode, service=service, prefixes=PREFIXES), [playbook], services=SERVICES, never_block=NEVER_BLOCK)
                if one is not None:
                    found.append(one)
    return found


def nft_batch(lines: tuple[str, ...]) -> str:
    return "\n".join(" ".join(shlex.split(line)[1:]) for line in lines if line.startswith("nft "))


def test_every_playbook_can_be_recommended_for_something() -> None:
    assert {one.playbook for one in recommendations()} == set(names("playbooks"))


def test_nft_takes_every_change_and_its_undo_and_nothing_is_left(site: Site) -> None:
    before = site.on("firewall", "nft", "-s", "list", "table", "inet", "netwatch")
    for one in recommendations():
        armed = nft_batch(tuple(line for line in one.changes if " protect" not in line))
        site.nft(nft_batch(one.changes))
        if armed:
            assert site.on("firewall", "nft", "-s", "list", "table", "inet", "netwatch") != before, one
        site.nft(nft_batch(one.undo))
        site.nft("flush set inet netwatch protect4\nflush set inet netwatch protect6")
        assert site.on("firewall", "nft", "-s", "list", "table", "inet", "netwatch") == before, one


def test_every_recommendation_passes_a_dry_run_beside_the_base_table(site: Site) -> None:
    base = (rules_folder() / "nftables" / "base.nft").read_text()
    batches = {nft_batch(one.changes) for one in recommendations()}
    for batch in sorted(batches):
        site.on("firewall", "nft", "-c", base + batch)


def test_conntrack_takes_every_command(site: Site) -> None:
    lines = {line for one in recommendations() for line in one.changes if line.startswith("conntrack ")}
    assert lines
    for line in sorted(lines):
        problems = site.errors("firewall", "sh", "-c", line)
        assert "0 flow entries" in problems, line  # shown or deleted: none is there


def test_idle_entries_of_the_blamed_prefix_leave_and_all_others_stay(site: Site) -> None:
    def entry(source: str, *, left_s: int) -> None:
        words = shlex.split("-I -p tcp -d 203.0.113.25 --sport 40000 --dport 25 --state ESTABLISHED -u SEEN_REPLY,ASSURED")
        site.on("firewall", "conntrack", *words, "-s", source, "-t", str(left_s))

    entry("192.0.2.7", left_s=431_000)
    entry("192.0.2.8", left_s=432_000)
    entry("192.0.3.7", left_s=431_000)
    (one,) = [one for one in recommendations() if one.playbook == "evict-idle" and "203.0.113.25" in one.changes[-1]][:1]
    for line in one.changes:
        site.on("firewall", "sh", "-c", line)
    assert sorted(line.split()[4] for line in site.entries("-p", "tcp")) == ["src=192.0.2.8", "src=192.0.3.7"]


def test_unanswered_questions_leave_and_answered_ones_stay(site: Site) -> None:
    for port, status, left_s in ((1, "UNSET", 20), (2, "UNSET", 30), (3, "SEEN_REPLY", 20)):
        words = f"-I -p udp -s 192.0.2.7 -d 203.0.113.53 --sport {port} --dport 53 -u {status} -t {left_s}"
        site.on("firewall", "conntrack", *words.split())
    found = recommend(incident(Mode.UDP_STATE_FLOOD, service=DNS), [evict_unanswered()], services=SERVICES, never_block=())
    assert found is not None
    for line in found.changes:
        site.on("firewall", "sh", "-c", line)
    assert sorted(line.split()[5] for line in site.entries("-p", "udp")) == ["sport=2", "sport=3"]


def evict_unanswered() -> Playbook:
    return load(Playbook, find("playbooks", "evict-unanswered"))
