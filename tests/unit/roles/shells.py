"""Shells that the scripts of zones are tried with, where this computer has them."""

from __future__ import annotations

import shutil

SHELLS = [shell for shell in ("dash", "bash", "ksh93") if shutil.which(shell)]
