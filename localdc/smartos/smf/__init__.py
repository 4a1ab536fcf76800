"""The service management facility of a zone: repository, restarter and their commands.

Standard library only, and little of that: ``svc.startd`` runs in every zone and the commands
run hundreds of times, so modules that cost megabytes or milliseconds to import (``typing``,
``dataclasses``, ``subprocess``) are left out on purpose.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def seed(manifests: Iterable[Path], db: Path) -> None:
    """Make (or extend) the repository file `db` by importing `manifests` in their order.

    Runs without svc.startd, on the host: the image builder lays the file down in every zone as
    ``/etc/svc/repository.db``. Raises SmfError where a manifest is wrong.
    """
    from .importer import apply_bundle
    from .manifest import load
    from .repository import Repository

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
