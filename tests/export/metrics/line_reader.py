"""A slow reader of line protocol, character by character, after InfluxData's description of it: the judge of the writer."""

from typing import NamedTuple

FieldValue = int | float | str


class Line(NamedTuple):
    measurement: str
    tags: dict[str, str]
    fields: dict[str, FieldValue]
    time: int


def read_line(line: str) -> Line:
    """Read one line; ValueError where a server would refuse it."""
    if any(ord(letter) < 32 for letter in line):
        raise ValueError("a control character")
    head, rest = _until(line, " ")
    body, time = _body(rest)
    measurement, *tags = _split(head, ",")
    if not measurement:
        raise ValueError("no measurement")
    return Line(measurement, dict(map(_tag, tags)), dict(map(_field, body)), int(time))


def _until(text: str, end: str) -> tuple[str, str]:
    escaped = False
    for place, letter in enumerate(text):
        if escaped:
            escaped = False
        elif letter == "\\":
            escaped = True
        elif letter == end:
            return text[:place], text[place + 1 :]
    raise ValueError(f"no {end!r}")


def _split(text: str, at: str) -> list[str]:
    parts: list[str] = []
    rest = text
    while True:
        try:
            part, rest = _until(rest, at)
        except ValueError:
            return [*parts, rest]
        parts.append(part)


def _tag(text: str) -> tuple[str, str]:
    name, value = _until(text, "=")
    if not value or value.endswith("\\"):
        raise ValueError("a tag without a value, or one that ends in a backslash")
    return name, value.replace("\\,", ",").replace("\\=", "=").replace("\\ ", " ")


def _body(text: str) -> tuple[list[str], str]:
    """The fields, and the time after them; commas and spaces within quotes belong to a text."""
    fields, begin, quoted, escaped = [], 0, False, False
    for place, letter in enumerate(text):
        if escaped:
            escaped = False
        elif letter == "\\":
            escaped = True
        elif letter == '"':
            quoted = not quoted
        elif letter in ", " and not quoted:
            fields.append(text[begin:place])
            begin = place + 1
            if letter == " ":
                return fields, text[begin:]
    raise ValueError("no time")


def _field(text: str) -> tuple[str, FieldValue]:
    name, value = _until(text, "=")
    if value.startswith('"'):
        if not value.endswith('"') or len(value) < 2:
            raise ValueError("a text without its end")
        return name, value[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    if value.endswith("i"):
        number = int(value[:-1])
        if not -(2**63) <= number < 2**63:
            raise ValueError("beyond 64 bits")
        return name, number
    if value in ("nan", "inf", "-inf"):
        raise ValueError("not finite")
    return name, float(value)
