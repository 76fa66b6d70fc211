"""Keeps the parts of the event loop running: one that fails is started again, ever later, and said; the others do not notice."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from netwatch.errors import SinkError
from netwatch.model.event import ErrorTold

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 60.0
LASTED_S = 60.0
"""What ran for so long before it failed is started again soon."""


async def kept_running(part: str, run: Callable[[], Awaitable[None]], tell: Callable[[ErrorTold], None]) -> None:
    """Run a part until cancelled; one that cannot work at all (``SinkError``) is given up."""
    pause_s = FIRST_PAUSE_S
    while True:
        began_s = time.monotonic()
        try:
            await run()
            reason = "ended by itself"
        except SinkError as error:
            tell(ErrorTold(time_s=time.time(), part=part, text=f"{error}; it is given up until netwatch is started again"))
            return
        except Exception as error:  # noqa: BLE001  (whatever it was: said, and started again)
            reason = f"{type(error).__name__}: {error}"
        pause_s = FIRST_PAUSE_S if time.monotonic() - began_s >= LASTED_S else min(2 * pause_s, LONGEST_PAUSE_S)
        tell(ErrorTold(time_s=time.time(), part=part, text=f"{reason}; started again in {pause_s:.0f} s"))
        await asyncio.sleep(pause_s)
