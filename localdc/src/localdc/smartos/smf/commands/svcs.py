"""svcs(1): report the state of service instances."""

from __future__ import annotations

from ..door import Door
from .options import parse
from .svcs_run import USAGE, Svcs
from .usage import Usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def main(connect: Callable[[], Door], argv: list[str]) -> int:
    """Run svcs; returns the exit status."""
    options, words = parse(argv, "adDHlLo:pR:s:S:vx?", USAGE)
    flags = {letter for letter, _value in options}
    if "?" in flags:
        raise Usage(USAGE)
    special = flags & set("dDlLx")
    if len(special) > 1 or (special & set("lLx") and flags & set("aHoRsS")):
        raise Usage(USAGE)
    if flags & set("lLdD") and not words:
        raise Usage(USAGE)
    command = Svcs(connect(), flags)
    if "x" in flags:
        from .explain import main as explain

        return explain(command, words)
    if flags & set("lL"):
        from .svcs_detail import main as detail

        return detail(command, words)
    from .svcs_table import main as table

    return table(command, options, words)
