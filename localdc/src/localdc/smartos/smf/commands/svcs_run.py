"""What every report of svcs(1) begins with: the operands, and how times and processes are shown."""

# ruff: noqa: PTH123 (pathlib costs start-up time)
from __future__ import annotations

import sys
import time

from .. import fmri as fmris
from ..door import Door

USAGE = """\
Usage: svcs [-aHpv] [-o col[,col ... ]] [-R restarter] [-sS col] [<service> ...]
       svcs -d | -D [-Hpv] [-o col[,col ... ]] [-sS col] [<service> ...]
       svcs [-l | -L] [-v] <service> ...
       svcs -x [-v] [<service> ...]
       svcs -?

\t-a  list all service instances rather than only those that are enabled
\t-d  list dependencies of the specified service(s)
\t-D  list dependents of the specified service(s)
\t-H  omit header line from output
\t-l  list detailed information about the specified service(s)
\t-L  list the log file associated with the specified service(s)
\t-o  list only the specified columns in the output
\t-p  list process IDs and names associated with each service
\t-R  list only those services with the specified restarter
\t-s  sort output in ascending order by the specified column(s)
\t-S  sort output in descending order by the specified column(s)
\t-v  list verbose information appropriate to the type of output
\t-x  explain the status of services that might require maintenance,
\t    or explain the status of the specified service(s)

\tServices can be specified using an FMRI, abbreviation, or fnmatch(7)
\tpattern, as shown in these examples for svc:/network/smtp:sendmail

\tsvcs [opts] svc:/network/smtp:sendmail
\tsvcs [opts] network/smtp:sendmail
\tsvcs [opts] network/*mail
\tsvcs [opts] network/smtp
\tsvcs [opts] smtp:sendmail
\tsvcs [opts] smtp
\tsvcs [opts] sendmail

\tColumns for output or sorting can be specified using these names:

\tCTID DESC FMRI INST N NSTA NSTATE S SCOPE SN SVC STA STATE STIME ZONE"""
_DAY, _YEAR = 24 * 3600, 12 * 30 * 24 * 3600


class Svcs:
    """One run of the command."""

    def __init__(self, door: Door, flags: set[str]) -> None:
        self.door = door
        self.flags = flags
        self.failed = False

    def pick(self, words: list[str], names: list[str]) -> list[str]:
        """The instances that the operands name; a complaint for each that names none."""
        found: list[str] = []
        for word in words:
            hits = fmris.select(word, names)
            if not hits:
                sys.stderr.write(f"svcs: Pattern '{word}' doesn't match any instances\n")
                self.failed = True
            found += [fmri for fmri in hits if fmri not in found]
        return found


def stime(since: float | None) -> str:
    """A time as svcs prints it: of day, of year, or the year alone."""
    if since is None:
        return "-"
    age = time.time() - since
    form = "%k:%M:%S" if age < _DAY else "%b_%d" if age < _YEAR else "%Y"
    return time.strftime(form, time.localtime(since))


def processes(pids: list[int]) -> list[str]:
    """The lines of ``-p``: start time, process id and program name."""
    lines = []
    for pid in pids:
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
                text = file.read()
        except OSError:
            continue
        name = text[text.index("(") + 1 : text.rindex(")")]
        fields = text[text.rindex(")") + 2 :].split()
        started = "-" if fields[0] == "Z" else stime(_boot_time() + int(fields[19]) / _hertz())
        name = "<defunct>" if fields[0] == "Z" else name
        lines.append(f"               {started:<8}   {pid:>6} {name[:16]}")
    return lines


def _hertz() -> int:
    import os

    return os.sysconf("SC_CLK_TCK")


def _boot_time() -> float:
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
