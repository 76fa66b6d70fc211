"""How long to wait before the next try: twice as long each time, at random within that, and never less than the receiver asked for.

Without the random part all that failed together would come back together.
"""

import random

FIRST_S = 0.5
LONGEST_S = 60.0

LONGEST_ASKED_S = 900.0
"""A receiver that asks for more is asked again by then: its clock may be wrong."""


def wait_s(failures: int, after_s: float | None, chance: random.Random) -> float:
    """Seconds to wait after so many failures in a row (1 or more)."""
    most = min(LONGEST_S, FIRST_S * 2.0 ** min(failures, 16))
    drawn = most * (0.5 + chance.random() / 2)
    return max(drawn, min(after_s, LONGEST_ASKED_S)) if after_s is not None else drawn
