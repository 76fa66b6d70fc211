"""Each wrong input is one clear sentence and the right exit code; nothing prints a traceback."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.cli.commands import NETWATCH, netwatch
from tests.conftest import ROOT, missing

FLOOD = next((ROOT / "captures" / "syn-flood").glob("attack.pcap*"))


def test_a_missing_file(tmp_path: Path) -> None:
    outcome = netwatch("replay", tmp_path / "nothing.pcap")
    assert outcome.code == 1
    assert "nothing.pcap" in outcome.sentence
    assert outcome.out == ""


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "empty.pcap").write_bytes(b"")
    outcome = netwatch("replay", tmp_path / "empty.pcap")
    assert outcome.code == 1
    assert "empty" in outcome.sentence


def test_a_file_that_is_no_capture(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("Dear reader, this is not a capture. " * 10)
    outcome = netwatch("replay", tmp_path / "letter.txt")
    assert outcome.code == 1
    assert "letter.txt" in outcome.sentence


def test_a_folder_without_captures(tmp_path: Path) -> None:
    outcome = netwatch("replay", tmp_path)
    assert outcome.code == 1
    assert str(tmp_path) in outcome.sentence


def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    secret = tmp_path / "secret.pcap"
    secret.write_bytes(FLOOD.read_bytes())
    secret.chmod(0)
    command = [str(NETWATCH), "replay", str(secret)]
    if os.getuid() == 0:
        if subprocess.run(["setpriv", "--version"], capture_output=True, check=False).returncode:
            missing("setpriv is not installed, and root may read every file")
        # Without the capability that lets root read everything, file modes hold for root as well.
        command = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search", "--inh-caps", "-dac_override,-dac_read_search", *command]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1
    assert "secret.pcap" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--firewall", "checkpoint"], "checkpoint"),
        (["--limit", "0"], "--limit 0"),
        (["--limit", "-5"], "--limit -5"),
        (["--limit", "many"], "--limit"),
        (["--service", "203.0.113.25"], "ADDR:PORT/PROTO"),
        (["--service", "203.0.113.25:99999/tcp"], "port must be 1 to 65535"),
        (["--what-if", "prayer"], "prayer"),
        (["--colour", "red"], "--colour"),
    ],
)
def test_wrong_usage_exits_with_2_and_says_which_word_is_wrong(words: list[str], said: str) -> None:
    outcome = netwatch("replay", FLOOD, *words)
    assert outcome.code == 2
    assert said in outcome.err
    assert "Traceback" not in outcome.err


def test_a_wrong_key_of_the_configuration_is_named(tmp_path: Path) -> None:
    (tmp_path / "netwatch.toml").write_text('[firewall]\nnamme = "edge-1"\n')
    outcome = netwatch("replay", FLOOD, "--config", tmp_path / "netwatch.toml")
    assert outcome.code == 1
    assert "namme" in outcome.sentence
    assert "netwatch.toml" in outcome.sentence


def test_an_unknown_mode_to_explain_lists_those_that_exist() -> None:
    outcome = netwatch("rules", "explain", "meteor")
    assert outcome.code == 2
    assert "syn-flood" in outcome.sentence


def test_a_report_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    outcome = netwatch("replay", FLOOD, "--report", tmp_path / "no" / "such" / "folder" / "r.html")
    assert outcome.code == 1
    assert "r.html" in outcome.err
    assert "Traceback" not in outcome.err
