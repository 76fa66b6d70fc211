"""Where a zstd stream's frames and blocks end (RFC 8878 section 3.1): the library does not say that its input stopped within one.

Only frame and block headers are looked at; the content of blocks is passed over unread.
"""

import struct
from enum import Enum, auto

from netwatch.collect.recognise import ZSTD, ZSTD_SKIPPABLE_REST

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


def _may_be_magic(beginning: bytes) -> bool:
    return ZSTD.startswith(beginning) or (beginning[0] & 0xF0 == 0x50 and ZSTD_SKIPPABLE_REST.startswith(beginning[1:]))


class FrameTracker:
    """Follows the structure of a zstd stream that is shown to it piece by piece."""

    def __init__(self) -> None:
        self.is_garbage = False  # what comes next is no frame
        self._part = Part.MAGIC
        self._held = b""  # of that part
        self._wanted = SIZE[Part.MAGIC]
        self._skip = 0  # content before that part
        self._has_checksum = False

    @property
    def between_frames(self) -> bool:
        """Whether the stream may end here."""
        return self._part is Part.MAGIC and not self._held and not self._skip

    def accept(self, piece: bytes) -> int:
        """Follow ``piece`` to the end of the next content, or to garbage; return how many bytes that is."""
        at = 0
        while at < len(piece):
            if self._skip:
                passed = min(self._skip, len(piece) - at)
                self._skip -= passed
                return at + passed
            taken = piece[at : at + self._wanted - len(self._held)]
            if self._part is Part.MAGIC and not _may_be_magic(self._held + taken):
                self.is_garbage = True
                return at
            at += len(taken)
            self._held += taken
            if len(self._held) == self._wanted:
                header, self._held = self._held, b""
                self._follow(header)
        return at

    def _expect(self, part: Part, size: int | None = None) -> None:
        self._part, self._wanted = part, SIZE[part] if size is None else size

    def _follow(self, header: bytes) -> None:
        """Take one complete header and know what comes behind it."""
        match self._part:
            case Part.MAGIC:
                self._expect(Part.DESCRIPTOR if header == ZSTD else Part.SKIPPABLE_SIZE)
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

    def _begin_frame(self, descriptor: int) -> None:
        single_segment = bool(descriptor & 0x20)
        self._has_checksum = bool(descriptor & 0x04)
        content_size = CONTENT_SIZE_BYTES[descriptor >> 6] or int(single_segment)
        window = int(not single_segment)
        self._expect(Part.FRAME_HEADER, window + DICTIONARY_ID_BYTES[descriptor & 3] + content_size)

    def _begin_block(self, header: int) -> None:
        is_last, kind, size = header & 1, header >> 1 & 3, header >> 3
        self._skip = 1 if kind == RLE_BLOCK else size
        if not is_last:
            self._expect(Part.BLOCK_HEADER)
        elif self._has_checksum:
            self._expect(Part.CHECKSUM)
        else:
            self._expect(Part.MAGIC)
