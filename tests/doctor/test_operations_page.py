"""docs/operations.md names every key of the configuration with its default, and only checks that exist."""

import msgspec

from netwatch.config import Config
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "operations.md").read_text()
TABLE = PAGE.partition("## Configuration keys")[2]
ELSEWHERE = {"sink", "alerts", "ladder"}


def test_every_key_of_the_configuration_is_in_the_table() -> None:
    for field in msgspec.structs.fields(Config):
        if field.name in ELSEWHERE:
            continue
        default = field.default
        if isinstance(default, msgspec.Struct):
            names = default.__struct_fields__
        elif isinstance(default, tuple):
            names = field.type.__args__[0].__struct_fields__
        else:
            names = (field.name,)
        missing = [name for name in names if f"`{name}`" not in TABLE and f"{field.name}.{name}`" not in TABLE and name != "canary"]
        assert missing == [], field.name


def test_the_defaults_of_mitigation_are_the_ones_in_force() -> None:
    rows = {cells[1].strip(): cells[2].strip() for line in TABLE.splitlines() if len(cells := line.split("|")) > 3}
    for key, shown in rows.items():
        if not key.startswith("`mitigate."):
            continue
        names = [name.strip(" `").removeprefix("mitigate.") for name in key.split(",")]
        values = [getattr(Config().mitigate, name) for name in names]
        if all(isinstance(value, int | float) for value in values):
            assert [float(value) for value in shown.split(",")] == values, key
