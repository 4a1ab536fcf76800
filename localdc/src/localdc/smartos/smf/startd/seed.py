"""A repository file made from manifests without svc.startd, as an image brings it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ..bundle.manifest import load
from .importer import apply_bundle
from .repository import Repository


def seed(manifests: Iterable[Path], db: Path) -> None:
    """Make (or extend) the repository file `db` by importing `manifests` in their order.

    Runs without svc.startd, on the host: the image builder lays the file down in every zone as
    ``/etc/svc/repository.db``. Raises SmfError where a manifest is wrong.
    """
    repository = Repository(db)
    try:
        for path in manifests:
            for fmri in apply_bundle(repository, load(path)).refreshed:
                repository.take(fmri, "running")
        repository.create_restarter()
    except BaseException:
        repository.abandon()
        raise
    repository.close()
    db.chmod(0o600)
