"""Options that several commands share."""

from typing import Annotated

import typer

Captures = Annotated[
    list[str],
    typer.Argument(
        help="pcap or pcapng, also gzip, zstd or xz; several are merged by time; a folder; - for standard input.", metavar="CAPTURE"
    ),
]
Inner = Annotated[bool, typer.Option("--inner", help="Look at the innermost IP header of tunnels, not the outermost.")]
