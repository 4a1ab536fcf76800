"""Shells that the scripts of zones are tried with: on Linux, those that are there."""

from __future__ import annotations

import shutil
import sys

KNOWN = ("dash", "bash", "ksh93") if sys.platform == "linux" else ()
SHELLS = [shell for shell in KNOWN if shutil.which(shell)]
