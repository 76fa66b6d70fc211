"""A progress bar on stderr while captures are read; nothing when stderr is no terminal."""

import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from netwatch.collect import Capture
from netwatch.jit import tell_of_compiling

REFRESH_S = 0.2
COMPILING = "compiling its kernels for this machine; only the first run does, for about a minute"


def say(sentence: str) -> None:
    """One sentence to the person at the terminal, beside the result."""
    print(f"netwatch: {sentence}", file=sys.stderr)


@contextmanager
def shown(captures: Sequence[Capture]) -> Iterator[None]:
    """Show bytes read, packets per second and the time left of the captures until the block ends."""
    tell_of_compiling(lambda: say(COMPILING))
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    sizes = [capture.bytes_total for capture in captures]
    total = sum(size for size in sizes if size is not None) if None not in sizes else None
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    task = progress.add_task("reading", total=total, rate="")
    done = threading.Event()

    def follow() -> None:
        packets_before = 0
        while not done.wait(REFRESH_S):
            packets = sum(capture.packets for capture in captures)
            rate = f"{(packets - packets_before) / REFRESH_S:,.0f} packets/s"
            packets_before = packets
            progress.update(task, completed=sum(capture.bytes_read for capture in captures), rate=rate)

    with progress:
        follower = threading.Thread(target=follow, name="progress", daemon=True)
        follower.start()
        try:
            yield
        finally:
            done.set()
            follower.join()
