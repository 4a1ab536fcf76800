"""pkgsrc releases: which repository an image's zones install from, and what it lacks.

An image of SmartOS is bound to the pkgsrc release of its version: 24.4.x to
2024Q4.  The embedded data center has one set of packages; images of another
release see it without those that release is meant to lack.
"""

from __future__ import annotations

ABSENT: dict[str, tuple[str, ...]] = {"2023Q4": ("ipyparallel",)}
"""Release -> packages, less their `py3NN-`, that its repository does not have."""


def repository(release_root: str, image_version: str) -> str:
    """The URL of the repository for zones of an image of this version.

    `release_root` is the directory of the packages, as zones see it.
    """
    year, _, rest = image_version.partition(".")
    release = f"20{year}Q{rest.partition('.')[0]}"
    below = f"/{release}" if release in ABSENT else ""
    return f"file://{release_root}{below}/All"
