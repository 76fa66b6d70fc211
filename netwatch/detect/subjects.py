"""A detector's memory: one small record a service, of the services that last mattered.

A capture may name more services than anyone has; the ones that were touched least recently are forgotten first.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

MAX_SUBJECTS = 4096
"""Services remembered by one detector; what is remembered of each takes some hundred bytes."""

Record = TypeVar("Record")


class Subjects(Generic[Record]):
    """Records by subject (a service's label, or "" for the whole firewall), at most ``MAX_SUBJECTS``."""

    def __init__(self, fresh: Callable[[], Record]) -> None:
        self._fresh = fresh
        self._records: OrderedDict[str, Record] = OrderedDict()

    def __len__(self) -> int:
        return len(self._records)

    def get(self, subject: str) -> Record | None:
        """The record of a subject that was touched before."""
        return self._records.get(subject)

    def touch(self, subject: str) -> Record:
        """The record of a subject, fresh if need be; it becomes the last to be forgotten."""
        record = self._records.get(subject)
        if record is None:
            record = self._records[subject] = self._fresh()
            if len(self._records) > MAX_SUBJECTS:
                self._records.popitem(last=False)
        else:
            self._records.move_to_end(subject)
        return record

    def forget(self, subject: str) -> None:
        self._records.pop(subject, None)
