"""The report page as text: whole, self-contained, and deaf to markup in names."""

import re
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest

from netwatch.errors import ReportError
from netwatch.export.meanings import MEANINGS
from netwatch.export.report import write_report
from netwatch.export.report.page import report_html
from netwatch.export.verdict import verdict
from netwatch.model.incident import Attribution, Evidence, EvidenceKind, Mode, Recommendation, TimelineEntry
from netwatch.model.replay import PrefixPoint, Replay, ServicePoint
from netwatch.model.service import Service
from tests.export.fakes import START_S, empty_replay, flood_incident, flood_replay, flood_series, quiet_replay

MARKUP = "\"'><script>window.owned=1</script></script><img src=x onerror=window.owned=1>&amp;{{7*7}}"
LARGEST_PAGE = 2_000_000


class Elements(HTMLParser):
    """Every element with its attributes, and the text of the page without styles and scripts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._hidden = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        self._hidden = tag if tag in ("style", "script") else self._hidden

    def handle_endtag(self, tag: str) -> None:
        self._hidden = "" if tag == self._hidden else self._hidden

    def handle_data(self, data: str) -> None:
        self.text += "" if self._hidden else data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


def hostile_replay() -> Replay:
    """The flood, with markup wherever a capture, a file name or a configuration can put text."""
    flood = flood_replay()
    evidence = (Evidence(MARKUP, 1.0, EvidenceKind.TRAFFIC, MARKUP),)
    incident = msgspec.structs.replace(
        flood_incident(),
        firewall=MARKUP,
        service=MARKUP,
        evidence=evidence,
        attribution=(Attribution("prefix", MARKUP, 0.5),),
        timeline=(TimelineEntry(START_S, MARKUP),),
        recommendation=Recommendation(MARKUP, (MARKUP,)),
    )
    points = tuple(
        msgspec.structs.replace(point, services=(ServicePoint(MARKUP, 10, 9, 1),), prefixes=(PrefixPoint(MARKUP, 5),))
        for point in flood.series
    )
    first = flood.what_if[0]
    return msgspec.structs.replace(
        flood,
        captures=(msgspec.structs.replace(flood.captures[0], path=MARKUP, link_types=(MARKUP,), errors={MARKUP: 1}),),
        incidents=(incident,),
        services=(Service(MARKUP, "192.0.2.1", 25, "tcp"),),
        series=points,
        what_if=(msgspec.structs.replace(first, result=msgspec.structs.replace(first.result, playbook=MARKUP)),),
        reproduce=("netwatch", "replay", MARKUP),
        settings={MARKUP: MARKUP},
        decode_errors={MARKUP: 1},
        firewall=msgspec.structs.replace(flood.firewall, profile=MARKUP, verdicts={MARKUP: 1}, states_at_end={MARKUP: 1}),
    )


@pytest.mark.parametrize("replay", [flood_replay(), quiet_replay(), empty_replay()], ids=["flood", "quiet", "empty"])
def test_the_page_begins_with_the_verdict(replay: Replay) -> None:
    page = Elements(report_html(replay))
    assert verdict(replay) + "." in page.text


def test_the_page_asks_nothing_of_any_network() -> None:
    page = report_html(flood_replay())
    elements = Elements(page)
    assert not re.findall(r"https?:|//[a-z]|@import|url\(", page)
    assert [attributes.get("href") for attributes in elements.all("link")] == ["data:,"]
    assert not [attributes for _, attributes in elements.found if "src" in attributes]


def test_names_with_markup_stay_text() -> None:
    elements = Elements(report_html(hostile_replay()))
    assert len(elements.all("script")) == 2
    assert not elements.all("img")
    assert not [name for _, attributes in elements.found for name in attributes if name.startswith("on")]
    assert elements.text.count(MARKUP) >= 12


def test_the_data_behind_the_charts_cannot_end_its_element() -> None:
    page = report_html(hostile_replay())
    data = page.split('id="data">', 1)[1].split("</script>", 1)[0]
    charts = msgspec.json.decode(data)["charts"]
    assert f"service-{MARKUP}" in charts


def test_only_the_page_s_own_script_may_run() -> None:
    policy = next(item["content"] for item in Elements(report_html(flood_replay())).all("meta") if "http-equiv" in item)
    assert policy is not None
    assert "default-src 'none'" in policy
    assert re.search(r"script-src 'sha256-[\w+/]{43}='", policy)
    assert "unsafe-inline" not in policy.split("script-src")[1]


def test_every_chart_shares_one_time_axis() -> None:
    page = report_html(flood_replay())
    widths = set(re.findall(r'viewBox="0 0 (\d+) 10*"', page)) - {"20"}
    assert len(widths) == 1
    assert page.count("data-chart=") == 7


def test_all_incidents_have_their_evidence_on_the_page() -> None:
    second = msgspec.structs.replace(
        flood_incident(), id="b", mode=Mode.UDP_STATE_FLOOD, service="203.0.113.53:53/udp", onset_s=START_S + 50
    )
    text = Elements(report_html(msgspec.structs.replace(flood_replay(), incidents=(flood_incident(), second)))).text
    assert "syn-flood against 203.0.113.25:25/tcp" in text
    assert "udp-state-flood against 203.0.113.53:53/udp" in text
    assert MEANINGS[Mode.UDP_STATE_FLOOD] in text


def test_no_incident_says_what_was_watched() -> None:
    text = Elements(report_html(quiet_replay())).text
    assert "12 failure modes looked for" in text
    assert "1 service watched: 203.0.113.25:25/tcp" in text


def test_a_capture_without_packets_still_has_a_page() -> None:
    elements = Elements(report_html(empty_replay()))
    assert "nothing to judge" in elements.text
    assert not elements.all("script")


def test_the_page_of_a_long_and_busy_capture_stays_below_two_megabytes() -> None:
    flood = flood_replay()
    series = tuple(
        msgspec.structs.replace(
            point,
            entries=(point.entries * 7919 + index * 104_729) % 30_000,
            new_sessions=index * 7919 % 99_991,
            dropped_full=index * 104_729 % 9973,
            services=tuple(ServicePoint(f"203.0.113.{host}:25/tcp", index * 7919 % 9973, index * 31 % 8009, 1) for host in range(16)),
            prefixes=tuple(PrefixPoint(f"10.{host}.0.0/24", index * (host + 3) * 31 % 4001) for host in range(12)),
        )
        for index, point in enumerate(flood_series(seconds=3600))
    )
    what_if = tuple(msgspec.structs.replace(flood.what_if[0], series=series) for _ in range(5))
    page = report_html(msgspec.structs.replace(flood, series=series, what_if=what_if))
    assert 500_000 < len(page.encode()) < LARGEST_PAGE


def test_equal_replays_give_equal_pages() -> None:
    assert report_html(flood_replay()) == report_html(flood_replay())


def test_the_command_is_quoted_for_a_shell(tmp_path: Path) -> None:
    capture = tmp_path / "two words.pcap"
    capture.write_bytes(b"abc")
    flood = flood_replay()
    replay = msgspec.structs.replace(
        flood, captures=(msgspec.structs.replace(flood.captures[0], path=str(capture)),), reproduce=("netwatch", "replay", "two words.pcap")
    )
    text = Elements(report_html(replay)).text
    assert "netwatch replay 'two words.pcap'" in text
    assert "sha256 ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" in text


def test_every_mode_has_a_meaning() -> None:
    assert set(MEANINGS) == set(Mode)


def test_a_page_that_cannot_be_written_is_said_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match=r"the report cannot be written there: Is a directory"):
        write_report(flood_replay(), tmp_path)
