"""Removing a state directory, the files of the zones' users included."""

from __future__ import annotations

import shutil

from localdc import LocalDCError
from localdc.paths import StateDir
from localdc.zones.isolate import run_as_mapped_root


def purge(paths: StateDir) -> None:
    """Remove the state directory; a package store elsewhere stays.

    Raises LocalDCError when it is not one, or cannot be removed.
    """
    if not paths.root.exists():
        return
    if not (paths.lock.exists() or paths.port.exists()):
        raise LocalDCError(f"{paths.root} is not the state directory of a data center.")
    if not _had_zones(paths):
        try:
            shutil.rmtree(paths.root)
        except OSError as error:
            raise LocalDCError(f"Cannot remove {error.filename}: {error.strerror}.") from error
        return
    # An ordinary user may not remove what a zone's user owns; its mapped root may.
    run_as_mapped_root(lambda report: shutil.rmtree(paths.root))


def _had_zones(paths: StateDir) -> bool:
    """Whether there can be files of other users, which a user without subordinate ids has not."""
    mode = paths.mode.read_text().strip() if paths.mode.exists() else "zones"
    return paths.database.exists() and mode == "zones"
