"""What `localdc start` lets its user choose."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from localdc import LocalDCError
from localdc.api import offers
from localdc.api.catalogue import EXTERNAL, check_external
from localdc.api.settings import COMPUTE_NODES, MAX_COMPUTE_NODES, Throttle
from localdc.paths import StateDir

_DEFAULT = Throttle()
LENIENT = {
    "commands": "commands take what those of a Linux host take",
    "python": "Python has what it has on Linux",
    "shell": "/bin/sh is the host's",
}
"""In what machines may be more generous than real ones; see docs/fidelity.md."""


@dataclass(frozen=True, slots=True)
class StartOptions:
    """How to start a data center.

    records_only: machines are records, there are no zones.
    provision_seconds: how long a provision takes then.
    throttle: burst and calls a second allowed to an account; None = no limit.
    catalogue: what it offers, as text of a file; empty = what a new one does; None = what it
        did before.
    lenient: names of LENIENT.
    compute_nodes: how many new machines are spread over.
    external_network: its subnet; None = what it was before, or the one of a new data center.
    """

    records_only: bool = False
    provision_seconds: float = 0.0
    throttle: tuple[int, float] | None = (_DEFAULT.burst, _DEFAULT.rate)
    catalogue: str | None = None
    lenient: tuple[str, ...] = ()
    compute_nodes: int = COMPUTE_NODES
    external_network: str | None = None

    @property
    def mode(self) -> str:
        return "records" if self.records_only else "zones"

    def bucket(self) -> Throttle | None:
        return None if self.throttle is None else Throttle(*self.throttle)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `localdc start`."""
    parser.add_argument(
        "--records-only",
        action="store_true",
        help="the same API with machines as records: no zones, no privileges, thousands of them",
    )
    parser.add_argument(
        "--provision-seconds",
        type=_seconds,
        default=0.0,
        metavar="N",
        help="how long provisioning takes (with --records-only)",
    )
    parser.add_argument(
        "--throttle",
        type=_throttle,
        default=(_DEFAULT.burst, _DEFAULT.rate),
        metavar="BURST/RATE|off",
        help=f"calls allowed at once, and per second after that "
        f"(default {_DEFAULT.burst}/{_DEFAULT.rate:g})",
    )
    parser.add_argument(
        "--compute-nodes",
        type=_compute_nodes,
        default=COMPUTE_NODES,
        metavar="N",
        help="how many compute nodes there are for affinity rules; all of them are this computer "
        "(default %(default)s)",
    )
    parser.add_argument(
        "--external-network",
        type=_external_network,
        metavar="SUBNET",
        help=f"the subnet of the external network, from now on (default {EXTERNAL})",
    )
    parser.add_argument(
        "--lenient",
        type=_lenient,
        default=(),
        metavar="WHAT,...|all",
        help="be more generous than a real machine in "
        + "; ".join(f"{name}: {text}" for name, text in LENIENT.items()),
    )

    parser.add_argument(
        "--catalogue",
        type=_catalogue,
        metavar="FILE|public|default",
        help="the packages and images it offers, from now on: those of a file, names such as a "
        "public cloud has, or its own again",
    )


def from_arguments(options: argparse.Namespace) -> StartOptions:
    """What the command line says."""
    return StartOptions(
        options.records_only,
        options.provision_seconds,
        options.throttle,
        options.catalogue,
        options.lenient,
        options.compute_nodes,
        options.external_network,
    )


def kept_catalogue(paths: StateDir) -> str:
    """The catalogue chosen at some start, as text; empty = that of a new data center."""
    return paths.catalogue.read_text(encoding="utf-8") if paths.catalogue.exists() else ""


def offered(paths: StateDir) -> dict[str, Any]:
    """Settings that the catalogue decides; raises LocalDCError for one that was damaged."""
    text = kept_catalogue(paths)
    try:
        return offers.read(text) if text else {}
    except offers.OfferError as error:
        raise LocalDCError(
            f"{paths.catalogue}: {error}. Choose again: python -m localdc start --catalogue default"
        ) from None


def _catalogue(text: str) -> str:
    if text == "default":
        return ""
    path = offers.PUBLIC if text == "public" else Path(text)
    try:
        content = path.read_text(encoding="utf-8")
        offers.read(content)
    except (OSError, UnicodeDecodeError, offers.OfferError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise argparse.ArgumentTypeError(f"{path}: {why}") from None
    return content


def _lenient(text: str) -> tuple[str, ...]:
    names = tuple(LENIENT) if text == "all" else tuple(text.split(","))
    unknown = [name for name in names if name not in LENIENT]
    if unknown:
        known = ", ".join(LENIENT)
        raise argparse.ArgumentTypeError(f"unknown choice {unknown[0]!r}; known: {known}, all")
    return names


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds <= 3600:
        raise argparse.ArgumentTypeError("must be 0 to 3600")
    return seconds


def _external_network(text: str) -> str:
    try:
        subnet = IPv4Network(text)
        check_external(subnet)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return str(subnet)


def _compute_nodes(text: str) -> int:
    number = int(text)
    if not 1 <= number <= MAX_COMPUTE_NODES:
        raise argparse.ArgumentTypeError(f"must be 1 to {MAX_COMPUTE_NODES}")
    return number


def _throttle(text: str) -> Any:
    if text == "off":
        return None
    burst, _, rate = text.partition("/")
    try:
        limits = int(burst), float(rate)
    except ValueError:
        raise argparse.ArgumentTypeError("must be BURST/RATE, such as 30/10, or off") from None
    if limits[0] < 1 or limits[1] <= 0:
        raise argparse.ArgumentTypeError("BURST and RATE must be positive")
    return limits
