"""A netwatch that writes intents until it is killed: each is acknowledged on standard output once it is durable."""

import sys
from pathlib import Path

from netwatch.model.change import EventType, PlanState
from netwatch.store.journal import Journal
from tests.store.records import event, plan, receipt


def main() -> None:
    first = int(sys.argv[2])
    with Journal.open(Path(sys.argv[1]), now_s=float(first)) as journal:
        for number in range(first, first + 100_000):
            one = plan(number)
            journal.intend(one)
            sys.stdout.write(f"{number}\n")
            sys.stdout.flush()
            journal.record(event(EventType.CHANGE_APPLIED, one, state=PlanState.APPLIED, receipt=receipt(one)))


if __name__ == "__main__":
    main()
