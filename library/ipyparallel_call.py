#!/usr/bin/python
# ruff: noqa: E402 - ansible-doc wants the documentation before the imports
"""Ansible module: one function sent from here to an engine, and its answer."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ipyparallel_call
short_description: Send a function to an engine
description:
  - Runs on the machine of the user. Sends a function and an argument to the engines that have
    nothing else to do, as C(view.apply) does, until one has given the right answer.
  - C(ipyparallel_ready) asks from the controller's machine; this asks the way that a user's program
    goes. Through the tunnel, with the Python and the ipyparallel of the user.
  - When all engines compute for somebody, or there is none, nothing is sent.
version_added: "1.0.0"
author: The sdc-ipython-cluster contributors
options:
  connection_file:
    description:
      - The client's connection file.
    type: path
    required: true
  timeout:
    description:
      - Seconds for everything together.
    type: int
    default: 60
attributes:
  check_mode:
    support: full
    description: Changes nothing in any case.
  diff_mode:
    support: none
    description: Changes nothing.
"""

EXAMPLES = r"""
- name: An engine computes for this computer
  ipyparallel_call:
    connection_file: .cluster/ipython/ipcontroller-client.json
"""

RETURN = r"""
engine:
  description: Id of the first engine that answered.
  returned: when any was asked
  type: int
  sample: 0
skipped_because:
  description: Why nothing was sent.
  returned: when nothing was sent
  type: str
  sample: all engines compute for others
"""

import contextlib
import signal
import sys
import time
import warnings
from collections.abc import Iterator
from typing import Any, NoReturn

from ansible.module_utils.basic import AnsibleModule

ARGUMENTS: dict[str, Any] = {
    "connection_file": {"type": "path", "required": True},
    "timeout": {"type": "int", "default": 60},
}


def total(values: list[int]) -> int:
    """Runs on an engine: with a loop and an inner function, whose byte code differs by version."""

    def double(value: int) -> int:
        return value * 2

    return sum(double(value) for value in values)


# Functions of a module are sent by name, and engines have no module of Ansible to import it from.
total.__module__ = "__main__"
VALUES = list(range(10))


class NoAnswer(Exception):
    """No engine computed; the message says why."""


@contextlib.contextmanager
def limited(seconds: int) -> Iterator[None]:
    """Some calls of the client have no time-out of their own."""

    def ring(*_: object) -> NoReturn:
        raise TimeoutError(f"no answer within {seconds} s")

    previous = signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)


def idle(client: Any) -> list[int]:
    """The ids of engines that have nothing to do."""
    # of engines that have gone it tells as well
    status = client.queue_status()
    return [
        engine
        for engine in client.ids
        if not status.get(engine, {}).get("queue") and not status.get(engine, {}).get("tasks")
    ]


def answered(engine: int, answer: Any) -> None:
    """Raise NoAnswer unless it is the right one."""
    from ipyparallel.error import RemoteError

    try:
        value = answer.get()
    except RemoteError as exc:
        how = "died of it" if exc.ename == "EngineError" else f"answered {exc.ename}"
        raise NoAnswer(f"engine {engine} {how}: {exc.evalue}") from exc
    if value != total(VALUES):
        raise NoAnswer(f"engine {engine} answered {value!r} instead of {total(VALUES)}")


def call(client: Any) -> dict[str, Any]:
    """Ask the engines until one has answered; the module's result.

    One of them may have died without the controller having noticed.
    """
    if not client.ids:
        return {"skipped_because": "there is no engine"}
    asked = {engine: client[engine].apply_async(total, VALUES) for engine in idle(client)}
    if not asked:
        return {"skipped_because": "all engines compute for others"}
    problems: list[str] = []
    try:
        while asked:
            for engine in [engine for engine, answer in asked.items() if answer.ready()]:
                try:
                    answered(engine, asked.pop(engine))
                except NoAnswer as exc:
                    problems.append(str(exc))
                else:
                    return {"engine": engine}
            time.sleep(0.01)
    except TimeoutError as exc:
        problems.append(f"engine {min(asked)}: {exc}")
    raise NoAnswer(problems[0])


def main() -> None:
    """Entry point."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    file = module.params["connection_file"]
    try:
        from ipyparallel import Client
    except ImportError as exc:
        why = " ".join(str(exc).split())[:200]
        module.exit_json(
            changed=False, skipped_because=f"{sys.executable} has no usable ipyparallel ({why})"
        )
    warnings.simplefilter("ignore")
    began = time.monotonic()
    try:
        with limited(module.params["timeout"]):
            client = Client(file, timeout=module.params["timeout"])
            try:
                result = call(client)
            finally:
                client.close(linger=0)
    except (NoAnswer, OSError, ValueError) as exc:
        module.fail_json(
            msg="The engines compute for the controller, but not for this computer: "
            f"{' '.join(str(exc).split())} (by {file}). Look at tunnel.log beside it, and at "
            "the engine's log (svcs -L ipyparallel)"
        )
    module.exit_json(changed=False, elapsed=round(time.monotonic() - began, 2), **result)


if __name__ == "__main__":
    main()
