"""The read-only layer that goes over the host's /usr."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from localdc.pkgsrc import Store


class ImageError(Exception):
    """The image cannot be made on this host; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Layer:
    """Everything zones have in common.

    `usr` is the upper one of two read-only overlay layers, the host's /usr
    being the lower (`lowerdir=usr:/usr`); `template` is the zone root that
    `create_root` copies.  `python` is the interpreter and `startd` the script
    that pid 1 executes, both as paths inside a zone.  `store` must be
    bind-mounted at `/opt/.pkgsrc` before either can run.
    """

    usr: Path
    template: Path
    python: str
    startd: str
    store: Path


def build_layer(state: Path, store: Store) -> Layer:
    """Make, or find, the layer below `state`/layer.

    Raises ImageError when the host lacks something (sshd, a merged /usr).
    """
    raise ImageError("the layer builder has not landed yet")
