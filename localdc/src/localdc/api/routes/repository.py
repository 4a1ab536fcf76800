"""`/--packages/SmartOS`: the package repository, as pkgsrc.smartos.org shows it to everybody.

    GET /--packages/SmartOS/RELEASE/ARCH/All/pkg_summary.gz

Machines do not come this way; it is for those who want to know beforehand what they will find. The
fault repository_down without a machine strikes here, too.
"""

from __future__ import annotations

import gzip

from localdc.api.errors import not_found, unavailable
from localdc.api.http.call import Answer, Call, Route

ARCHITECTURE = "x86_64"
"""That of SmartOS, whatever the computer is that the machines are on here."""


def summary(call: Call) -> Answer:
    fault = call.center.faults.for_repository("", "", "")
    if fault is not None:
        raise unavailable(fault.reason)
    root, release = call.center.settings.repository, call.args["release"]
    if root is None or call.args["arch"] != ARCHITECTURE or not release.isalnum():
        raise not_found(f"{call.path} does not exist")
    # only releases that lack something have a directory of their own (localdc.pkgsrc.releases)
    for file in (root / release / "All/pkg_summary", root / "All/pkg_summary"):
        if file.exists():
            body = gzip.compress(file.read_bytes(), 1, mtime=0)
            return Answer(200, body, content_type="application/gzip")
    raise not_found(f"{call.path} does not exist")


ROUTES = (
    Route("GET", "/--packages/SmartOS/:release/:arch/All/pkg_summary.gz", summary, access="public"),
)
