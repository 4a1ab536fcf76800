"""Four ways to reach an IPython engine, and which of them work.

Each path has ports of its own, so a firewall can block one and leave the others: a direct call
(mux), a load-balanced task (task), a broadcast (broadcast) and standard output (iopub).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

PROBES = ("direct", "task", "broadcast", "stdout")


def where(controller: str, token: str) -> dict[str, Any]:
    """Runs on an engine: say on which machine it is, and print a line."""
    import os
    import socket

    address = ""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            # no packet is sent; the kernel chooses the address that packets would come from
            probe.connect((controller, 9))
            address = probe.getsockname()[0]
    except OSError:
        pass
    print(token)
    return {"hostname": socket.gethostname(), "address": address, "pid": os.getpid()}


# Functions of a module are sent by name, and engines have no module of Ansible to import it from.
where.__module__ = "__main__"


@dataclass
class Engine:
    """What is known about one engine."""

    id: int
    began: float
    answers: dict[str, Any] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    passed: set[str] = field(default_factory=set)
    place: dict[str, Any] | None = None
    machine: str | None = None

    @property
    def ready(self) -> bool:
        """Whether all probes have come back."""
        return len(self.passed) == len(PROBES)

    @property
    def unanswered(self) -> list[str]:
        """Probes that have not come back."""
        return [name for name in PROBES if name not in self.passed]


class Probing:
    """Sends each engine its probes once and collects the answers."""

    def __init__(self, client: Any, controller: str) -> None:
        self.client = client
        self.controller = controller
        self.engines: dict[int, Engine] = {}
        self._balanced = client.load_balanced_view()

    def update(self) -> None:
        """Probe new engines, forget those that have gone, take in answers."""
        present = set(self.client.ids)
        for engine_id in set(self.engines) - present:
            del self.engines[engine_id]
        for engine_id in sorted(present - set(self.engines)):
            try:
                self.engines[engine_id] = self._begin(engine_id)
            except Exception as exc:
                if engine_id in self.client.ids:
                    raise RuntimeError(f"engine {engine_id} cannot be probed: {exc}") from exc
        for engine in self.engines.values():
            self._collect(engine)

    def _begin(self, engine_id: int) -> Engine:
        engine = Engine(engine_id, time.monotonic())
        for name in ("direct", "task", "broadcast"):
            engine.answers[name] = self._send(name, engine_id)
        return engine

    def _send(self, name: str, engine_id: int) -> Any:
        arguments = (where, self.controller, f"probe-{engine_id}")
        if name == "direct":
            return self.client[engine_id].apply_async(*arguments)
        if name == "broadcast":
            return self.client.broadcast_view([engine_id]).apply_async(*arguments)
        with self._balanced.temp_flags(targets=[engine_id]):
            return self._balanced.apply_async(*arguments)

    def _collect(self, engine: Engine) -> None:
        for name, answer in list(engine.answers.items()):
            if name in engine.passed or not answer.ready():
                continue
            error = answer.exception()
            if error is None:
                value = answer.result()
                engine.place = engine.place or (value[0] if isinstance(value, list) else value)
                engine.passed.add(name)
            elif name not in engine.errors:
                # an engine that died is off the list of ids soon; any other gets a second chance
                engine.errors[name] = f"{type(error).__name__}: {error}"
                if engine.id in self.client.ids:
                    engine.answers[name] = self._send(name, engine.id)
        if "stdout" not in engine.passed and "direct" in engine.passed:
            output = engine.answers["direct"].stdout
            if f"probe-{engine.id}" in (output if isinstance(output, str) else "".join(output)):
                engine.passed.add("stdout")

    def occupied(self, ids: Iterable[int]) -> set[int]:
        """Those engines which have work of others to do."""
        wanted = list(ids)
        if not wanted:
            return set()
        busy = set()
        for engine_id, status in self.client.queue_status(wanted, verbose=True).items():
            if isinstance(engine_id, int) and isinstance(status, Mapping):
                jobs = {*status.get("queue", ()), *status.get("tasks", ())}
                if jobs - set(self.client.history):
                    busy.add(engine_id)
        return busy

    def purge(self, engine_id: int) -> None:
        """Make the controller forget an engine."""
        # there is no answer to this request; the notification takes the id off the client's list
        self.client._send(
            self.client._query_stream, "unregistration_request", content={"id": engine_id}
        )
