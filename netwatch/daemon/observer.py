"""What the kernel says of its state table: polled each second, walked over now and then, in two threads, since a walk may take seconds.

A poll costs a millisecond and tells how many entries there are. A walk (survey) tells of which kinds, whose, how long idle; over a million
entries it takes two seconds of a processor, so it is done each half minute, more often while something is wrong, and never more than a
twentieth of the time.
"""

from collections.abc import Callable

from netwatch.collect.firewall_state import FirewallPoll
from netwatch.collect.table_dump import survey_table
from netwatch.daemon.engine import Engine
from netwatch.daemon.worker import Worker
from netwatch.decode.ctnetlink import EntryDecoder
from netwatch.kernel.timeouts import timeouts
from netwatch.model.event import ErrorTold
from netwatch.model.idle_age import possible_timeouts
from netwatch.model.session import Timeouts

SUSPICIOUS_FILL_RATIO = 0.4
SUSPICIOUS_EVERY_S = 5.0
LEAST_REST = 20.0
"""Times as long as the last survey took."""


class Observer:
    """Polls and surveys of one firewall's table."""

    def __init__(
        self,
        engine: Engine,
        *,
        namespace: str | None,
        poll_s: float,
        survey_s: float,
        tell: Callable[[ErrorTold], None],
    ) -> None:
        """``tell`` is called from the threads and must not wait."""
        self.alarmed = False  # an incident is open
        self._engine = engine
        self._namespace = namespace
        self._survey_s = survey_s
        self._survey_took_s = 0.0
        self._poll: FirewallPoll | None = None
        self._entries = 0
        self.poller = Worker("state", self._polled, lambda: poll_s, tell)
        self.surveyor = Worker("survey", self._surveyed, self._survey_every_s, tell)

    def start(self) -> None:
        self.poller.start()
        self.surveyor.start()

    def stop(self) -> None:
        self.poller.stop()
        self.surveyor.stop()

    def _polled(self) -> None:
        if self._poll is None:
            self._poll = FirewallPoll(self._namespace)
        try:
            state = self._poll.poll()
        except BaseException:
            self._poll.close()
            self._poll = None  # the namespace may be another one by the next time
            raise
        self._engine.table.polled(state)
        if suspicious(state.entries, state.limit) and not suspicious(self._entries, state.limit):
            self.surveyor.hurry()
        self._entries = state.entries

    def _survey_every_s(self) -> float:
        state = self._engine.table.newest
        wrong = self.alarmed or (state is not None and suspicious(state.entries, state.limit))
        return max(SUSPICIOUS_EVERY_S if wrong else self._survey_s, LEAST_REST * self._survey_took_s)

    def _surveyed(self) -> None:
        directory = self._engine.call(lambda pipeline: pipeline.directory).result(self._survey_s)
        possible = possible_timeouts([timeouts(self._namespace), Timeouts()])
        survey = survey_table(
            EntryDecoder(hash_seed=self._engine.seed),
            possible,
            namespace=self._namespace,
            classify=directory.classify,
            groups=directory.capacity + 1,
        )
        self._survey_took_s = survey.duration_s
        self._engine.table.surveyed(survey)


def suspicious(entries: int, limit: int) -> bool:
    """Full enough that it matters what the table is full of."""
    return entries >= SUSPICIOUS_FILL_RATIO * limit > 0
