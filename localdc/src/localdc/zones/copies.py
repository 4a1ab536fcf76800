"""Snapshots and volumes: copies of a zone's root, and directories that zones share."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

from localdc.api.compute import ComputeError

VANISHED = "No such file or directory"


def create(root: Path, snapshot: Path) -> int:
    """Copy `root` to `snapshot`, which appears complete or not at all; its size in bytes.

    A snapshot that is there already stays as it is.  Raises ComputeError.
    """
    if not snapshot.is_dir():
        snapshot.parent.mkdir(mode=0o700, exist_ok=True)
        _copy(root, snapshot)
    return sum(
        Path(directory, name).lstat().st_blocks * 512
        for directory, _, names in os.walk(snapshot)
        for name in names
    )


def rollback(snapshot: Path, root: Path) -> None:
    """Put a copy of `snapshot` in place of `root`.  Raises ComputeError."""
    if not snapshot.is_dir():
        raise ComputeError(f"the files of snapshot {snapshot.name} are gone")
    fresh = root.with_name(f"{root.name}.rollback")
    _copy(snapshot, fresh)
    old = root.with_name(f".{root.name}.{time.time_ns()}")
    if root.exists():
        root.rename(old)
    fresh.rename(root)
    shutil.rmtree(old, ignore_errors=True)


def remove(place: Path) -> None:
    """Remove a snapshot or a volume; does nothing when it is not there."""
    trash = place.with_name(f".removed-{place.name}-{time.time_ns()}")
    try:
        place.rename(trash)
    except FileNotFoundError:
        return
    shutil.rmtree(trash)


def _copy(source: Path, target: Path) -> None:
    """As `cp -a`, with shared blocks where the file system has them."""
    scratch = target.with_name(f".{target.name}.new")
    shutil.rmtree(scratch, ignore_errors=True)
    shutil.rmtree(target, ignore_errors=True)
    done = subprocess.run(
        ["cp", "-a", "--reflink=auto", str(source), str(scratch)],
        capture_output=True,
        text=True,
        env={**os.environ, "LC_ALL": "C"},
        check=False,
    )
    # In a running zone files come and go; what went before it was read is not missed.
    problems = [line for line in done.stderr.splitlines() if VANISHED not in line]
    if done.returncode and (problems or not scratch.is_dir()):
        shutil.rmtree(scratch, ignore_errors=True)
        raise ComputeError(f"cannot copy the zone's root: {(problems or ['cp failed'])[0]}")
    scratch.rename(target)
