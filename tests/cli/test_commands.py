"""The commands as a user runs them, on shipped captures."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.commands import NETWATCH, netwatch
from tests.conftest import ROOT

CAPTURES = ROOT / "captures"
FLOOD = next((CAPTURES / "syn-flood").glob("attack.pcap*"))
QUIET = next((CAPTURES / "syn-flood").glob("benign.pcap*"))


def test_help_imports_nothing_heavy() -> None:
    loaded = subprocess.run(
        [sys.executable, "-c", "import sys, netwatch.cli.app; print(*sys.modules)"], capture_output=True, text=True, check=True
    )
    assert not {"numba", "numpy", "pandas", "pyarrow", "scapy", "jinja2"} & set(loaded.stdout.split())


def test_text_on_the_command_line_is_taken_without_pydantic() -> None:
    """Its import takes as long as that of numpy, and typer would check the type of every value with it."""
    program = f"import sys; sys.argv = ['netwatch', 'replay', {str(QUIET)!r}, '--json', '-']; import netwatch.cli.app as a\n"
    program += "try: a.main()\nfinally: print(*sys.modules, file=sys.stderr)"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert json.loads(ran.stdout)["captures"][0]["path"] == str(QUIET)
    assert "typer" in ran.stderr.split()
    assert not [name for name in ran.stderr.split() if name.startswith("pydantic")]


@pytest.mark.parametrize("words", [[], ["replay"], ["flows"], ["rules"], ["rules", "explain"], ["config"], ["config", "check"]])
def test_every_command_has_help(words: list[str]) -> None:
    outcome = netwatch(*words, "--help")
    assert outcome.code == 0
    assert "netwatch" in outcome.out


def test_replay_writes_the_contract_to_standard_output_and_nothing_else() -> None:
    outcome = netwatch("replay", FLOOD, "--limit", "3000", "--json", "-")
    assert outcome.code == 0
    result = json.loads(outcome.out)
    assert [incident["mode"] for incident in result["incidents"]] == ["syn-flood"]
    assert result["traffic"]["packets"] == result["captures"][0]["packets"] > 0
    assert result["firewall"]["limit"] == 3000


def test_replay_can_fail_on_an_incident() -> None:
    assert netwatch("replay", FLOOD, "--limit", "3000", "--fail-on-incident").code == 3
    assert netwatch("replay", QUIET, "--fail-on-incident").code == 0


def test_standard_input_and_the_file_give_the_same_result(tmp_path: Path) -> None:
    from_file = json.loads(netwatch("replay", QUIET, "--json", "-").out)
    from_pipe = json.loads(netwatch("replay", "-", "--json", "-", stdin=QUIET.read_bytes()).out)
    assert from_pipe["traffic"] == from_file["traffic"]
    assert from_pipe["firewall"] == from_file["firewall"]


def test_a_replay_repeated_gives_the_same_json() -> None:
    first, second = (netwatch("replay", FLOOD, "--limit", "3000", "--json", "-").out for _ in range(2))
    assert first == second


def test_services_of_a_configuration_are_watched(tmp_path: Path) -> None:
    (tmp_path / "netwatch.toml").write_text(
        '[firewall]\nname = "edge-1"\nlimit = 3000\n[[service]]\nname = "inbound-smtp"\naddress = "203.0.113.25"\nport = 25\n'
    )
    result = json.loads(netwatch("replay", FLOOD, "--config", tmp_path / "netwatch.toml", "--json", "-").out)
    assert [(incident["firewall"], incident["service"]) for incident in result["incidents"]] == [("edge-1", "203.0.113.25:25/tcp")]


def test_flows_of_a_pipe_that_closes_early_is_no_error() -> None:
    done = subprocess.run(f"'{NETWATCH}' flows '{QUIET}' | head -n 1", shell=True, capture_output=True, text=True, check=False, timeout=200)
    assert done.stdout.count("\n") == 1
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


def test_flows_as_json_lines_count_every_packet() -> None:
    outcome = netwatch("flows", QUIET, "--format", "json")
    rows = [json.loads(line) for line in outcome.out.splitlines()]
    packets = json.loads(netwatch("replay", QUIET, "--json", "-").out)["traffic"]["packets"]
    assert sum(row["packets_out"] + row["packets_in"] for row in rows) == packets


def test_rules_are_right_and_listed() -> None:
    assert netwatch("rules", "check").code == 0
    listed = netwatch("rules", "list").out
    assert all(name in listed for name in ("syn-flood", "service-silent", "synproxy", "fortigate"))
    assert "harmful" in netwatch("rules", "explain", "syn-flood").out


def test_the_example_configuration_is_right(tmp_path: Path) -> None:
    (tmp_path / "netwatch.toml").write_text(netwatch("config", "example").out)
    assert netwatch("config", "check", tmp_path / "netwatch.toml").code == 0


def test_without_any_writable_place_kernels_are_compiled_in_memory() -> None:
    """As root every folder can be written, so the candidates are taken away by name."""
    program = (
        "import netwatch.decode.kernel; from netwatch.jit import folder, njit; "
        "folder._candidate_roots = lambda: iter([folder.Path('/proc/nothing')]); "
        "print(folder.cache_folder('netwatch.decode.kernel'), njit(lambda x: x + 1)(1))"
    )
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert loaded.stdout.strip() == "None 2", loaded.stderr


def test_a_cache_that_others_may_write_is_refused(tmp_path: Path) -> None:
    """Machine code is loaded from it: it must be nobody else's."""
    (tmp_path / "kernels" / "decode.kernel").mkdir(parents=True)
    program = (
        "import os, netwatch.decode.kernel; from netwatch.jit.folder import cache_folder as found; name = 'netwatch.decode.kernel'; "
        "folder = found(name); os.chmod(folder, 0o777); found.cache_clear(); print(folder == found(name))"
    )
    environment = {**os.environ, "NETWATCH_CACHE_DIR": str(tmp_path)}
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment)
    assert loaded.stdout.strip() == "False"
