"""Decodes single packets: the shortest way from bytes to a row."""

import numpy as np

from netwatch.decode import Decoder
from netwatch.model.packet import DecodeStatus, PacketBlock, Rows
from tests.decode.slow_reader import Captured, frame, frame_block


def decode_block(*captured: Captured, inner: bool = False) -> PacketBlock:
    return Decoder(inner=inner).decode(frame_block(captured))


def decode_one(data: bytes, *, link_type: int = 1, wire_len: int | None = None, inner: bool = False) -> np.void:
    """Decode one packet that was captured whole unless ``wire_len`` says that it was longer."""
    rows: Rows = decode_block(frame(bytes(data), link_type=link_type, wire_len=wire_len), inner=inner).packets
    row: np.void = rows[0]
    return row


def status_of(data: bytes, *, link_type: int = 1, wire_len: int | None = None, inner: bool = False) -> DecodeStatus:
    return DecodeStatus(int(decode_one(data, link_type=link_type, wire_len=wire_len, inner=inner)["status"]))
