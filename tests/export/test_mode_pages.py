"""The runbook pages against the rules they speak of: a renamed playbook or set must not leave a page that misleads at night."""

import re
import tomllib
from pathlib import Path

import pytest

from netwatch.model.change import MITIGATION_INDUCED
from netwatch.model.incident import Mode
from tests.conftest import ROOT

PAGES = ROOT / "docs" / "modes"
RULES = ROOT / "rules"
SECTIONS = [
    "What it means",
    "What netwatch looks at",
    "Confirm by hand",
    "What netwatch proposes",
    "Undo",
    "Upstream",
    "What looks like it",
]

NAMES = [*(mode.value for mode in Mode), MITIGATION_INDUCED]


def text(mode: str) -> str:
    return (PAGES / f"{mode}.md").read_text()


@pytest.mark.parametrize("mode", NAMES)
def test_a_page_has_all_sections_in_order(mode: str) -> None:
    page = text(mode)
    assert page.startswith(f"# {mode}: ")
    assert re.findall(r"^## (.*)$", page, re.MULTILINE) == SECTIONS


@pytest.mark.parametrize("mode", Mode)
def test_a_page_names_every_playbook_of_its_ladder(mode: Mode) -> None:
    ladder = tomllib.loads((RULES / "detectors" / f"{mode}.toml").read_text())["ladder"]
    missing = [playbook for rung in ladder for playbook in rung.split("+") if f"`{playbook}`" not in text(mode)]
    assert not missing


@pytest.mark.parametrize("mode", Mode)
def test_every_set_that_a_page_touches_is_in_the_base_table(mode: Mode) -> None:
    base = (RULES / "nftables" / "base.nft").read_text()
    named = re.findall(r"element inet netwatch (\w+)", text(mode))
    assert not [name for name in named if not re.search(rf"^\s*(set|map) {name} ", base, re.MULTILINE)]


@pytest.mark.parametrize("page", sorted(PAGES.glob("*.md")), ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)\)", page.read_text())
    assert links
    assert not [link for link in links if not (page.parent / link).exists()]


def test_the_index_names_every_mode() -> None:
    index = (PAGES / "README.md").read_text()
    assert re.findall(r"^\| \[([\w-]+)\]", index, re.MULTILINE) == NAMES


@pytest.mark.parametrize("mode", NAMES)
def test_a_page_says_how_to_look_up_the_ladder_and_how_to_undo_with_netwatch_and_without(mode: str) -> None:
    page = text(mode)
    named = "MODE" if mode == MITIGATION_INDUCED else mode
    assert f"`netwatch rules explain {named}`" in page
    undo = page.partition("## Undo\n")[2].partition("## ")[0]
    commands = re.findall(r"^```\n(.*?)^```", undo, re.MULTILINE | re.DOTALL)
    assert len(commands) == 1
    assert "netwatch incidents" in commands[0]
    assert re.search(r"^netwatch undo (ID|--all)", commands[0], re.MULTILINE)
    assert "nft -f base.nft" in commands[0]
