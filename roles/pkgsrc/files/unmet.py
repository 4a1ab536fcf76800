"""Print those of the requirements that an environment does not meet: unmet.py REQUIREMENT...

Runs in that environment, which has pip, but need not have packaging.
"""

from __future__ import annotations

import sys
from importlib import metadata

from pip._vendor.packaging.requirements import Requirement


def unmet(text: str, extra: str = "") -> bool:
    """Whether a requirement is not met, or one of those of its extras.

    Raises:
        InvalidRequirement: the text is no requirement.
    """
    wanted = Requirement(text)
    if wanted.marker and not wanted.marker.evaluate({"extra": extra}):
        return False
    try:
        found = metadata.distribution(wanted.name)
    except metadata.PackageNotFoundError:
        return True
    if not wanted.specifier.contains(found.version, prereleases=True):
        return True
    optional = [need for need in found.requires or [] if "extra" in need]
    extras = wanted.extras & set(found.metadata.get_all("Provides-Extra") or [])
    return any(unmet(need, name) for name in extras for need in optional)


if __name__ == "__main__":
    print(*(text for text in sys.argv[1:] if unmet(text)), sep="\n")
