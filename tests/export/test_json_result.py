"""``replay --json`` against the contract and its schema."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator

from netwatch.errors import ReportError
from netwatch.export.json_result import json_schema, json_text, write_json
from netwatch.model.incident import Evidence, EvidenceKind
from netwatch.model.replay import Replay
from tests.conftest import ROOT
from tests.export.fakes import ENDED_S, ONSET_S, empty_replay, flood_incident, flood_replay, quiet_replay

CONTRACT = {
    "": "schema_version captures traffic firewall incidents what_if",
    "captures": "path link_types packets bytes first_s last_s truncated errors",
    "traffic": "packets bytes non_ip ipv4 ipv6 tcp udp icmp other fragments tcp_syn tcp_synack tcp_fin tcp_rst flows",
    "firewall": "profile strict limit peak_entries peak_at_s full_at_s entries_at_end states_at_end dropped_full early_dropped verdicts",
    "incidents": "id mode severity firewall service onset_s detected_s ended_s evidence attribution recommendation",
    "what_if": "playbook peak_entries full_at_s dropped_full healthy_hit incidents",
}


def document(replay: Replay) -> dict[str, Any]:
    def refuse(constant: str) -> float:
        raise AssertionError(f"{constant} is no JSON")

    parsed: dict[str, Any] = json.loads(json_text(replay), parse_constant=refuse)
    return parsed


@pytest.mark.parametrize("place", CONTRACT)
def test_every_key_of_the_contract_is_there(place: str) -> None:
    found = document(flood_replay())
    at = found[place] if place else found
    for item in at if isinstance(at, list) else [at]:
        assert set(CONTRACT[place].split()) <= set(item)


def test_values_are_where_the_contract_says() -> None:
    found = document(flood_replay())
    incident = found["incidents"][0]

    assert found["traffic"]["tcp_syn"] == 106_412
    assert found["traffic"]["errors"] == {"cut_transport_header": 12, "not_ip": 310}
    assert next(iter(found["firewall"]["states_at_end"].items())) == ("SYN_RECV", 22_788)
    assert (incident["mode"], incident["severity"], incident["onset_s"], incident["ended_s"]) == ("syn-flood", "critical", ONSET_S, ENDED_S)
    assert incident["evidence"]["syn_per_s"] == 2_071.0
    assert incident["attribution"][0] == {"kind": "spoofed", "value": "37669 sources", "share": 0.93}
    assert incident["recommendation"] == {
        "playbook": "synproxy",
        "changes": ["nft add element inet netwatch synproxy4 '{ 203.0.113.25 . 25 timeout 300s }'"],
        "undo": ["nft delete element inet netwatch synproxy4 '{ 203.0.113.25 . 25 }'"],
    }
    assert [one["playbook"] for one in found["what_if"]] == ["synproxy", "short-timeouts", "drop-prefix"]


@pytest.mark.parametrize("replay", [flood_replay(), quiet_replay(), empty_replay()], ids=["flood", "quiet", "empty"])
def test_every_output_obeys_the_published_schema(replay: Replay) -> None:
    schema = json.loads((ROOT / "docs" / "replay.schema.json").read_text())
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate(document(replay))


def test_the_published_schema_is_the_one_of_the_types() -> None:
    assert (ROOT / "docs" / "replay.schema.json").read_text() == json_schema(), "write json_schema() to docs/replay.schema.json"


def test_the_schema_refuses_what_breaks_the_contract() -> None:
    wrong = document(flood_replay())
    wrong["incidents"][0]["mode"] = "gremlins"
    wrong["firewall"]["limit"] = -1
    del wrong["traffic"]["flows"]
    errors = list(Draft202012Validator(json.loads(json_schema())).iter_errors(wrong))
    assert len(errors) == 3


def test_equal_replays_give_equal_bytes_whatever_the_order_of_counting() -> None:
    one, other = flood_replay(), flood_replay()
    turned = dict(reversed(list(other.decode_errors.items())))
    assert json_text(one) == json_text(msgspec.structs.replace(other, decode_errors=turned))


def test_infinity_and_nan_become_null() -> None:
    evidence = (Evidence("ratio", float("inf"), EvidenceKind.TRAFFIC, ""), Evidence("spread", float("nan"), EvidenceKind.TRAFFIC, ""))
    incident = msgspec.structs.replace(flood_incident(), evidence=evidence)
    found = document(msgspec.structs.replace(flood_replay(), incidents=(incident,)))
    assert found["incidents"][0]["evidence"] == {"ratio": None, "spread": None}


def test_a_path_that_is_no_utf8_can_still_be_written() -> None:
    capture = msgspec.structs.replace(flood_replay().captures[0], path="a\udcff.pcap")
    replay = msgspec.structs.replace(flood_replay(), captures=(capture,), reproduce=("netwatch", "replay", "a\udcff.pcap"))
    assert document(replay)["captures"][0]["path"] == "a\\udcff.pcap"


def test_a_dash_is_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    write_json(flood_replay(), "-")
    printed = capsys.readouterr()
    assert json.loads(printed.out)["schema_version"] == 1
    assert printed.err == ""


def test_a_file_that_cannot_be_written_is_said_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match=r"result\.json: the JSON cannot be written there: No such file or directory"):
        write_json(flood_replay(), str(tmp_path / "missing" / "result.json"))
