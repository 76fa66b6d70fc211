"""Bytes to columns: link layers, IP and transport headers of whole blocks at a time."""

from netwatch.decode.decoder import Decoder

__all__ = ["Decoder"]
