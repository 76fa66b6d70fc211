"""Edge in: bytes from capture files, each whole frame with its place and time."""

from netwatch.collect.capture import Capture, open_capture, open_captures
from netwatch.collect.expand import expand

__all__ = ["Capture", "expand", "open_capture", "open_captures"]
