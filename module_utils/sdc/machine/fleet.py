"""Many machines at once: requests in a bounded pool, and one list request per poll for all."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from typing import Any, TypeVar

from ansible.module_utils.sdc.base import BY_HAND, details
from ansible.module_utils.sdc.client import Client, errors
from ansible.module_utils.sdc.machine.group import REQUEST_TAG, Machine
from ansible.module_utils.sdc.machine.ssh import SshProbe
from ansible.module_utils.sdc.machine.target import Target
from ansible.module_utils.sdc.once import once

T = TypeVar("T")
R = TypeVar("R")

READABLE_AFTER = 30.0
"""Seconds for which a new machine may be missing from answers before that counts as lost."""

LISTED_AFTER = (0.3, 0.7, 1.5, 2.5)
"""Seconds between looks for a machine whose creation was not answered."""

PATIENT_PAUSE = 20.0
"""Seconds between polls that a person has to sign."""


class Fleet:
    """Carries out decisions on machines and waits for them."""

    def __init__(self, api: Client, parallel: int, selector: Mapping[str, Any]) -> None:
        self.api = api
        self.parallel = parallel
        self.selector = selector

    def each(
        self, function: Callable[[T], R], items: Iterable[T]
    ) -> list[tuple[T, R | None, errors.SmartDCError | None]]:
        """Call a function for all items, at most `parallel` at a time.

        Returns (item, answer, error) in the order of the items.
        """
        items = list(items)
        if not items:
            return []

        def guarded(item: T) -> tuple[T, R | None, errors.SmartDCError | None]:
            try:
                return item, function(item), None
            except errors.SmartDCError as exc:
                return item, None, exc

        with ThreadPoolExecutor(min(self.parallel, len(items))) as pool:
            return list(pool.map(guarded, items))

    # --- creating --------------------------------------------------------------------------

    def create(self, payload: Mapping[str, Any]) -> Machine:
        """Create one machine; after a lost answer look for it before trying again."""
        tags = {REQUEST_TAG: payload["tags"][REQUEST_TAG]}

        def look() -> Machine | None:
            return next(iter(self.api.list_machines(tags=tags)), None)

        return once(self.api, lambda: self.api.create(payload), look, LISTED_AFTER)

    def create_settled(self, payload: Mapping[str, Any], timeout: float) -> Machine:
        """Create one machine and wait until it has its place."""
        machine = self.create(payload)
        deadline = time.monotonic() + timeout
        pause = 0.2
        while machine.get("state") == "provisioning" and time.monotonic() < deadline:
            time.sleep(pause)
            pause = min(pause * 1.5, 3.0)
            with contextlib.suppress(errors.NotFound):
                machine = self.api.get_machine(machine["id"])
        return machine

    # --- waiting ---------------------------------------------------------------------------

    def act(self, targets: Iterable[Target]) -> bool:
        """Ask for the next action of every target; return whether something was asked."""
        wanted = [(target, target.step()) for target in targets if not target.settled]
        todo = [(target, action) for target, action in wanted if action]
        for (target, action), _, exc in self.each(self._ask, todo):
            if exc is None:
                continue
            again = ["UnallocatedVM"]
            if target.unprotect:
                # the data center switches protection off in its own time
                again.append("CannotDestroyMachineError")
            if isinstance(exc, errors.APIError) and exc.code in again:
                target.asked.discard(action)
            elif isinstance(exc, errors.Gone | errors.NotFound) and target.goal == "gone":
                target.done = True
            else:
                target.fail(action, str(exc), **details(exc))
        return bool(todo)

    def ask(self, targets: Sequence[Target]) -> None:
        """Ask for what leads to the goals, once, and wait for nothing."""
        for target in targets:
            target.stop_first = False
        self.act(targets)
        for target in targets:
            if target.goal == "gone" and not target.done and "delete" not in target.asked:
                target.fail("delete", f"cannot be deleted while {target.state}; wait for it")
            target.done = True

    def _ask(self, item: tuple[Target, str]) -> None:
        target, action = item
        if action == "delete":
            self.api.delete(target.id)
        else:
            self.api.act(target.id, action)

    def settle(
        self, targets: Sequence[Target], timeout: float, probe: SshProbe | None = None
    ) -> None:
        """Lead all targets to their goals, whatever becomes of the others.

        Ends when each has reached its goal or failed, and at the deadline with a failure for
        each late one.
        """
        began = time.monotonic()
        pool = ThreadPoolExecutor(self.parallel)
        pause = 0.15
        try:
            while True:
                self.act(targets)
                self._check_ssh(targets, probe, pool)
                pending = [target for target in targets if not target.settled]
                elapsed = time.monotonic() - began
                late = elapsed >= timeout
                if late:
                    self._late(pending, timeout, probe)
                if late or not pending:
                    break
                if self.api.auth and self.api.auth.slowest >= BY_HAND:
                    pause = PATIENT_PAUSE
                left = timeout - (time.monotonic() - began)
                self._pause(pending, min(pause * random.uniform(0.8, 1.2), max(left, 0.0)))
                pause = min(pause * 1.35, 1.0 if elapsed < 30 and len(pending) < 200 else 5.0)
                if not all(target.ssh for target in pending) or pause >= 1.0:
                    self._refresh(pending, began)
        finally:
            if probe:
                probe.stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
        self._explain(targets)

    @staticmethod
    def _pause(pending: Sequence[Target], seconds: float) -> None:
        running = [target.ssh for target in pending if target.ssh and not target.ssh.done()]
        if running and len(running) == len(pending):
            wait(running, timeout=max(seconds, 0.05), return_when=FIRST_COMPLETED)
        else:
            time.sleep(seconds)

    def _refresh(self, pending: Sequence[Target], began: float) -> None:
        """Learn the states of all pending machines with one list request.

        The list leaves out deleted and failed machines; those that should be there and are not
        are looked up, with a list that has them when they are many.
        """
        listed: dict[str, Machine] = {}
        if self.selector or len(pending) > 1:
            listed = self._list()
            missing = [t for t in pending if t.id not in listed and t.goal != "gone"]
            if len(missing) > 3:
                listed = {**self._list(tombstone=True), **listed}
        for target in pending:
            if target.id in listed:
                target.machine = listed[target.id]
            elif target.goal == "gone" and self.selector:
                target.machine = {**target.machine, "state": "deleted"}
            else:
                target.machine = self._look_up(target, began)

    def listed(self, idents: Sequence[str]) -> dict[str, Machine]:
        """These machines as they are now; one that cannot be read is left out."""
        if self.selector or len(idents) > 1:
            return self._list()
        found: dict[str, Machine] = {}
        for ident in idents:
            with contextlib.suppress(errors.NotFound, errors.Gone):
                found[ident] = self.api.get_machine(ident)
        return found

    def _list(self, **options: Any) -> dict[str, Machine]:
        machines = self.api.list_machines(tags=dict(self.selector) or None, **options)
        return {machine["id"]: machine for machine in machines}

    def _look_up(self, target: Target, began: float) -> Machine:
        try:
            return self.api.get_machine(target.id)
        except errors.Gone:
            return {**target.machine, "state": "deleted"}
        except errors.NotFound:
            fresh = time.monotonic() - began < READABLE_AFTER
            if fresh and target.goal != "gone":
                return target.machine
            return {**target.machine, "state": "deleted"}

    @staticmethod
    def _check_ssh(
        targets: Iterable[Target], probe: SshProbe | None, pool: ThreadPoolExecutor
    ) -> None:
        """Begin ssh checks of machines that run; a machine is done when its check is."""
        if probe is None:
            return
        for target in targets:
            if target.goal not in ("running", "restarted") or target.failure:
                continue
            if target.ssh is None and target.done and probe.destination(target.machine).host:
                target.ssh = pool.submit(probe.wait, target.machine)
            problem = target.ssh.result() if target.ssh and target.ssh.done() else None
            target.done = problem == ""
            if problem and target.id in probe.final:
                target.fail("ssh", problem)

    @staticmethod
    def _late(pending: Iterable[Target], timeout: float, probe: SshProbe | None) -> None:
        for target in pending:
            state = f"still {target.state} after {timeout:g} s"
            if target.ssh and probe:
                problem = probe.problems.get(target.id) or "no answer"
                hint = ""
                if "Connection refused" in problem:
                    hint = (
                        f". Does its image ({target.machine.get('image')}) start sshd on this "
                        "platform? base-64-lts 24.4.0 does not on newer ones, 24.4.1 does"
                    )
                target.fail("ssh", f"{state}, but ssh does not get in: {problem}{hint}")
            else:
                target.fail("wait", state)

    def _explain(self, targets: Iterable[Target], limit: int = 5) -> None:
        """Add what the audit has of them to the first that are late."""
        late = [t for t in targets if t.failure and t.failure["action"] == "wait"]
        for target in late[:limit]:
            if target.failure:
                target.failure["message"] += self.failed_job(target.id)

    def failed_job(self, machine_id: str) -> str:
        """What to add to a complaint when the last job of a machine failed; else nothing."""
        try:
            entries = self.api.audit(machine_id)
        except errors.SmartDCError:
            return ""
        # newest first
        if not entries or entries[0].get("success") != "no":
            return ""
        return (
            f": its last job ({entries[0].get('action')}) failed, and the data center does not say "
            f"why. Its operator can tell, and needs the id {machine_id}"
        )
