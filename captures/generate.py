"""Writes the captures of the scenarios: ``python -m captures.generate [--out FOLDER] [NAME...]``.

Equal packets each time, from fixed seeds; equal files with the same release of zstd.
"""

import argparse
from pathlib import Path

import zstandard

from captures.generator.scenarios import SCENARIOS

FOLDER = Path(__file__).resolve().parent
LEVEL = 19
SUFFIX = ".pcap.zst"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="such as syn-flood/attack; default: all")
    parser.add_argument("--out", type=Path, default=FOLDER, metavar="FOLDER", help="default: beside this file")
    arguments = parser.parse_args()
    if unknown := sorted(set(arguments.names) - set(SCENARIOS)):
        parser.error(f"no such capture: {', '.join(unknown)}; there are {', '.join(SCENARIOS)}")
    for name in arguments.names or SCENARIOS:
        packed = zstandard.ZstdCompressor(level=LEVEL).compress(SCENARIOS[name]())
        path = arguments.out / f"{name}{SUFFIX}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(packed)
        print(f"{path}: {len(packed):,} bytes")


if __name__ == "__main__":
    main()
