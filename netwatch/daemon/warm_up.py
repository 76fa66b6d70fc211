"""Has every kernel that a live firewall will need called once before the first packet is read.

A kernel is loaded from the cache, or compiled, at its first call: milliseconds to a minute, in which a ring would be full and a plan would
wait for its rehearsal. A made-up handshake and a fragment go the whole way, and a plan is rehearsed on them.
"""

import struct

import numpy as np

from netwatch.collect.census import TableCount
from netwatch.config import ReplaySettings
from netwatch.decode import Decoder
from netwatch.decode.ctnetlink import EntryDecoder
from netwatch.model.entry import ENTRY
from netwatch.model.idle_age import possible_timeouts
from netwatch.model.packet import FRAME, FrameBlock, TcpFlag
from netwatch.model.plan import Admission, Eviction
from netwatch.model.service import Service
from netwatch.model.session import Timeouts
from netwatch.pipeline import Pipeline
from netwatch.track.clock import SECOND_NS
from netwatch.track.lively import lively_hashes, silent_hashes

LINKTYPE_RAW = 101
MORE_FRAGMENTS = 0x2000  # RFC 791
CLIENT, SERVER = bytes([192, 0, 2, 1]), bytes([192, 0, 2, 25])
BEGIN_NS = 1_700_000_000 * SECOND_NS
EVERYTHING = Admission(
    name="all at once",
    drop_prefixes=("198.51.100.0/24",),
    meter_per_s=1000.0,
    meter_burst=1000,
    connection_limit=1000,
    evict=Eviction(states=("SYN_SENT",), min_idle_s=1.0),
)


def warm_up(settings: ReplaySettings) -> None:
    """Call every kernel once."""
    sure = Service("warm-up", "192.0.2.25", 25, "tcp")
    pipeline, decoder = Pipeline(settings, rehearses=True, hash_seed=1), Decoder(hash_seed=1)
    for second in range(3):
        pipeline.feed(decoder.decode(_traffic(BEGIN_NS + second * SECOND_NS, 40_000 + second)))
        pipeline.tick(BEGIN_NS + (second + 1) * SECOND_NS)
    if pipeline.recent is not None:
        admission = Admission(name="synproxy", synproxy=(sure,), meter_services=(sure,), connection_limit_services=(sure,))
        for tried in (EVERYTHING, admission):
            pipeline.recent.rehearse(tried, pipeline.directory, onset_s=BEGIN_NS / SECOND_NS + 1)
    pipeline.admit(EVERYTHING)
    pipeline.tick(BEGIN_NS + 6 * SECOND_NS)
    pipeline.line.sessions.prepare()
    lively_hashes(pipeline.line.sessions, BEGIN_NS, 1)
    silent_hashes(pipeline.line.sessions, 1)
    EntryDecoder(hash_seed=1).decode(np.zeros(16, np.uint8))
    TableCount(possible_timeouts([Timeouts()]), classify=pipeline.directory.classify).add(np.zeros(1, ENTRY))


def _traffic(at_ns: int, port: int) -> FrameBlock:
    """A handshake, and a fragment whose others never come."""
    steps = (
        (CLIENT, SERVER, port, 25, TcpFlag.SYN, 100, 0),
        (SERVER, CLIENT, 25, port, TcpFlag.SYN | TcpFlag.ACK, 900, 101),
        (CLIENT, SERVER, port, 25, TcpFlag.ACK, 101, 901),
    )
    datagrams = [*(_segment(*step) for step in steps), _fragment()]
    frames = np.zeros(len(datagrams), FRAME)
    frames["captured_len"] = frames["wire_len"] = [len(one) for one in datagrams]
    frames["offset"] = np.cumsum([0, *(len(one) for one in datagrams[:-1])])
    frames["ts_ns"] = at_ns + np.arange(len(datagrams))
    frames["link_type"] = LINKTYPE_RAW
    return FrameBlock(np.frombuffer(b"".join(datagrams), np.uint8), frames)


def _fragment() -> bytes:
    """The first of a UDP datagram."""
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 36, 1, MORE_FRAGMENTS, 64, 17, 0, CLIENT, SERVER)
    return ip + struct.pack(">HHHH8x", 40_000, 53, 1000, 0)


def _segment(source: bytes, destination: bytes, sport: int, dport: int, flags: int, seq: int, ack: int) -> bytes:
    """An IPv4 datagram with a bare TCP header; nothing here looks at checksums."""
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 40, 0, 0, 64, 6, 0, source, destination)
    return ip + struct.pack(">HHIIBBHHH", sport, dport, seq, ack, 0x50, flags, 65_535, 0, 0)
