"""The compiled trackers against their slow twin, on sequences that hypothesis makes up: every verdict, reason, state and count."""

from random import Random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from netwatch.model.packet import PacketBlock
from netwatch.model.session import FirewallProfile, SessionState, Timeouts
from netwatch.model.tracked import TRACKED
from netwatch.track.session_table import SessionTable
from tests.builders import as_block
from tests.track.made_up import datagrams, exchange, segments
from tests.track.slow_tracker import SlowTracker

CLIENT = "10.0.0.1"
SOURCES = st.randoms(use_true_random=False)

PROFILES = (
    FirewallProfile(name="loose", description="", lagging_collection=False),
    FirewallProfile(name="strict", description="", lagging_collection=False, strict=True, max_retrans=1),
    FirewallProfile(
        name="other",
        description="",
        lagging_collection=False,
        window_tracking=False,
        timeouts=Timeouts(established_s=200.0, unacknowledged_s=50.0, max_retrans_s=40.0, syn_sent_s=5.0, udp_stream_s=20.0),
    ),
)


def compare(block: PacketBlock, profile: FirewallProfile, pieces: int) -> None:
    """Judge the same packets with both and compare everything that can be seen."""
    twin, table = SlowTracker(profile), SessionTable(profile)
    expected = [twin.judge(packet) for packet in block.packets]
    tracked = np.zeros(len(block.packets), TRACKED)
    for part in np.array_split(np.arange(len(tracked)), pieces):
        span = slice(part[0], part[-1] + 1) if len(part) else slice(0, 0)
        table.track(block.packets[span], block.quoted, tracked[span])
    assert list(zip(tracked["verdict"], tracked["invalid"], strict=True)) == expected
    counts = table.counts(twin.now_ns).all
    by_state = {state.name: counts.by_state[state] for state in SessionState if counts.by_state[state]}
    assert by_state == twin.states()
    assert counts.entries == len(twin.sessions)
    assert counts.unreplied == sum(not session.seen_reply for session in twin.sessions.values())
    assert counts.assured == sum(session.assured for session in twin.sessions.values())


@given(SOURCES, st.sampled_from(PROFILES), st.integers(1, 3))
@settings(max_examples=100, deadline=None)
def test_strange_segments_are_judged_as_the_twin_judges_them(random: Random, profile: FirewallProfile, pieces: int) -> None:
    compare(as_block(segments(random, CLIENT)), profile, pieces)


@given(SOURCES, st.sampled_from(PROFILES))
@settings(max_examples=100, deadline=None)
def test_connections_with_strays_are_judged_as_the_twin_judges_them(random: Random, profile: FirewallProfile) -> None:
    compare(as_block(exchange(random, CLIENT)), profile, 1)


@given(SOURCES, st.sampled_from(PROFILES))
@settings(max_examples=60, deadline=None)
def test_datagrams_are_judged_as_the_twin_judges_them(random: Random, profile: FirewallProfile) -> None:
    compare(as_block(datagrams(random, CLIENT)), profile, 1)
