"""Correct the next engine id in what a controller restores: next_id.py PROFILE/log/engines.json.

While it restores engines, ipyparallel 9.2 overwrites the next id with 0, and at the restart after
that it would give a new engine the id of one that exists.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def correct(file: Path) -> None:
    """Let the next id be higher than all that are taken; a file that cannot be read is left."""
    try:
        state = json.loads(file.read_text())
    except (OSError, ValueError):
        return
    state["next_id"] = max([state["next_id"], *(int(taken) + 1 for taken in state["engines"])])
    file.write_text(json.dumps(state))


if __name__ == "__main__":
    correct(Path(sys.argv[1]))
