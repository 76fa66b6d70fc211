"""Units of the schema as Grafana knows them; what it does not know is written behind the number."""

GRAFANA_UNITS = {
    "": "none",
    "1": "percentunit",
    "s": "s",
    "s/s": "percentunit",  # seconds of processor time a second
    "B": "bytes",
    "B/s": "Bps",
    "packets/s": "pps",
    "incidents": "none",  # the panel's title says what it counts
    "mitigations": "none",
}


def grafana_unit(unit: str) -> str:
    """``entries/s`` becomes ``suffix: entries/s``."""
    return GRAFANA_UNITS.get(unit, f"suffix: {unit}")
