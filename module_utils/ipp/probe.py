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
CARRIERS = ("direct", "task", "broadcast")
"""The probes that are messages; stdout comes along with direct."""

SESSION = "ready"
"""How the session of every probing client begins, so that one run knows the probes of another."""


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
    again: float
    answers: dict[str, list[Any]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    passed: set[str] = field(default_factory=set)
    place: dict[str, Any] | None = None
    machine: str | None = None

    @property
    def ready(self) -> bool:
        """Whether all probes have come back."""
        return len(self.passed) == len(PROBES)

    @property
    def unanswered(self) -> list[str]:
        """Probes that were sent and have not come back."""
        sent = {name for name, answers in self.answers.items() if answers} | {"stdout"}
        return [name for name in PROBES if name in sent - self.passed]

    @property
    def attempts(self) -> int:
        """How often the probes that have not come back were sent."""
        carriers = {name if name in CARRIERS else "direct" for name in self.unanswered}
        return min((len(self.answers[name]) for name in carriers), default=0)


class Probing:
    """Sends each engine its probes and collects the answers.

    What has not come back is sent again after 1, 2, 4 ... seconds: while an engine reconnects to
    a restarted controller, messages to it are dropped. A task that is dropped would count as
    running for ever, and the scheduler would give the engine no other; so the task is sent when
    the engine has answered the others.
    """

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
        now = time.monotonic()
        engine = Engine(engine_id, now, now + 1.0)
        for name in CARRIERS:
            engine.answers[name] = [] if name == "task" else [self._send(name, engine_id)]
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
        for name, answers in engine.answers.items():
            for answer in answers:
                if name not in engine.passed and answer.ready():
                    self._take(engine, name, answer)
        if "stdout" not in engine.passed:
            outputs = [a.stdout for a in engine.answers["direct"] if a.ready()]
            if any(f"probe-{engine.id}" in output for output in outputs):
                engine.passed.add("stdout")
        if not engine.answers["task"] and engine.passed == set(PROBES) - {"task"}:
            engine.answers["task"].append(self._send("task", engine.id))
        now = time.monotonic()
        if engine.unanswered and now >= engine.again and engine.id in self.client.ids:
            engine.again = now + min(now - engine.began, 10.0)
            for name in engine.unanswered:
                carrier = name if name in CARRIERS else "direct"
                engine.answers[carrier].append(self._send(carrier, engine.id))

    @staticmethod
    def _take(engine: Engine, name: str, answer: Any) -> None:
        error = answer.exception()
        if error is not None:
            # an engine that died is off the list of ids soon
            engine.failures[name] = f"{type(error).__name__}: {error}"
            return
        value = answer.result()
        engine.place = engine.place or (value[0] if isinstance(value, list) else value)
        engine.passed.add(name)

    def occupied(self, ids: Iterable[int]) -> set[int]:
        """Those engines which have work of others to do."""
        wanted = list(ids)
        if not wanted:
            return set()
        busy = set()
        for engine_id, status in self.client.queue_status(wanted, verbose=True).items():
            if isinstance(engine_id, int) and isinstance(status, Mapping):
                jobs = [*status.get("queue", ()), *status.get("tasks", ())]
                if not all(str(job).startswith(SESSION) for job in jobs):
                    busy.add(engine_id)
        return busy

    def purge(self, ids: Iterable[int], timeout: float = 5.0) -> None:
        """Make the controller forget engines."""
        left = set(ids)
        for ident in left:
            content = {"id": ident}
            self.client._send(self.client._query_stream, "unregistration_request", content=content)
        # there is no answer to this request; the notification takes the id off the client's list
        end = time.monotonic() + timeout
        while left & set(self.client.ids) and time.monotonic() < end:
            time.sleep(0.02)
