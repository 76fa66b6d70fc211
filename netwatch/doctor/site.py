"""The configuration: whether what it names is there and can be used."""

import os
import shutil
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from netwatch.collect.interface import find_interface
from netwatch.config import Config
from netwatch.doctor.check import Check, failed, ok, warning
from netwatch.errors import NetwatchError
from netwatch.kernel.namespace import NAMED, entered
from netwatch.model.service import Service

ROOM_BYTES = 256 << 20
"""For the journal, its log and the spools of sinks."""

ANSWERS_WITHIN_S = 1.5
"""A lost SYN is repeated after one second."""

ASKED_AT_ONCE = 16


def checks(config: Config) -> Iterator[Check]:
    yield _state_dir(Path(config.state_dir))
    yield from _interfaces(config)
    yield from _services(config)
    yield from _answers(config)
    yield from _secrets(config)


def _state_dir(folder: Path) -> Check:
    there = folder
    while not there.exists():
        there = there.parent
    if not (there.is_dir() and os.access(there, os.W_OK | os.X_OK)):
        return failed(
            "state_dir",
            f"{folder} cannot be written by this user",
            why="no change is made without a journal entry",
            advice="run doctor as netwatch's user, or correct state_dir",
        )
    free = shutil.disk_usage(there).free
    if free < ROOM_BYTES:
        return warning(
            "state_dir",
            f"{folder}: {free / 2**20:,.0f} MiB free",
            why="on a full disk the journal cannot be written, and then no change is made",
            advice=f"keep {ROOM_BYTES >> 20} MiB free",
        )
    return ok("state_dir", f"{folder}: {free / 2**30:,.1f} GiB free")


def _interfaces(config: Config) -> Iterator[Check]:
    if not config.capture:
        yield warning(
            "interfaces", "no [[capture]] is configured", why="without packets no traffic is seen", advice="name the firewall's links"
        )
    for entry in config.capture:
        name = f"interface {entry.interface}"
        try:
            found = find_interface(entry.interface, config.firewall.namespace)
        except NetwatchError as error:
            yield failed(name, str(error), why="its packets are not seen", advice="correct capture.interface or firewall.namespace")
            continue
        if found is None:
            yield failed(name, "there is none of that name", why="its packets are not seen", advice="`ip link` shows the names")
        elif not found.is_up:
            yield failed(name, "it is down", why="its packets are not seen", advice=f"ip link set {entry.interface} up")
        else:
            header = "Ethernet" if found.has_ethernet else "no Ethernet header"
            yield ok(name, f"up, {header}; segments joined by GRO count as one packet, for netwatch as for the firewall")


def _services(config: Config) -> Iterator[Check]:
    if not config.service:
        yield ok("services", "none named: learned from the traffic")
    for entry in config.service:
        canary = entry.canary
        if canary is None:
            yield ok(f"service {entry.name}", "judged by its traffic; with a [service.canary] its health is known without any")
        elif canary.command:
            yield _command(entry.name, canary.command[0])
        else:
            yield _source(entry.name, canary.namespace, canary.source)


def _answers(config: Config) -> Iterator[Check]:
    """A connection to each service of one address, from the firewall: a name or a port that is wrong shows before it is needed."""
    asked = [service for service in config.services if service.protocol == "tcp" and "/" not in service.address]
    with ThreadPoolExecutor(ASKED_AT_ONCE) as pool:
        yield from pool.map(lambda service: _answer(service, config.firewall.namespace), asked)


def _answer(service: Service, namespace: str | None) -> Check:
    name = f"service {service.name}: answer"
    try:
        with entered(namespace), socket.socket(socket.AF_INET6 if ":" in service.address else socket.AF_INET) as opened:
            opened.settimeout(ANSWERS_WITHIN_S)
            opened.connect((service.address, service.port))
    except (NetwatchError, OSError) as error:
        words = "nobody answers" if isinstance(error, TimeoutError) else error.strerror if isinstance(error, OSError) else str(error)
        return warning(
            name,
            f"{service.label} from this machine: {words}",
            why="a service that is not there is never seen, and never found hurt",
            advice="correct its address and port; if only this machine may not reach it, `netwatch status` says whether it is seen",
        )
    return ok(name, f"{service.label} takes connections from this machine")


def _command(name: str, program: str) -> Check:
    if shutil.which(program) is None:
        return failed(
            f"service {name}", f"the canary's command {program} is not there", why="its health is not measured", advice="install it"
        )
    return ok(f"service {name}", f"canary by {program}")


def _source(name: str, namespace: str | None, source: str | None) -> Check:
    try:
        with entered(namespace), socket.socket(socket.AF_INET6 if source and ":" in source else socket.AF_INET) as opened:
            if source is not None:
                opened.bind((source, 0))
    except (NetwatchError, OSError) as error:
        words = error.strerror if isinstance(error, OSError) else str(error)
        return failed(
            f"service {name}",
            f"a canary cannot start from {source or namespace}: {words}",
            why="its health is not measured",
            advice=f"give this machine that address, or correct service.canary; namespaces are in {NAMED}",
        )
    return ok(f"service {name}", f"canary from {source or namespace or 'this machine'}")


def _secrets(config: Config) -> Iterator[Check]:
    """Every ``…_env`` and ``…_file`` of a sink must lead to something; what it is is not shown."""
    for entry in config.sink:
        kind = str(entry.__struct_config__.tag)
        for field in entry.__struct_fields__:
            value = getattr(entry, field)
            if not isinstance(value, str):
                continue
            name = f"sink {kind}: {field}"
            if field.endswith("_env"):
                there = bool(os.environ.get(value))
                found = f"environment variable {value} is {'set' if there else 'not set here'}"
            elif field.endswith("_file"):
                there = os.access(value, os.R_OK)
                found = f"{value} {'can' if there else 'cannot'} be read"
            else:
                continue
            if there:
                yield ok(name, found)
            else:
                yield warning(
                    name,
                    found,
                    why="the sink is refused by its server without it",
                    advice="set it where the service runs (EnvironmentFile=)",
                )
