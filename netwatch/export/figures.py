"""How numbers, times and foreign text are written for people, the same in the terminal and on the report page.

Times are UTC and 24 h: the page is read beside logs of other places. Text that came from a capture or a file name may hold escape
sequences, line breaks or direction overrides; ``printable`` makes them visible instead of letting them act.
"""

import math
import unicodedata
from datetime import UTC, datetime

THIN = "–"
"""Stands where there is no value."""

MINUTE_S, HOUR_S, DAY_S = 60.0, 3600.0, 86_400.0

_ACTING_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
"""Unicode categories that do something instead of showing something: controls, formats (bidi overrides), surrogates, line separators."""

_BINARY_UNITS = ("KiB", "MiB", "GiB", "TiB")
_DECIMAL_PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


def count(value: float) -> str:
    """``37,669``; one decimal below ten if it is not whole."""
    if not math.isfinite(value):
        return THIN
    if abs(value) < 10 and value != int(value):
        return f"{value:.1f}"
    return f"{round(value):,}"


def number(value: float) -> str:
    """Any measured value: three significant digits below a thousand, whole and grouped above."""
    if not math.isfinite(value):
        return THIN
    if value == int(value) or abs(value) >= 1000:
        return f"{round(value):,}"
    return f"{value:.3g}"


def short(value: float) -> str:
    """``37.7 k``: for axis labels, where room is scarce."""
    for size, prefix in _DECIMAL_PREFIXES:
        if abs(value) >= size:
            return f"{value / size:.3g} {prefix}"
    return f"{value:.3g}"


def percent(share: float) -> str:
    """``91 %``; one decimal near the ends, so that 99.6 % of a table is not called full nor 0.4 % of it empty."""
    value = round(share * 100, 9)  # 0.57 * 100 is a hair below 57
    if 0 < value < 10 or 99 <= value < 100:
        return f"{math.floor(value * 10) / 10:.1f} %"
    return f"{math.floor(value)} %"


def size(octets: int) -> str:
    """``483.1 MiB``."""
    if octets < 1024:
        return f"{octets} bytes"
    power = min(len(_BINARY_UNITS), (octets.bit_length() - 1) // 10)
    return f"{octets / 1024**power:.1f} {_BINARY_UNITS[power - 1]}"


def duration(seconds: float) -> str:
    """``18.9 s``, ``2 min 05 s``, ``3 h 20 min``, ``5 d 2 h``."""
    if seconds < 0.9995:
        return f"{round(seconds * 1000)} ms"
    if seconds < MINUTE_S:
        return f"{seconds:.1f} s"
    if seconds < HOUR_S:
        return f"{int(seconds // MINUTE_S)} min {int(seconds % MINUTE_S):02d} s"
    if seconds < DAY_S:
        return f"{int(seconds // HOUR_S)} h {int(seconds % HOUR_S // MINUTE_S):02d} min"
    return f"{int(seconds // DAY_S)} d {int(seconds % DAY_S // HOUR_S)} h"


def moment(at_s: float) -> datetime | None:
    """The UTC time of a stamp, or None if a damaged file gave one that no calendar holds."""
    try:
        return datetime.fromtimestamp(at_s, UTC)
    except (OverflowError, ValueError, OSError):
        return None


def clock(at_s: float, *, decimals: int = 0) -> str:
    """``15:00:21``, cut and not rounded, as logs do."""
    when = moment(at_s)
    if when is None:
        return f"{at_s:.0f} s"
    fraction = f".{when.microsecond:06d}"[: decimals + 1] if decimals else ""
    return when.strftime("%H:%M:%S") + fraction


def day(at_s: float) -> str:
    """``2024-03-07``."""
    when = moment(at_s)
    return THIN if when is None else when.strftime("%Y-%m-%d")


def span(first_s: float, last_s: float) -> str:
    """``2024-03-07 15:00:00 – 15:01:00 UTC``, with the second date only if it is another."""
    second = clock(last_s) if day(first_s) == day(last_s) else f"{day(last_s)} {clock(last_s)}"
    return f"{day(first_s)} {clock(first_s)} – {second} UTC"


def plural(value: int, noun: str, nouns: str | None = None) -> str:
    """``1 source``, ``37,669 sources``."""
    return f"{value:,} {noun if value == 1 else nouns or noun + 's'}"


def printable(text: str) -> str:
    """Foreign text on one line, with everything that would act on a terminal or reorder a page shown as its escape."""
    if text.isprintable() and text.isascii():
        return text
    return "".join(_shown(character) for character in text)


def printable_lines(text: str) -> str:
    """Like ``printable``, with its line breaks kept."""
    return "\n".join(printable(line) for line in text.splitlines())


def _shown(character: str) -> str:
    if unicodedata.category(character) not in _ACTING_CATEGORIES:
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x1_0000 else f"\\U{code:08x}"
