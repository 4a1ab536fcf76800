"""Network interfaces of this network namespace, by netdevice(7)."""

from __future__ import annotations

import fcntl
import struct
from _socket import AF_INET, SOCK_DGRAM, if_nameindex, inet_ntoa, socket

_SIOCGIFFLAGS, _SIOCGIFADDR, _SIOCGIFBRDADDR = 0x8913, 0x8915, 0x8919
_SIOCGIFNETMASK, _SIOCGIFMTU, _SIOCGIFHWADDR = 0x891B, 0x8921, 0x8927
_REQUEST = 40

# Linux bit -> illumos bit and name, from <net/if.h> of either
FLAGS = (
    (0x1, 0x1, "UP"),
    (0x2, 0x2, "BROADCAST"),
    (0x8, 0x8, "LOOPBACK"),
    (0x40, 0x40, "RUNNING"),
    (0x1000, 0x800, "MULTICAST"),
)
_ALWAYS = 0x1000000, "IPv4"


class Interface:
    """One interface; addresses are dotted quads, empty where there is none."""

    def __init__(self, index: int, name: str) -> None:
        self.index = index
        self.name = "lo0" if name == "lo" else name
        control = socket(AF_INET, SOCK_DGRAM)
        bits = struct.unpack_from("H", _ask(control, _SIOCGIFFLAGS, name), 16)[0]
        self.mtu: int = struct.unpack_from("i", _ask(control, _SIOCGIFMTU, name), 16)[0]
        self.mac = ":".join(f"{b:x}" for b in _ask(control, _SIOCGIFHWADDR, name)[18:24])
        self.address = _address(control, _SIOCGIFADDR, name)
        self.netmask = _address(control, _SIOCGIFNETMASK, name)
        self.broadcast = _address(control, _SIOCGIFBRDADDR, name)
        control.close()
        self.loopback = bool(bits & 0x8)
        names = [word for linux, _, word in FLAGS if bits & linux] + [_ALWAYS[1]]
        self.flags = sum(value for linux, value, _ in FLAGS if bits & linux) + _ALWAYS[0]
        self.flag_names = ",".join(names)

    @property
    def prefix(self) -> int:
        """Length of the netmask in bits."""
        return sum(int(part).bit_count() for part in self.netmask.split(".") if part)


def interfaces() -> list[Interface]:
    """All interfaces in the order of their indexes."""
    return [Interface(index, name) for index, name in sorted(if_nameindex())]


def _ask(control: socket, request: int, name: str) -> bytes:
    answer = fcntl.ioctl(control, request, struct.pack(f"{_REQUEST}s", name.encode()))
    return bytes(answer)


def _address(control: socket, request: int, name: str) -> str:
    try:
        return inet_ntoa(_ask(control, request, name)[20:24])
    except OSError:
        return ""
