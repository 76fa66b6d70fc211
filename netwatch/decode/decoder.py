"""The decoder: blocks of frames in, blocks of packet rows out, with what could not be decoded counted by reason."""

import numpy as np

from netwatch.decode.kernel import COUNTS, decode_frames
from netwatch.model.buffers import Buffers
from netwatch.model.packet import PACKET, QUOTED, DecodeStatus, FrameBlock, PacketBlock, TrafficCounts
from netwatch.model.tuple_hash import FIXED_SEED

NO_ERRORS = frozenset({DecodeStatus.OK, DecodeStatus.NOT_IP})


class Decoder:
    """Decodes one capture or one interface; it keeps counts, and no other state from block to block.

    ``inner`` follows tunnels to the innermost IP header. ``hash_seed`` keys the hash of 5-tuples: a live process draws it at random, so
    that nobody can choose addresses that collide.
    """

    def __init__(self, *, inner: bool = False, hash_seed: int = FIXED_SEED) -> None:
        self.inner = inner
        self._seed = np.uint64(hash_seed)
        self._counts = np.zeros(COUNTS, np.int64)
        self._statuses = np.zeros(len(DecodeStatus), np.int64)
        self._spare = np.zeros(1, PACKET)
        self._packets, self._quoted = Buffers(), Buffers()

    def decode(self, block: FrameBlock) -> PacketBlock:
        """Decode every frame of a block into a row of its own, in order. The result holds no reference to the block's bytes."""
        # One kernel is compiled for each kind of array: read-only views make all sources alike, a file map as well as a ring.
        data, frames = np.ascontiguousarray(block.data).view(), np.ascontiguousarray(block.frames).view()
        data.flags.writeable = frames.flags.writeable = False
        packets, quoted = self._packets.rows(len(frames), PACKET), self._quoted.rows(len(frames), QUOTED)
        quotes = decode_frames(data, frames, packets, quoted, self._spare, self._counts, self._statuses, self.inner, self._seed)
        return PacketBlock(packets, quoted[:quotes].copy())

    @property
    def traffic(self) -> TrafficCounts:
        """What was decoded so far; with ``inner`` by the innermost header."""
        return TrafficCounts(*(int(count) for count in self._counts))

    @property
    def errors(self) -> dict[str, int]:
        """Packets that could not be decoded further, by reason. Packets that are not IP are no error."""
        return {
            status.name.lower(): int(self._statuses[status])
            for status in DecodeStatus
            if status not in NO_ERRORS and self._statuses[status]
        }
