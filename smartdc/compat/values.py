"""CloudAPI's addresses and times."""

from __future__ import annotations

import calendar
import ipaddress
from datetime import UTC, datetime

from ..errors import UsageError

# 2013's definition: carrier-grade NAT and loopback count as public
_PRIVATE = [
    ipaddress.ip_network(net)
    for net in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fe80::/10")
]


def _address(text: object) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(str(text))
    except ValueError:
        return None


def priv(x: str) -> bool:
    """Whether an address is of a private network (RFC 1918; IPv6 unique local, link local)."""
    address = _address(x)
    return address is not None and any(address in net for net in _PRIVATE)


def pub(x: str) -> bool:
    """Whether it is an address (CloudAPI may write ``dhcp``) and not private."""
    return _address(x) is not None and not priv(x)


def dt_time(x: str | None) -> datetime | None:
    """CloudAPI's time (ISO 8601) as a naive ``datetime`` in UTC; None for None or nonsense."""
    try:
        moment = datetime.fromisoformat(x or "")
    except (TypeError, ValueError):
        return None
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


def timestamp(x: str) -> int:
    """CloudAPI's time as seconds since 1970."""
    moment = dt_time(x)
    if moment is None:
        raise UsageError(f"{x!r} is not a time", hint="write 2013-03-01T22:00:09Z")
    return calendar.timegm(moment.timetuple())
