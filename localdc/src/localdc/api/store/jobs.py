"""The queue of each machine, and what became of its jobs (the audit)."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from localdc.api.model import Job, now_iso

_JOB = "id, machine, action, params, internal, resumed"


class Jobs:
    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def add(
        self,
        machine: str,
        action: str,
        params: Mapping[str, Any] | None = None,
        *,
        caller: Mapping[str, Any] | None = None,
        internal: bool = False,
    ) -> int:
        """Queue a job; returns its number."""
        cursor = self._db.execute(
            "INSERT INTO jobs (machine, action, params, caller, internal, state)"
            " VALUES (?, ?, ?, ?, ?, 'queued')",
            (machine, action, json.dumps(params or {}), json.dumps(caller or {}), int(internal)),
        )
        return int(cursor.lastrowid or 0)

    def next(self, machine: str) -> Job | None:
        """The job to do next: the data center's own go first, then oldest first."""
        row = self._db.execute(
            f"SELECT {_JOB} FROM jobs WHERE machine = ? AND state = 'queued'"
            " ORDER BY internal DESC, id LIMIT 1",
            (machine,),
        ).fetchone()
        if row is None:
            return None
        return Job(row[0], row[1], row[2], json.loads(row[3]), bool(row[4]), bool(row[5]))

    def begin(self, job: Job) -> None:
        self._db.execute("UPDATE jobs SET state = 'running' WHERE id = ?", (job.id,))

    def finish(self, job: Job, reason: str | None = None) -> None:
        """Success, or with a reason failure.  The data center's own leave no trace."""
        if job.internal:
            self._db.execute("DELETE FROM jobs WHERE id = ?", (job.id,))
            return
        self._db.execute(
            "UPDATE jobs SET state = ?, reason = ?, finished = ? WHERE id = ?",
            ("failed" if reason else "done", reason, now_iso(), job.id),
        )

    def requeue(self) -> None:
        """After a crash: what was running is to be done again, from the start."""
        self._db.execute("DELETE FROM jobs WHERE internal = 1")
        self._db.execute("UPDATE jobs SET state = 'queued', resumed = 1 WHERE state = 'running'")

    def drop(self, machine: str, reason: str) -> None:
        """End the open jobs of a machine that is gone, as failed."""
        self._db.execute(
            "UPDATE jobs SET state = 'failed', reason = ?, finished = ?"
            " WHERE machine = ? AND state = 'queued'",
            (reason, now_iso(), machine),
        )

    def pending(self, machine: str, action: str) -> bool:
        """True when such a job is queued or running."""
        return self._exists(machine, action, "queued") or self._exists(machine, action, "running")

    def waiting(self, machine: str) -> bool:
        """True when any job of this machine has yet to begin."""
        row = self._db.execute(
            "SELECT 1 FROM jobs WHERE machine = ? AND state = 'queued' LIMIT 1", (machine,)
        ).fetchone()
        return row is not None

    def queued(self, machine: str, action: str) -> bool:
        """True when such a job has yet to begin."""
        return self._exists(machine, action, "queued")

    def _exists(self, machine: str, action: str, state: str) -> bool:
        row = self._db.execute(
            "SELECT 1 FROM jobs WHERE machine = ? AND state = ? AND action = ? LIMIT 1",
            (machine, state, action),
        ).fetchone()
        return row is not None

    def last_of(self, machine: str, actions: Sequence[str], name: str) -> str | None:
        """The state of the newest of these jobs whose parameter `name` is this; None = none."""
        marks = ", ".join("?" * len(actions))
        row = self._db.execute(
            f"SELECT state FROM jobs WHERE machine = ? AND action IN ({marks})"
            " AND json_extract(params, '$.name') = ? ORDER BY id DESC LIMIT 1",
            (machine, *actions, name),
        ).fetchone()
        return None if row is None else str(row[0])

    def machines_with_work(self) -> list[str]:
        rows = self._db.execute(
            "SELECT machine FROM jobs WHERE state = 'queued' GROUP BY machine ORDER BY min(id)"
        )
        return [machine for (machine,) in rows]

    def audit(self, machine: str) -> list[dict[str, Any]]:
        """Finished jobs, newest first, as MachineAudit answers them.

        Not why one failed: the audit has these four fields and no other (sdc-cloudapi,
        lib/audit.js, translate).
        """
        return [
            {
                "success": "yes" if state == "done" else "no",
                "time": finished,
                "action": action,
                "caller": json.loads(caller),
            }
            for action, caller, state, _, finished in self._finished(machine)
        ]

    def reasons(self, machine: str) -> list[dict[str, Any]]:
        """Finished jobs, newest first, as the operator sees them; reason None = it succeeded."""
        return [
            {"action": action, "finished": finished, "reason": reason}
            for action, _, _, reason, finished in self._finished(machine)
        ]

    def _finished(self, machine: str) -> Iterable[tuple[str, str, str, str | None, str]]:
        return self._db.execute(
            "SELECT action, caller, state, reason, finished FROM jobs WHERE machine = ?"
            " AND internal = 0 AND state IN ('done', 'failed') ORDER BY finished DESC, id DESC",
            (machine,),
        )
