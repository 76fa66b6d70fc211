"""Edge in: bytes from capture files, each whole frame with its place and time."""
