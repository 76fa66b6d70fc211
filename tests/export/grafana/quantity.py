"""A number with its unit, as Grafana writes it (its ``@grafana/data``, value formats): three digits, scaled where the unit has a scale."""

SECONDS = (
    (31_557_600, "years"),
    (604_800, "weeks"),
    (86_400, "days"),
    (3_600, "hours"),
    (60, "mins"),
    (1, "s"),
    (1e-3, "ms"),
    (1e-6, "µs"),
)
SHORT = {"pps": "p/s", "Bps": "B/s"}


def quantity(value: float, unit: str) -> str:
    """For a person."""
    if unit.startswith("suffix:"):
        return f"{_digits(value)} {unit.removeprefix('suffix:').strip()}"
    match unit:
        case "percentunit":
            return f"{_digits(value * 100)}%"
        case "s":
            return _seconds(value)
        case "bytes":
            return _scaled(value, 1024, ("B", "KiB", "MiB", "GiB", "TiB"))
        case "pps" | "Bps":
            name = SHORT[unit]
            return _scaled(value, 1000, (name, f"k{name}", f"M{name}", f"G{name}"))
        case "none":
            return _digits(value)
        case _:
            raise AssertionError(f"Grafana's unit {unit} is not known here")


def _seconds(value: float) -> str:
    for size, name in SECONDS:
        if abs(value) >= size:
            return f"{_digits(value / size)} {name}"
    return "0 s" if value == 0 else f"{_digits(value / 1e-9)} ns"


def _scaled(value: float, base: int, names: tuple[str, ...]) -> str:
    place = 0
    while abs(value) >= base and place < len(names) - 1:
        value, place = value / base, place + 1
    return f"{_digits(value)} {names[place]}"


def _digits(value: float) -> str:
    if value == 0 or abs(value) >= 1000:
        return f"{value:.0f}"
    return f"{value:.3g}"
