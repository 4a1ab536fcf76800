"""The default report of svcs(1): one line for each instance."""

# ruff: noqa: PTH123 (pathlib costs start-up time)
from __future__ import annotations

import sys

from .. import fmri as fmris
from .svcs_run import USAGE, Svcs, processes, stime
from .usage import Usage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Row = dict[str, Any]

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


def main(command: Svcs, options: list[tuple[str, str]], words: list[str]) -> int:
    """The default report: one line for each instance."""
    columns = _columns([value for letter, value in options if letter == "o"])
    if not columns:
        columns = VERBOSE if "v" in command.flags else DEFAULT
    keys = [(value, letter == "S") for letter, value in options if letter in "sS"]
    for name, _reverse in keys:
        _columns([name])
    rows = command.door.call(
        "list", pids="p" in command.flags, names="DESC" in columns,
        depends=bool(command.flags & set("dDR")),
    )  # fmt: skip
    chosen = _choose(command, rows, options, words)
    for name, reverse in reversed(keys or [(name, False) for name in DEFAULT]):
        chosen.sort(key=_sort_key(name.upper()), reverse=reverse)
    out = [] if "H" in command.flags else [_line(columns, columns)]
    for row in chosen:
        out.append(_line(columns, [_cell(row, name, columns) for name in columns]))
        if "p" in command.flags:
            out.extend(processes(row.get("pids", ())))
    sys.stdout.write("".join(line + "\n" for line in out))
    return 1 if command.failed else 0


def _choose(
    command: Svcs, rows: list[Row], options: list[tuple[str, str]], words: list[str]
) -> list[Row]:
    by_name = {row["fmri"]: row for row in rows}
    if words:
        chosen = [by_name[fmri] for fmri in command.pick(words, list(by_name))]
        if "d" in command.flags:
            return _dependencies(chosen, rows)
        if "D" in command.flags:
            return _dependents(chosen, rows)
        return chosen
    words = [value for letter, value in options if letter == "R"]
    if words:
        return [r for r in rows if any(fmris.matches(w, r["restarter"]) for w in words)]
    everything = "a" in command.flags
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
