"""Where a zstd stream's frames end (RFC 8878 section 3.1): the library does not say that its input stopped within one.

Only frame and block headers are looked at; the content of blocks is passed over unread.
"""

import struct
from enum import Enum, auto

FRAME_MAGIC = 0xFD2FB528
SKIPPABLE_MAGIC, SKIPPABLE_MASK = 0x184D2A50, 0xFFFFFFF0
RLE_BLOCK = 1
DICTIONARY_ID_BYTES = (0, 1, 2, 4)
CONTENT_SIZE_BYTES = (0, 2, 4, 8)


class Part(Enum):
    """What the next bytes are."""

    MAGIC = auto()
    SKIPPABLE_SIZE = auto()
    DESCRIPTOR = auto()
    FRAME_HEADER = auto()
    BLOCK_HEADER = auto()
    CHECKSUM = auto()


SIZE = {Part.MAGIC: 4, Part.SKIPPABLE_SIZE: 4, Part.DESCRIPTOR: 1, Part.BLOCK_HEADER: 3, Part.CHECKSUM: 4}


class FrameTracker:
    """Follows the structure of a zstd stream that is shown to it piece by piece."""

    def __init__(self) -> None:
        self._part = Part.MAGIC
        self._held = b""
        self._wanted = SIZE[Part.MAGIC]
        self._skip = 0
        self._checksum = False
        self._last_block = False

    @property
    def between_frames(self) -> bool:
        """Whether the stream may end here."""
        return self._part is Part.MAGIC and not self._held and not self._skip

    def accept(self, piece: bytes) -> int:
        """Follow ``piece``; return how many of its bytes belong to frames. Fewer than all: what comes then is no frame."""
        at = 0
        while at < len(piece):
            if self._skip:
                passed = min(self._skip, len(piece) - at)
                self._skip -= passed
                at += passed
                continue
            taken = piece[at : at + self._wanted - len(self._held)]
            start = at - len(self._held)
            self._held += taken
            at += len(taken)
            if len(self._held) == self._wanted:
                header, self._held = self._held, b""
                if not self._follow(header):
                    return max(0, start)
        return at

    def _expect(self, part: Part, size: int = 0) -> None:
        self._part, self._wanted = part, size or SIZE[part]

    def _follow(self, header: bytes) -> bool:
        """Take one complete header and say whether it is one."""
        match self._part:
            case Part.MAGIC:
                (magic,) = struct.unpack("<I", header)
                if magic == FRAME_MAGIC:
                    self._expect(Part.DESCRIPTOR)
                elif magic & SKIPPABLE_MASK == SKIPPABLE_MAGIC:
                    self._expect(Part.SKIPPABLE_SIZE)
                else:
                    return False
            case Part.SKIPPABLE_SIZE:
                (self._skip,) = struct.unpack("<I", header)
                self._expect(Part.MAGIC)
            case Part.DESCRIPTOR:
                self._begin_frame(header[0])
            case Part.FRAME_HEADER:
                self._expect(Part.BLOCK_HEADER)
            case Part.BLOCK_HEADER:
                self._begin_block(int.from_bytes(header, "little"))
            case Part.CHECKSUM:
                self._expect(Part.MAGIC)
        return True

    def _begin_frame(self, descriptor: int) -> None:
        single_segment = bool(descriptor & 0x20)
        self._checksum = bool(descriptor & 0x04)
        content_size = CONTENT_SIZE_BYTES[descriptor >> 6] or int(single_segment)
        rest = int(not single_segment) + DICTIONARY_ID_BYTES[descriptor & 3] + content_size
        self._expect(Part.FRAME_HEADER, rest)

    def _begin_block(self, header: int) -> None:
        self._skip = 1 if header >> 1 & 3 == RLE_BLOCK else header >> 3
        if not header & 1:
            self._expect(Part.BLOCK_HEADER)
        elif self._checksum:
            self._expect(Part.CHECKSUM)
        else:
            self._expect(Part.MAGIC)
