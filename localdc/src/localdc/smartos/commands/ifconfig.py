"""ifconfig(8), the part that shows: `ifconfig -a` and `ifconfig NAME`."""

from __future__ import annotations

import sys

from .interfaces import Interface, interfaces

_USAGE = "usage: ifconfig -a | ifconfig interface"


def main(argv: list[str] | None = None) -> int:
    """Print interfaces as illumos does; changing them is the compute node's."""
    arguments = [word for word in (sys.argv[1:] if argv is None else argv) if word != "inet"]
    if len(arguments) != 1:
        text = _USAGE
        if len(arguments) > 1:
            text += "\nifconfig: a zone's addresses are set by the data center"
        print(text, file=sys.stderr)
        return 1
    wanted = arguments[0]
    if wanted.startswith("-") and wanted not in ("-a", "-a4"):
        print(_USAGE, file=sys.stderr)
        return 1
    found = [each for each in interfaces() if wanted.startswith("-a") or each.name == wanted]
    if not found:
        print(f"ifconfig: status: SIOCGLIFFLAGS: {wanted}: no such interface", file=sys.stderr)
        return 1
    for interface in found:
        print(describe(interface))
    return 0


def describe(interface: Interface) -> str:
    """The lines for one interface, in the format of illumos."""
    lines = [
        f"{interface.name}: flags={interface.flags:x}<{interface.flag_names}>"
        f" mtu {interface.mtu} index {interface.index}"
    ]
    if interface.address:
        mask = "".join(f"{int(part):x}".zfill(2) for part in interface.netmask.split("."))
        line = f"\tinet {interface.address} netmask {mask}"
        if not interface.loopback:
            line += f" broadcast {interface.broadcast}"
        lines.append(line)
    if not interface.loopback:
        lines.append(f"\tether {interface.mac} ")
    return "\n".join(lines)
