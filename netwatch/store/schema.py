"""The journal's tables, as a list of migrations: each takes the schema one version further, and none is ever changed afterwards."""

import sqlite3

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE incidents (
        id TEXT PRIMARY KEY,
        mode TEXT NOT NULL,
        severity TEXT NOT NULL,
        service TEXT,
        onset_s REAL NOT NULL,
        ended_s REAL,            -- null while it lasts
        body BLOB NOT NULL       -- all of it, as JSON
    ) STRICT;
    CREATE INDEX incidents_by_onset ON incidents (onset_s);

    CREATE TABLE plans (
        id TEXT PRIMARY KEY,
        incident_id TEXT NOT NULL,
        state TEXT NOT NULL,
        proposed_at_s REAL NOT NULL,
        body BLOB NOT NULL
    ) STRICT;
    CREATE INDEX plans_by_incident ON plans (incident_id);
    CREATE INDEX plans_by_state ON plans (state);

    CREATE TABLE changes (       -- what a driver did: made, or renewed
        plan_id TEXT NOT NULL,
        applied_at_s REAL NOT NULL,
        expires_at_s REAL NOT NULL,
        evicted INTEGER NOT NULL,
        renewal INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX changes_by_plan ON changes (plan_id);

    CREATE TABLE verdicts (      -- whether it helped
        plan_id TEXT NOT NULL,
        at_s REAL NOT NULL,
        verdict TEXT NOT NULL,   -- verified, mitigation-induced
        text TEXT NOT NULL
    ) STRICT;

    CREATE TABLE undos (         -- how it went out of force
        plan_id TEXT NOT NULL,
        at_s REAL NOT NULL,
        state TEXT NOT NULL,     -- undone, expired
        text TEXT NOT NULL
    ) STRICT;

    CREATE TABLE approvals (     -- what people said
        plan_id TEXT NOT NULL,
        at_s REAL NOT NULL,
        person TEXT NOT NULL,
        approved INTEGER NOT NULL
    ) STRICT;

    CREATE TABLE events (
        number INTEGER PRIMARY KEY,
        time_s REAL NOT NULL,
        type TEXT NOT NULL,
        incident_id TEXT NOT NULL,
        plan_id TEXT,
        text TEXT NOT NULL,
        person TEXT NOT NULL
    ) STRICT;
    CREATE INDEX events_by_incident ON events (incident_id);
    CREATE INDEX events_by_plan ON events (plan_id);
    """,
)

LATEST = len(MIGRATIONS)


def version_of(connection: sqlite3.Connection) -> int:
    """How many migrations a journal has seen; 0 is an empty file."""
    exists = connection.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'migrations'").fetchone()[0]
    return int(connection.execute("SELECT coalesce(max(version), 0) FROM migrations").fetchone()[0]) if exists else 0


def migrate(connection: sqlite3.Connection, *, now_s: float) -> None:
    """Bring a journal to the latest version, each step whole or not at all."""
    for version, statements in enumerate(MIGRATIONS, 1):
        if version > version_of(connection):
            connection.executescript(
                f"BEGIN IMMEDIATE; CREATE TABLE IF NOT EXISTS migrations (version INTEGER PRIMARY KEY, applied_at_s REAL NOT NULL) STRICT;"
                f"{statements}; INSERT INTO migrations VALUES ({version}, {now_s:f}); COMMIT;"
            )
