"""From a path to the bytes of a capture: opens the file, takes off what it is compressed with, and says what is within."""

from netwatch.collect.compressed import decompressed
from netwatch.collect.recognise import HEAD_BYTES, Format, recognise, why_refused
from netwatch.collect.stream import FileStream, Stream
from netwatch.errors import CaptureError

MAX_COMPRESSIONS = 3
"""A gzip file can be made that holds itself; nobody compresses a capture four times over."""


def open_content(path: str) -> tuple[FileStream, Stream, Format]:
    """The file, its decompressed bytes and the capture format of these; ``CaptureError`` if they are no capture."""
    file = FileStream(path)
    try:
        return file, *_uncompressed(path, file)
    except CaptureError:
        file.close()
        raise


def _uncompressed(path: str, file: FileStream) -> tuple[Stream, Format]:
    stream: Stream = file
    outer: Format | None = None
    for _ in range(MAX_COMPRESSIONS + 1):
        head = stream.peek(HEAD_BYTES)
        if not head:
            raise CaptureError(f"{path}: {_why_nothing(stream, outer)}")
        form = recognise(head)
        if form is Format.UNKNOWN:
            raise CaptureError(f"{path}: {'is' if outer is None else f'is a {outer.value} file of'} {why_refused(head)}")
        if not form.is_compressed:
            return stream, form
        stream, outer = decompressed(stream, form), form
    raise CaptureError(f"{path}: is compressed more than {MAX_COMPRESSIONS} times over; unpack it first")


def _why_nothing(stream: Stream, outer: Format | None) -> str:
    """The sentence for a stream that does not hold a single byte."""
    match (stream.damage, outer):
        case ("read_error", _):
            return "cannot be read: the system reports an input/output error"
        case (None, None):
            return "is empty (0 bytes)"
        case (_, None):
            return f"cannot be read ({stream.damage})"
        case (None, Format(value=kind)):
            return f"is a {kind} file of nothing (0 bytes)"
        case ("cut_file", Format(value=kind)):
            return f"is a {kind} file that is cut before the first byte of its content; copy it again"
        case (_, Format(value=kind)):
            return f"is a {kind} file that cannot be decompressed; test it with `{kind} -t`"
    raise AssertionError(outer)
