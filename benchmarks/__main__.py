"""``python -m benchmarks``: netwatch and its peers on the same capture in the same run.

::

    python -m benchmarks                          makes the capture, compares, prints the table
    python -m benchmarks --write                  and puts it into benchmarks/README.md
    python -m benchmarks --capture F --packets N  on a capture of your own with N packets
    python -m benchmarks --linearity              netwatch replay on 1, 2, 5, 10 and 20 million packets
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.measure import compare
from benchmarks.programs import SLOW_PEER_PACKETS, Program, built_yardstick, netwatch, peers
from benchmarks.report import comparison, linearity, put_into_readme

STEPS = (1_000_000, 2_000_000, 5_000_000, 10_000_000, 20_000_000)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--packets", type=int, default=5_000_000)
    parser.add_argument("--capture", type=Path, help="instead of a generated one; classic pcap, for the C yardstick to read it")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--nfstream-python", metavar="PYTHON", help="an interpreter that has nfstream")
    parser.add_argument("--linearity", action="store_true", help="time by the number of packets instead of peers")
    parser.add_argument("--steps", type=int, nargs="+", default=STEPS, metavar="PACKETS")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="programs to compare, by the name in the table")
    parser.add_argument("--write", action="store_true", help="put the table into benchmarks/README.md")
    return parser.parse_args()


def make(capture: Path, packets: int) -> None:
    """Make a capture in a process of its own: a program's peak memory begins with that of whoever starts it, so this one stays small."""
    sys.stderr.write(f"making a capture of {packets:,} packets\n")
    subprocess.run([sys.executable, "-m", "benchmarks.make_capture", str(capture), "--packets", str(packets)], check=True)


def against_peers(chosen: argparse.Namespace, folder: Path) -> str:
    capture, part = chosen.capture or folder / "capture.pcap", folder / "part.pcap"
    if chosen.capture is None:
        make(capture, chosen.packets)
    if chosen.nfstream_python:
        make(part, SLOW_PEER_PACKETS)
    programs = [*netwatch(capture.resolve(), chosen.packets), *peers(capture.resolve(), chosen.packets, part, chosen.nfstream_python)]
    if yardstick := built_yardstick(folder):
        programs.append(
            Program("C yardstick", "flows in memory, nothing else", (str(yardstick), str(capture.resolve())), capture, chosen.packets)
        )
    if chosen.only:
        programs = [program for program in programs if program.name in chosen.only]
    return comparison(compare(programs, chosen.rounds, folder), chosen.rounds)


def by_packets(chosen: argparse.Namespace, folder: Path) -> str:
    programs = []
    for packets in chosen.steps:
        capture = folder / f"{packets}.pcap"
        make(capture, packets)
        replay = next(netwatch(capture, packets))
        programs.append(Program(f"{replay.name} {packets}", replay.does, replay.command, capture, packets))
    return linearity(compare(programs, chosen.rounds, folder))


def main() -> None:
    chosen = arguments()
    with tempfile.TemporaryDirectory(prefix="netwatch-benchmark-") as name:
        section, text = ("linearity", by_packets(chosen, Path(name))) if chosen.linearity else ("peers", against_peers(chosen, Path(name)))
    print(text)
    if chosen.write:
        put_into_readme(section, text)


if __name__ == "__main__":
    main()
