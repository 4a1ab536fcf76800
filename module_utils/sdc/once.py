"""Making a thing once, although the answer to the request for it may be lost."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from ansible.module_utils.sdc.client import Client, errors

T = TypeVar("T")

PAUSES = (0.2, 0.6, 1.2)
"""Seconds before each look for what was made: lists lag a little behind."""


def once(
    api: Client,
    make: Callable[[], T],
    look: Callable[[], T | None],
    pauses: Sequence[float] = PAUSES,
) -> T:
    """Ask for a thing until it is there, and never for a second one.

    After a lost answer it is looked for before it is asked for again, for as long as a call may
    take with its repetitions.

    :param make: one request; nothing else of it may be repeated
    :param look: the thing that `make` makes, if it is there
    :raises RequestError: the last error of `make`
    """
    deadline = time.monotonic() + api.transport.patience
    lost = False
    while True:
        try:
            return make()
        except errors.RequestError as exc:
            # a refusal after a lost answer may mean that our own is in the way
            lost = lost or exc.ambiguous
            found = _look(look, pauses) if lost else None
            if found is not None:
                return found
            if not exc.ambiguous or time.monotonic() >= deadline:
                raise


def _look(look: Callable[[], T | None], pauses: Sequence[float]) -> T | None:
    for pause in pauses:
        time.sleep(pause)
        found = look()
        if found is not None:
            return found
    return None
