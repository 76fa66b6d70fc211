"""The TOML files under ``rules/``: detectors' thresholds, playbooks and firewall profiles, each read into its typed settings.

In a checkout they lie beside the package, in an installation inside it; both are found from any working folder.
"""

from functools import cache
from pathlib import Path
from typing import TypeVar

import msgspec

from netwatch.detect.catalogue import CATALOGUE
from netwatch.detect.detector import DetectorSettings
from netwatch.errors import ConfigError, UsageError
from netwatch.mitigate.ladder import Rung, rungs
from netwatch.mitigate.playbook import Playbook
from netwatch.model.incident import Mode
from netwatch.model.session import FirewallProfile

PACKAGE = Path(__file__).resolve().parent

Settings = TypeVar("Settings")


@cache
def rules_folder() -> Path:
    """The folder ``rules/`` of this installation.

    Raises:
        ConfigError: the installation is incomplete.
    """
    for folder in (PACKAGE / "data" / "rules", PACKAGE.parent / "rules"):
        if (folder / "firewalls").is_dir():
            return folder
    raise ConfigError(f"{PACKAGE}: the rules that belong to netwatch are missing; install it again")


def load(settings_type: type[Settings], path: Path) -> Settings:
    """Read one TOML file into its type.

    Raises:
        ConfigError: unreadable, not TOML, or a key that is unknown, missing or of the wrong type; the text names file and key.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        return msgspec.toml.decode(text, type=settings_type, strict=True)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {plain_words(error)}") from error


def plain_words(error: Exception) -> str:
    """msgspec's message with its JSON path ``$.a.b`` put in the words of a TOML file."""
    message, separator, where = str(error).partition(" - at `$")
    return f"{where.strip('.`')}: {message}" if separator else message


def names(kind: str) -> list[str]:
    """The names of what there is of a kind (``firewalls``, ``playbooks``, ``detectors``), sorted."""
    return sorted(path.stem for path in (rules_folder() / kind).glob("*.toml"))


def find(kind: str, name: str) -> Path:
    """The file of a named rule.

    Raises:
        UsageError: there is none; the text lists those that exist.
    """
    if name not in names(kind):
        raise UsageError(f"unknown {kind.removesuffix('s')} '{name}': there are {', '.join(names(kind))}")
    return rules_folder() / kind / f"{name}.toml"


def firewall_profile(name: str) -> FirewallProfile:
    """A known profile by name, or the user's own by the path of a TOML file.

    Raises:
        UsageError: no such profile.
        ConfigError: the file is wrong.
    """
    if name.endswith(".toml"):
        return load(FirewallProfile, Path(name))
    if name not in names("firewalls"):
        known = ", ".join(names("firewalls"))
        raise UsageError(f"unknown firewall profile '{name}': there are {known}; or give the path of a TOML file of your own")
    return load(FirewallProfile, find("firewalls", name))


def all_detector_settings() -> dict[Mode, DetectorSettings]:
    """The settings of every detector, from ``rules/detectors/<mode>.toml``."""
    return {mode: load(entry.settings, rules_folder() / "detectors" / f"{mode}.toml") for mode, entry in CATALOGUE.items()}


def all_playbooks(own: Path | None = None) -> dict[str, Playbook]:
    """Every playbook of ``rules/playbooks``, by name, and those of a folder of the user's own; his win.

    Raises:
        ConfigError: the folder is not there, or a playbook is wrong.
    """
    if own is not None and not own.is_dir():
        raise ConfigError(f"playbooks: there is no folder {own}")
    files = [*(rules_folder() / "playbooks").glob("*.toml"), *(sorted(own.glob("*.toml")) if own is not None else ())]
    return {path.stem: load(Playbook, path) for path in files}


def all_ladders() -> dict[Mode, tuple[Rung, ...]]:
    """What is tried against each mode, gentlest first.

    Raises:
        ConfigError: a ladder names a playbook that does not exist, or joins what cannot be one change.
    """
    playbooks = all_playbooks()
    return {mode: rungs(settings.ladder, playbooks) for mode, settings in all_detector_settings().items()}


def summaries() -> dict[str, list[tuple[str, str]]]:
    """Name and one-line summary of every rule, by kind; reading them checks them.

    Raises:
        ConfigError: one of them is wrong.
    """
    profiles = [firewall_profile(name) for name in names("firewalls")]
    all_ladders()
    return {
        "failure modes": [(mode.value, settings.summary) for mode, settings in all_detector_settings().items()],
        "playbooks": [(name, playbook.summary) for name, playbook in all_playbooks().items()],
        "firewall profiles": [(profile.name, profile.description) for profile in profiles],
    }
