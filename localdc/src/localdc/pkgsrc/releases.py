"""pkgsrc releases: which repository an image's zones install from, and what it lacks.

An image of SmartOS is bound to the pkgsrc release of its version: 24.4.x to
2024Q4.  The embedded data center has one set of packages; images of another
release see it without those that release is meant to lack.
"""

from __future__ import annotations

ABSENT: dict[str, tuple[str, ...]] = {"2023Q4": ("ipyparallel",)}
"""Release -> packages, less their `py3NN-`, that its repository does not have."""


def of_image(image_version: str) -> str:
    """The pkgsrc release of an image's version: `2024Q4` for `24.4.1`."""
    year, _, rest = image_version.partition(".")
    return f"20{year}Q{rest.partition('.')[0]}"


def repository(default: str, image_version: str) -> str:
    """The repository's URL for zones of an image; `default` is that of most releases."""
    release = of_image(image_version)
    return f"{default.removesuffix('/All')}/{release}/All" if release in ABSENT else default
