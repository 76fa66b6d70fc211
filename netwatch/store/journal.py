"""The journal: SQLite with a write-ahead log, one writer, every commit on disk before it returns.

The one promise that everything rests on is ``intend``: when it returns, the plan survives a crash of netwatch, of the kernel and a power
cut (as far as the disk does not lie about ``fsync``), so that after a restart it is known what netwatch may have put in force. It costs a
synchronous write, some milliseconds; a mitigation's life has less than ten of those. Where it raises, no change is made.

Readers, such as ``netwatch incidents``, open it read-only beside the writer and see whole transactions.
"""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self, TypeVar
from urllib.parse import quote

import msgspec

from netwatch.errors import StoreError
from netwatch.model.change import FINAL_STATES, MITIGATION_INDUCED, EventType, MitigationEvent, Plan, PlanState, Receipt
from netwatch.model.history import Happening, IncidentHistory, PlanHistory
from netwatch.model.incident import Incident, TimelineEntry
from netwatch.store.schema import LATEST, migrate, version_of

WAIT_S = 5.0
"""For another connection's lock, as while a reader copies the log back."""

LOG_BYTES = 4 << 20
"""The log is cut back to this when it was copied into the journal."""

Stored = TypeVar("Stored", Plan, Incident)


def journal_path(state_dir: Path, firewall: str) -> Path:
    """Where the journal of a firewall lies; whatever its name holds, it stays within ``state_dir``."""
    return state_dir / f"{quote(firewall, safe=' ')}.journal"


class Journal:
    """What netwatch found, intended and did. One thread uses a writer at a time."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self.path = path

    @classmethod
    def open(cls, path: Path, *, now_s: float) -> Self:
        """Open a journal to write, create it if there is none, and bring it to the latest schema.

        Raises:
            StoreError: no place, no permission, no journal, or one of a newer netwatch.
        """
        try:
            fresh = not path.exists()
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"{path.parent}: cannot be made to keep the journal in: {error.strerror}") from error
        with _told(path, "cannot be opened"):
            connection = sqlite3.connect(path, timeout=WAIT_S, isolation_level=None, check_same_thread=False)
        try:
            with _told(path, "cannot be opened"):
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = FULL")
                connection.execute(f"PRAGMA journal_size_limit = {LOG_BYTES}")
                _refuse_newer(connection, path)
                migrate(connection, now_s=now_s)
                if fresh:
                    _sync_folder(path.parent)
        except BaseException:
            connection.close()
            raise
        return cls(connection, path)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Open a journal to look at it, also while a netwatch writes it.

        Raises:
            StoreError: there is none, or it is none that this netwatch can read.
        """
        try:
            there = path.exists()
        except OSError as error:
            raise StoreError(f"{path}: the journal cannot be read: {error.strerror}; be root (sudo) or netwatch's user") from error
        if not there:
            raise StoreError(f"{path}: there is no journal: netwatch has not run with this state_dir and firewall yet")
        with _told(path, "cannot be read"):
            connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=WAIT_S, isolation_level=None)
            try:
                _refuse_newer(connection, path)
            except BaseException:
                connection.close()
                raise
        return cls(connection, path)

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- writing ---

    def intend(self, plan: Plan) -> None:
        """Put a plan on disk before its change is made; when this returns, it is there for good.

        Raises:
            StoreError: it is not; the change must not be made.
        """
        with self._transaction():
            self._put_plan(plan)

    def record(self, event: MitigationEvent) -> None:
        """Keep what happened to a plan, and the plan as it is now.

        Raises:
            StoreError: it could not be kept.
        """
        with self._transaction():
            plan = event.plan
            values = (event.time_s, event.type, event.incident_id, plan.id if plan is not None else None, event.text, event.by)
            self._connection.execute(
                "INSERT INTO events (time_s, type, incident_id, plan_id, text, person) VALUES (?, ?, ?, ?, ?, ?)", values
            )
            if plan is not None:
                self._put_plan(plan)
                self._put_details(event, plan)

    def record_incident(self, incident: Incident) -> None:
        """Keep an incident as it is now.

        Raises:
            StoreError: it could not be kept.
        """
        values = (
            incident.id,
            incident.mode,
            incident.severity,
            incident.service,
            incident.onset_s,
            incident.ended_s,
            msgspec.json.encode(incident),
        )
        with self._transaction():
            self._connection.execute("INSERT OR REPLACE INTO incidents VALUES (?, ?, ?, ?, ?, ?, ?)", values)

    def forget(self, before_s: float) -> int:
        """Remove incidents that were over before then, and all that belongs to them; return how many they were."""
        old = "SELECT id FROM incidents WHERE ended_s < ?"
        plans = f"SELECT id FROM plans WHERE incident_id IN ({old})"
        with self._transaction():
            for table in ("changes", "verdicts", "undos", "approvals", "events"):
                self._connection.execute(f"DELETE FROM {table} WHERE plan_id IN ({plans})", (before_s,))
            self._connection.execute(f"DELETE FROM events WHERE incident_id IN ({old})", (before_s,))
            self._connection.execute(f"DELETE FROM plans WHERE incident_id IN ({old})", (before_s,))
            return self._connection.execute("DELETE FROM incidents WHERE ended_s < ?", (before_s,)).rowcount

    # --- reading ---

    def incidents(self, *, most: int = 50) -> list[Incident]:
        """The newest incidents, the last onset first."""
        return self._bodies(Incident, "SELECT body FROM incidents ORDER BY onset_s DESC, id DESC LIMIT ?", most)

    def incident(self, incident_id: str) -> Incident | None:
        return next(iter(self._bodies(Incident, "SELECT body FROM incidents WHERE id = ?", incident_id)), None)

    def plans(self, incident_id: str) -> list[Plan]:
        """What was planned about an incident, in order."""
        return self._bodies(Plan, "SELECT body FROM plans WHERE incident_id = ? ORDER BY proposed_at_s, rowid", incident_id)

    def plan(self, plan_id: str) -> Plan | None:
        return next(iter(self._bodies(Plan, "SELECT body FROM plans WHERE id = ?", plan_id)), None)

    def waiting(self) -> list[Plan]:
        """Plans that can be approved, the oldest first."""
        return self._bodies(Plan, "SELECT body FROM plans WHERE state = ? ORDER BY proposed_at_s", PlanState.PROPOSED)

    def unfinished(self) -> list[tuple[Plan, Receipt | None]]:
        """Plans of which something may be in force, each with the newest that its driver said: what a restart must look after.

        ``applied_at_s`` is that of the first time, since it is the whole life that counts.
        """
        marks = ", ".join("?" * len(FINAL_STATES))
        found = self._bodies(
            Plan, f"SELECT body FROM plans WHERE state NOT IN ({marks}) ORDER BY proposed_at_s, rowid", *sorted(FINAL_STATES)
        )
        return [(plan, self._receipt(plan)) for plan in found]

    def timeline(self, incident_id: str) -> list[TimelineEntry]:
        """All that is known of an incident, in the order of time: how it was found, and what was done about it."""
        found = self.incident(incident_id)
        with _told(self.path, "cannot be read"):
            rows = self._connection.execute(
                "SELECT time_s, type, text FROM events WHERE incident_id = ?1 OR plan_id IN (SELECT id FROM plans WHERE incident_id = ?1) "
                "ORDER BY number",
                (incident_id,),
            ).fetchall()
        done = [TimelineEntry(time_s, f"{kind}: {text}") for time_s, kind, text in rows]
        return sorted([*(found.timeline if found is not None else ()), *done], key=lambda entry: entry.at_s)

    def history(self, incident_id: str) -> IncidentHistory | None:
        """All that is known of an incident and of what was done about it; None if there is no such incident."""
        found = self.incident(incident_id)
        if found is None:
            return None
        plans = tuple(PlanHistory(plan, self._receipt(plan)) for plan in self.plans(incident_id))
        with _told(self.path, "cannot be read"):
            rows = self._connection.execute(
                "SELECT time_s, type, plan_id, text, person FROM events WHERE incident_id = ?1 "
                "OR plan_id IN (SELECT id FROM plans WHERE incident_id = ?1) ORDER BY number",
                (incident_id,),
            ).fetchall()
        seen = [Happening(entry.at_s, "incident", None, entry.text, "") for entry in found.timeline]
        happened = sorted([*seen, *(Happening(*row) for row in rows)], key=lambda one: one.at_s)
        return IncidentHistory(found, plans, tuple(happened))

    def incident_ids(self, beginning: str) -> list[str]:
        """Of incidents whose id begins so; a whole id names only itself."""
        return self._ids("SELECT id FROM incidents WHERE substr(id, 1, length(?1)) = ?1 ORDER BY onset_s DESC", beginning)

    def open_plan_ids(self, beginning: str) -> list[str]:
        """Of plans that have not ended and whose id begins so; a whole id names only itself."""
        marks = ", ".join(f"'{state}'" for state in sorted(FINAL_STATES))
        query = f"SELECT id FROM plans WHERE substr(id, 1, length(?1)) = ?1 AND state NOT IN ({marks}) ORDER BY proposed_at_s"
        return self._ids(query, beginning)

    def _ids(self, query: str, beginning: str) -> list[str]:
        with _told(self.path, "cannot be read"):
            found = [str(row[0]) for row in self._connection.execute(query, (beginning,)).fetchall()]
        return [beginning] if beginning in found else found

    # --- the rows ---

    def _put_plan(self, plan: Plan) -> None:
        values = (plan.id, plan.incident_id, plan.state, plan.proposed_at_s, msgspec.json.encode(plan))
        self._connection.execute(
            "INSERT INTO plans VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET state = excluded.state, body = excluded.body", values
        )

    def _put_details(self, event: MitigationEvent, plan: Plan) -> None:
        match event.type:
            case EventType.CHANGE_APPLIED | EventType.CHANGE_RENEWED if event.receipt is not None:
                made = event.receipt
                renewal = event.type is EventType.CHANGE_RENEWED
                values: tuple[object, ...] = (plan.id, made.applied_at_s, made.expires_at_s, made.evicted, int(renewal))
                self._connection.execute("INSERT INTO changes VALUES (?, ?, ?, ?, ?)", values)
            case EventType.CHANGE_VERIFIED:
                self._connection.execute("INSERT INTO verdicts VALUES (?, ?, 'verified', ?)", (plan.id, event.time_s, event.text))
            case EventType.INCIDENT_OPENED:
                values = (plan.id, event.time_s, MITIGATION_INDUCED, event.text)
                self._connection.execute("INSERT INTO verdicts VALUES (?, ?, ?, ?)", values)
            case EventType.CHANGE_UNDONE | EventType.CHANGE_EXPIRED:
                self._connection.execute("INSERT INTO undos VALUES (?, ?, ?, ?)", (plan.id, event.time_s, plan.state, event.text))
            case EventType.PLAN_APPROVED | EventType.PLAN_REJECTED if event.by:
                approved = event.type is EventType.PLAN_APPROVED
                self._connection.execute("INSERT INTO approvals VALUES (?, ?, ?, ?)", (plan.id, event.time_s, event.by, int(approved)))
            case _:
                pass

    def _receipt(self, plan: Plan) -> Receipt | None:
        with _told(self.path, "cannot be read"):
            first_s, expires_s, evicted = self._connection.execute(
                "SELECT min(applied_at_s), max(expires_at_s), sum(evicted) FROM changes WHERE plan_id = ?", (plan.id,)
            ).fetchone()
        if first_s is None:
            return None
        return Receipt(change_id=plan.change.id, applied_at_s=first_s, expires_at_s=expires_s, evicted=evicted)

    def _bodies(self, kind: type[Stored], query: str, *values: object) -> list[Stored]:
        with _told(self.path, "cannot be read"):
            rows: Sequence[tuple[bytes]] = self._connection.execute(query, values).fetchall()
            return [msgspec.json.decode(body, type=kind) for (body,) in rows]

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """All of it or nothing, and on disk afterwards."""
        with _told(self.path, "cannot be written"):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise


@contextmanager
def _told(path: Path, what: str) -> Iterator[None]:
    """Foreign errors in our own words."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        damaged = getattr(error, "sqlite_errorcode", None) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
        advice = "; it is damaged: move it away, and netwatch begins a new one" if damaged else ""
        raise StoreError(f"{path}: the journal {what}: {error}{advice}") from error
    except (sqlite3.Error, OSError) as error:
        raise StoreError(f"{path}: the journal {what}: {error}") from error
    except msgspec.MsgspecError as error:
        raise StoreError(f"{path}: the journal {what}: a record is not what this netwatch expects: {error}") from error


def _refuse_newer(connection: sqlite3.Connection, path: Path) -> None:
    version = version_of(connection)
    if version > LATEST:
        raise StoreError(f"{path}: the journal has schema {version}, this netwatch knows schema {LATEST}: use the newer netwatch")


def _sync_folder(folder: Path) -> None:
    """A new file survives a power cut only when the folder that names it is on disk too."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
