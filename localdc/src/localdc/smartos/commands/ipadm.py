"""ipadm(8), the part that shows: `ipadm show-addr [-p -o FIELD,...]` and `ipadm show-if`."""

from __future__ import annotations

import sys

from .interfaces import interfaces

_USAGE = """\
usage:\tipadm <subcommand> <args> ...
\tshow-if\t\t[[-p] -o <field>,...] [<interface>]
\tshow-addr\t[[-p] -o <field>,...] [<addrobj>]"""
_COLUMNS = {
    "show-addr": (("addrobj", 17), ("type", 8), ("state", 12), ("addr", 0)),
    "show-if": (("ifname", 10), ("state", 8), ("current", 12), ("persistent", 0)),
}


def main(argv: list[str] | None = None) -> int:
    """Print addresses or interfaces; changing them is the compute node's."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    command = arguments.pop(0) if arguments else ""
    if command not in _COLUMNS:
        if command:
            print(f"ipadm: {command} is not supported in this zone", file=sys.stderr)
        print(_USAGE, file=sys.stderr)
        return 1
    parsable, fields, wanted = False, [name for name, _ in _COLUMNS[command]], ""
    while arguments:
        word = arguments.pop(0)
        if word == "-p":
            parsable = True
        elif word in ("-o", "-po") and arguments:
            parsable = parsable or word == "-po"
            fields = arguments.pop(0).lower().split(",")
        elif word.startswith("-"):
            print(_USAGE, file=sys.stderr)
            return 1
        else:
            wanted = word
    known = dict(_COLUMNS[command])
    unknown = [field for field in fields if field not in known]
    if unknown:
        print(f"ipadm: invalid field(s) specified: {','.join(unknown)}", file=sys.stderr)
        return 1
    rows = [row for row in _rows(command) if wanted in ("", row["addrobj"], row["ifname"])]
    if wanted and not rows:
        print(f"ipadm: could not get {wanted}: Object not found", file=sys.stderr)
        return 1
    _print(rows, fields, known, parsable)
    return 0


def _rows(command: str) -> list[dict[str, str]]:
    rows = []
    for interface in interfaces():
        if command == "show-addr" and not interface.address:
            continue
        up = "UP" in interface.flag_names.split(",")
        rows.append(
            {
                "addrobj": f"{interface.name}/{'v4' if interface.loopback else '_a'}",
                "ifname": interface.name,
                "type": "static" if interface.loopback else "from-gz",
                "state": ("ok" if up else "down"),
                "addr": f"{interface.address}/{interface.prefix}",
                "current": "-m46-v------" if interface.loopback else "bm--4-------",
                "persistent": "---",
            }
        )
    return rows


def _print(
    rows: list[dict[str, str]], fields: list[str], widths: dict[str, int], parsable: bool
) -> None:
    if not parsable:
        print("".join(field.upper().ljust(widths[field]) for field in fields).rstrip())
    for row in rows:
        if parsable:
            print(":".join(row[field].replace(":", "\\:") for field in fields))
        else:
            print("".join(row[field].ljust(widths[field]) for field in fields).rstrip())
