"""What `localdc status` shows."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from localdc.daemon.control import ask
from localdc.paths import StateDir

COLUMNS = ("NAME", "ID", "STATE", "IPS", "PID", "UP")


def fetch(paths: StateDir) -> dict[str, Any] | None:
    """The daemon's status, pids as this side sees them; None when it does not run.

    Raises LocalDCError when the daemon does not answer.
    """
    status = ask(paths.control, {"op": "status"})
    if status is None:
        return None
    pids = _outer_pids(int(status["pid"]))
    for machine in status["machines"]:
        machine["pid"] = pids.get(machine["pid"])
    return {
        "running": True,
        **status,
        "state_dir": str(paths.root),
        "log": str(paths.log),
        "admin_token_file": str(paths.admin_token),
    }


def _outer_pids(daemon: int) -> dict[int, int]:
    """pid in the data center -> pid here, of everything below the daemon."""
    parents: dict[int, tuple[int, list[int]]] = {}
    for pid, parent, chain in _processes():
        parents[pid] = (parent, chain)
    found = {}
    for pid, (_, chain) in parents.items():
        ancestor = pid
        while ancestor in parents and ancestor != daemon:
            ancestor = parents[ancestor][0]
        if ancestor == daemon and len(chain) > 1:
            found[chain[1]] = pid
    return found


def _processes() -> Iterator[tuple[int, int, list[int]]]:
    """(pid, parent, pids in this and the inner namespaces) of every process."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            lines = (entry / "status").read_text().splitlines()
        except OSError:
            continue
        fields = dict(line.split(":", 1) for line in lines if ":" in line)
        chain = [int(pid) for pid in fields.get("NSpid", entry.name).split()]
        yield int(entry.name), int(fields["PPid"]), chain


def as_json(status: dict[str, Any]) -> str:
    """The status for programs."""
    return json.dumps(status, indent=2)


def as_table(status: dict[str, Any]) -> str:
    """The status for people."""
    state = "stopping" if status["stopping"] else "running"
    if status["records_only"]:
        state += " (records only)"
    lines = [
        f"data center  {status['name']}, {state}, pid {status['pid']}, "
        f"up {_duration(status['started'])}",
        f"CloudAPI     {status['url']}",
        f"state        {status['state_dir']}",
        f"admin token  {status['admin_token_file']}",
    ]
    boot = status["boot"]
    if boot["done"] + boot["failed"] < boot["total"]:
        lines.append(f"booting      {boot['done']} of {boot['total']} machines are up")
    rows = [_row(machine) for machine in status["machines"]]
    if not rows:
        return "\n".join([*lines, "machines     none"])
    widths = [max(len(row[i]) for row in [COLUMNS, *rows]) for i in range(len(COLUMNS))]
    lines.append("")
    for row in [COLUMNS, *rows]:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _row(machine: dict[str, Any]) -> tuple[str, ...]:
    return (
        machine["name"],
        machine["uuid"][:8],
        machine["state"],
        ",".join(machine["ips"]) or "-",
        str(machine["pid"] or "-"),
        _duration(machine["started"]) if machine["started"] else "-",
    )


def _duration(since: float) -> str:
    seconds = max(0, int(time.time() - since))
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days}d{hours:02d}h"
    if hours:
        return f"{hours}h{minutes:02d}m"
    return f"{minutes}m{seconds:02d}s" if minutes else f"{seconds}s"
