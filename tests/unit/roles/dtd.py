"""The real document type of service manifests."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def real_dtd() -> Path | None:
    """illumos' DTD, which is not part of this project: from $SMF_DTD, SmartOS, or beside it."""
    candidates = [
        Path(os.environ.get("SMF_DTD", "/usr/share/lib/xml/dtd/service_bundle.dtd.1")),
        *ROOT.parent.glob("*/corpus/service_bundle.dtd.1"),
    ]
    return next((path for path in candidates if path.is_file()), None)
