"""What is compared: netwatch, programs that make flows of a capture, and the yardstick in C.

Each peer is asked for what it does best: to read the file at full speed and write its own flow records. What it cannot read whole in
reasonable time is given the first part of the same capture.
"""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
SLOW_PEER_PACKETS = 500_000
COLLECTOR = "127.0.0.1:9995"
"""Where softflowd sends its records: nobody listens, which costs it less than a collector would."""

NFSTREAM = "import sys, nfstream; print(sum(1 for _ in nfstream.NFStreamer(source=sys.argv[1], n_dissections=0)))"


@dataclass(frozen=True)
class Program:
    """A command that reads a capture."""

    name: str
    does: str
    command: tuple[str, ...]
    capture: Path
    packets: int


def netwatch_command() -> str:
    """The ``netwatch`` beside this Python."""
    return str(Path(sys.executable).with_name("netwatch"))


def built_yardstick(folder: Path) -> Path | None:
    """The C program, compiled into ``folder``; ``None`` where there is no compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        return None
    program = folder / "yardstick"
    subprocess.run([compiler, "-O2", "-o", str(program), str(HERE / "yardstick.c")], check=True)
    return program


def netwatch(capture: Path, packets: int) -> Iterator[Program]:
    command = netwatch_command()
    yield Program(
        "netwatch replay",
        "flows, session table, windows, incidents",
        (command, "replay", str(capture), "--json", "/dev/null"),
        capture,
        packets,
    )
    yield Program("netwatch flows", "flow records, CSV", (command, "flows", str(capture), "--output", "flows.csv"), capture, packets)


def peers(capture: Path, packets: int, part: Path, nfstream_python: str | None) -> Iterator[Program]:
    """The peers that are installed; ``part`` is the capture's beginning, for the slow one."""
    known = {
        "nfpcapd": ("flow records, nfdump's file", ("-r", str(capture), "-l", ".")),
        "softflowd": ("flow records, NetFlow 9 over UDP", ("-r", str(capture), "-m", "1000000", "-v", "9", "-n", COLLECTOR)),
        "argus": ("flow records, argus' file", ("-r", str(capture), "-w", "argus.out")),
    }
    for name, (does, arguments) in known.items():
        if (path := shutil.which(name)) or (path := shutil.which(name, path="/usr/sbin:/usr/local/sbin")):
            yield Program(name, does, (path, *arguments), capture, packets)
        else:
            sys.stderr.write(f"{name}: left out: not installed\n")
    if nfstream_python:
        yield Program("nfstream", "flows as Python objects", (nfstream_python, "-c", NFSTREAM, str(part)), part, SLOW_PEER_PACKETS)
