"""svcs(1): report the state of service instances."""

# ruff: noqa: PTH123 (pathlib costs start-up time)
from __future__ import annotations

import sys
import time

from . import fmri as fmris
from .client import Usage
from .door import Door
from .options import parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Row = dict[str, Any]

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

ABBREVIATIONS = {
    "uninitialized": "UN", "offline": "OFF", "online": "ON", "maintenance": "MNT",
    "disabled": "DIS", "degraded": "DGD", "legacy_run": "LRC",
}  # fmt: skip
_LETTERS = {
    "uninitialized": "u", "offline": "0", "online": "1", "maintenance": "m", "disabled": "d",
    "degraded": "D", "legacy_run": "L",
}  # fmt: skip
# svcs.c, sortkey_states: the order in which -s state puts them
_ORDER = ("legacy_run", "disabled", "online", "degraded", "offline", "maintenance",
          "uninitialized")  # fmt: skip
WIDTHS = {
    "CTID": 6, "DESC": 25, "FMRI": 50, "INST": 16, "N": 1, "NSTA": 4, "NSTATE": 13, "S": 2,
    "SCOPE": 10, "SN": 2, "SVC": 25, "STA": 4, "STATE": 14, "STIME": 8, "ZONE": 10,
}  # fmt: skip
DEFAULT = ["STATE", "STIME", "FMRI"]
VERBOSE = ["STATE", "NSTATE", "STIME", "CTID", "FMRI"]
_DAY, _YEAR = 24 * 3600, 12 * 30 * 24 * 3600


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
        from .cmd_svcs_detail import main as detail

        return detail(command, words)
    return command.table(options, words)


class Svcs:
    """One run of the command."""

    def __init__(self, door: Door, flags: set[str]) -> None:
        self.door = door
        self.flags = flags
        self.failed = False

    # --- selection

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

    def table(self, options: list[tuple[str, str]], words: list[str]) -> int:
        """The default report: one line for each instance."""
        columns = _columns([value for letter, value in options if letter == "o"])
        if not columns:
            columns = VERBOSE if "v" in self.flags else DEFAULT
        keys = [(value, letter == "S") for letter, value in options if letter in "sS"]
        for name, _reverse in keys:
            _columns([name])
        rows = self.door.call(
            "list", pids="p" in self.flags, names="DESC" in columns,
            depends=bool(self.flags & set("dDR")),
        )  # fmt: skip
        chosen = self._choose(rows, options, words)
        for name, reverse in reversed(keys or [(name, False) for name in DEFAULT]):
            chosen.sort(key=_sort_key(name.upper()), reverse=reverse)
        out = [] if "H" in self.flags else [_line(columns, columns)]
        for row in chosen:
            out.append(_line(columns, [_cell(row, name, columns) for name in columns]))
            if "p" in self.flags:
                out.extend(processes(row.get("pids", ())))
        sys.stdout.write("".join(line + "\n" for line in out))
        return 1 if self.failed else 0

    def _choose(
        self, rows: list[Row], options: list[tuple[str, str]], words: list[str]
    ) -> list[Row]:
        by_name = {row["fmri"]: row for row in rows}
        if words:
            chosen = [by_name[fmri] for fmri in self.pick(words, list(by_name))]
            if "d" in self.flags:
                return _dependencies(chosen, rows)
            if "D" in self.flags:
                return _dependents(chosen, rows)
            return chosen
        words = [value for letter, value in options if letter == "R"]
        if words:
            return [r for r in rows if any(fmris.matches(w, r["restarter"]) for w in words)]
        everything = "a" in self.flags
        return [r for r in rows if everything or r["enabled"] or r["override"] is not None]


def _dependencies(chosen: list[Row], rows: list[Row]) -> list[Row]:
    entities = [e for row in chosen for _g, _k, names in row["depends"] for e in names]
    return [row for row in rows if any(fmris.matches(e, row["fmri"]) for e in entities
                                       if e.startswith("svc:"))]  # fmt: skip


def _dependents(chosen: list[Row], rows: list[Row]) -> list[Row]:
    names = [row["fmri"] for row in chosen]
    return [
        row for row in rows
        if any(fmris.matches(e, name) for _g, _k, entities in row["depends"]
               for e in entities if e.startswith("svc:") for name in names)
    ]  # fmt: skip


def _columns(lists: list[str]) -> list[str]:
    names = [name.strip().upper() for text in lists for name in text.split(",") if name.strip()]
    for name in names:
        if name not in WIDTHS:
            raise Usage(f"svcs: Unknown column '{name}'\n{USAGE}")
    return names


def _line(columns: list[str], cells: list[str]) -> str:
    pairs = zip(columns, cells, strict=True)
    return " ".join(f"{cell:<{WIDTHS[name]}}" for name, cell in pairs).rstrip()


def _cell(row: Row, name: str, columns: list[str]) -> str:
    state, following = row.get("state") or "-", row.get("next") or "none"
    moving = following != "none"
    # the asterisk is for tables that do not show the next state anyway
    star = "*" if moving and not {"NSTA", "NSTATE", "N", "SN"} & set(columns) else ""
    service, instance = fmris.split(row["fmri"])
    if name == "STATE":
        return state + star
    if name == "STA":
        # svcs.c, sprint_sta: also where svc.startd has not seen the instance yet
        return ABBREVIATIONS.get(state, "?") + star
    if name == "NSTATE":
        return following if moving else "-"
    if name == "NSTA":
        return ABBREVIATIONS.get(following, "?") if moving else "-"
    if name in ("S", "N", "SN"):
        now, then = _LETTERS.get(state, "?"), _LETTERS.get(following, "?") if moving else "-"
        return {"S": now + star, "N": then, "SN": now + then}[name]
    if name == "STIME":
        return stime(row.get("since"))
    if name == "CTID":
        return str(row["contract"]) if row.get("contract") else "-"
    values = {"FMRI": row["fmri"], "INST": instance or "", "SVC": service, "SCOPE": "localhost",
              "DESC": row.get("name") or "-"}  # fmt: skip
    if name == "ZONE":
        return _zone()
    return str(values[name])


def _zone() -> str:
    try:
        with open("/etc/zonename", encoding="utf-8") as file:
            return file.read().strip()
    except OSError:
        return "global"


def stime(since: float | None) -> str:
    """A time as svcs prints it: of day, of year, or the year alone."""
    if since is None:
        return "-"
    age = time.time() - since
    form = "%k:%M:%S" if age < _DAY else "%b_%d" if age < _YEAR else "%Y"
    return time.strftime(form, time.localtime(since))


def _sort_key(name: str) -> Callable[[Row], tuple[float, str]]:
    def key(row: Row) -> tuple[float, str]:
        if name in ("STATE", "STA", "S"):
            return (float(_rank(row.get("state"))), "")
        if name in ("NSTATE", "NSTA", "N", "SN"):
            return (float(_rank(row.get("next"))), "")
        if name == "STIME":
            return (row.get("since") or 0.0, "")
        if name == "CTID":
            return (float(row.get("contract") or 0), "")
        return (0.0, _cell(row, name, [name]))

    return key


def _rank(state: str | None) -> int:
    return _ORDER.index(state) if state in _ORDER else len(_ORDER)


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
