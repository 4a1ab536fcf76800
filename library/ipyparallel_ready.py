#!/usr/bin/python
# ruff: noqa: E402 - ansible-doc wants the documentation before the imports
"""Ansible module: wait until a cluster of IPython engines really computes."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ipyparallel_ready
short_description: Wait until IPython engines compute
description:
  - Runs on the controller's machine. Waits until every machine has its engines, and until every
    engine has answered four probes. One direct call, one load-balanced task, one broadcast and one
    line of standard output; registered ids alone do not prove that the ports between the machines
    are open.
  - Engines may come and go meanwhile.
  - Ids of engines that have died without the controller noticing are removed, once all machines
    have their engines.
  - An engine that does not answer because it computes for somebody is counted, and listed in
    RV(busy).
version_added: "1.0.0"
author: The sdc-ipython-cluster contributors
options:
  machines:
    description:
      - The machines that run engines. Each entry is a name, or a dict of C(name) and C(aliases),
        where aliases are further host names, ids or addresses by which the engine may know its
        machine.
    type: list
    elements: raw
    required: true
  engines_per_machine:
    description:
      - Number of engines on each machine.
    type: int
    default: 1
  connection_file:
    description:
      - The client's connection file. Default is C(security/ipcontroller-client.json) of the
        profile.
    type: path
  ipython_dir:
    description:
      - IPYTHONDIR of the controller.
    type: path
  profile:
    description:
      - Name of the IPython profile.
    type: str
    default: default
  timeout:
    description:
      - Seconds for everything together.
    type: int
    default: 120
  probe_timeout:
    description:
      - Seconds in which an engine has to answer a probe before its path counts as blocked.
    type: float
    default: 10
  purge:
    description:
      - Remove ids of engines that no longer exist.
    type: bool
    default: true
attributes:
  check_mode:
    support: full
    description: Probes, but purges nothing. An absent controller is no error.
  diff_mode:
    support: none
    description: There is nothing to compare.
"""

EXAMPLES = r"""
- name: All engines compute
  ipyparallel_ready:
    ipython_dir: /opt/local/share/ipython
    machines:
      - name: ipython-engine-001
        aliases: [5a4b5c3e-58a6-4ea9-a4a1-56ea4f4c3c1d, 10.99.0.12]
    engines_per_machine: 1
    timeout: 120
"""

RETURN = r"""
ids:
  description: Ids of the engines that are ready.
  returned: always
  type: list
  elements: int
engines:
  description: Where each engine runs.
  returned: always
  type: list
  elements: dict
  sample: [{id: 0, machine: ipython-engine-001, hostname: ipython-engine-001, pid: 4711}]
missing:
  description: Machines that have too few engines.
  returned: always
  type: list
  elements: dict
  sample: [{machine: ipython-engine-002, have: 0, want: 1}]
blocked:
  description: Ids of engines that did not answer, by probe.
  returned: always
  type: dict
  sample: {direct: [], task: [2], broadcast: [], stdout: []}
busy:
  description: Ids of engines that compute for others and were not probed to the end.
  returned: always
  type: list
  elements: int
purged:
  description: Ids of engines that no longer existed.
  returned: always
  type: list
  elements: int
elapsed:
  description: Seconds that the module waited.
  returned: always
  type: float
"""

import contextlib
import json
import signal
import sys
import time
import uuid
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.ipp.census import Census, EngineHosts, Watch
from ansible.module_utils.ipp.probe import SESSION, Probing

ARGUMENTS: dict[str, Any] = {
    "machines": {"type": "list", "elements": "raw", "required": True},
    "engines_per_machine": {"type": "int", "default": 1},
    "connection_file": {"type": "path"},
    "ipython_dir": {"type": "path"},
    "profile": {"type": "str", "default": "default"},
    "timeout": {"type": "int", "default": 120},
    "probe_timeout": {"type": "float", "default": 10},
    "purge": {"type": "bool", "default": True},
}


REPEATS = 5.0
"""Seconds for the repetitions of a probe, before a path that is blocked ends the wait."""

ATTEMPTS = 4
"""How often a probe is sent before its path counts as blocked for good."""

# A client asks for the list of engines first and subscribes to news of them afterwards
# (ipyparallel.client.client, _connect). What registers in between it never hears of.
RENEW = 10.0


class NoController(Exception):
    """There is no controller to ask; the message says what is wrong."""


class Ready:
    """One run of the module."""

    def __init__(self, module: AnsibleModule, hosts: EngineHosts) -> None:
        self.module = module
        self.params = module.params
        self.hosts = hosts
        self.began = time.monotonic()
        self.deadline = self.began + self.params["timeout"]
        self.purged: list[int] = []
        self.census: Census | None = None
        self.before: Census | None = None
        self.ports: dict[str, Any] = {}

    def run(self) -> NoReturn:
        """Wait, and leave the module."""
        self.client = self._connect()
        try:
            with self._alarm():
                self._watch()
        except TimeoutError:
            self._fail("the controller stopped answering")
        finally:
            self.client.close(linger=0)
        self.module.exit_json(changed=bool(self.purged), **self._result())

    def _connect(self) -> Any:
        """A client, as soon as there is a controller that answers."""
        pause = 0.1
        while True:
            try:
                return self._client()
            except NoController as exc:
                problem = str(exc)
            if self.module.check_mode:
                self.module.exit_json(
                    changed=False, msg=f"nothing to probe: {problem}", **self._result()
                )
            if time.monotonic() + pause >= self.deadline:
                self._fail(f"{problem}; 'svcs -xv' on this machine tells why")
            time.sleep(pause)
            pause = min(pause * 1.5, 1.0)

    def _client(self) -> Any:
        from ipyparallel import Client

        path = self._connection_file()
        try:
            info = json.loads(path.read_text(encoding="utf-8"))
            self.ports = {name: info[name] for name in ("registration", "mux", "task")}
            self.host = str(info["interface"]).partition("://")[2]
            timeout = min(5.0, max(0.5, self.deadline - time.monotonic()))
            return Client(info, timeout=timeout, session=f"{SESSION}-{uuid.uuid4().hex}")
        except FileNotFoundError as exc:
            raise NoController(f"there is no {path}, so no controller has started") from exc
        except (ValueError, KeyError) as exc:
            raise NoController(f"{path} is not a complete connection file: {exc!r}") from exc
        except (TimeoutError, OSError) as exc:
            raise NoController(f"the controller of {path} does not answer: {exc}") from exc

    def _connection_file(self) -> Path:
        if self.params["connection_file"]:
            return Path(self.params["connection_file"])
        profile = Path(self.params["ipython_dir"], f"profile_{self.params['profile']}")
        return profile / "security" / "ipcontroller-client.json"

    def _new_watch(self) -> Watch:
        probing = Probing(self.client, self._engine_side())
        options = self.params["engines_per_machine"], self.params["probe_timeout"]
        return Watch(probing, self.hosts, *options)

    def _watch(self) -> None:
        watch = self._new_watch()
        pause, renew = 0.03, time.monotonic() + RENEW
        while True:
            self.census = census = watch.census()
            if census.complete and self._purge(watch, census):
                return
            if time.monotonic() >= self.deadline or self._hopeless(census):
                self.census = census = self._telling(census)
                self._fail(self._explain(census))
            if time.monotonic() >= renew and self._unlisted(census):
                self.before = self._telling(census)
                self.client.close(linger=0)
                self.client = self._connect()
                watch, renew = self._new_watch(), time.monotonic() + RENEW
            time.sleep(pause)
            pause = min(pause * 1.2, 0.5)

    def _telling(self, census: Census) -> Census:
        """The last census, or the one before the client was renewed while that knows more."""
        age = self.params["probe_timeout"]
        if any(census.blocked(age).values()) or self.before is None:
            return census
        return self.before if any(self.before.blocked(age).values()) else census

    @staticmethod
    def _unlisted(census: Census) -> bool:
        """Whether engines lack that the client has not even heard of."""
        return census.lacking > len(census.silent)

    def _engine_side(self) -> str:
        """The address that engines connect to, by which they find their own address."""
        engine_file = self._connection_file().with_name("ipcontroller-engine.json")
        with contextlib.suppress(OSError, ValueError, KeyError):
            info = json.loads(engine_file.read_text(encoding="utf-8"))
            return str(info["interface"]).partition("://")[2]
        return self.host

    def _purge(self, watch: Watch, census: Census) -> bool:
        """Forget dead engines; False while it is not known which are dead."""
        if not self.params["purge"]:
            return True
        ghosts = watch.ghosts(census)
        if ghosts is None:
            return False
        self.purged += [ghost.id for ghost in ghosts]
        if not self.module.check_mode:
            watch.probing.purge(self.purged)
        return True

    def _hopeless(self, census: Census) -> bool:
        """All engines are there, but a path to them stays blocked, repeated probes included."""
        blocked = census.blocked(self.params["probe_timeout"] + REPEATS)
        half = {engine.id for engine in census.silent if engine.passed}
        if any(engine.attempts < ATTEMPTS for engine in census.silent if engine.passed):
            # the time passed, but not for this program: a machine that was held up
            return False
        return 0 < census.lacking <= len(half) and all(
            any(ident in ids for ids in blocked.values()) for ident in half
        )

    def _explain(self, census: Census) -> str:
        parts = [
            f"{item['machine']} has {item['have']} of {item['want']} engines"
            for item in census.missing
        ]
        for name, ids in census.blocked(self.params["probe_timeout"]).items():
            if ids:
                parts.append(f"probe {name!r} gets no answer from {self._places(census, ids)}")
        failures = {
            failure
            for engine in census.silent
            for name, failure in engine.failures.items()
            if name not in engine.passed
        }
        parts += [f"a probe ended with {' '.join(failure.split())}" for failure in sorted(failures)]
        silent = [machine["machine"] for machine in census.missing if machine["have"] == 0]
        hint = "the engine service there ('svcs -xv') and its log"
        if not failures:
            hint += ", and the ports between the zones"
        if silent and not any(engine.passed for engine in census.silent):
            hint += "; an engine that has registered but is not listed lacks the heartbeat ports"
        return f"{'; '.join(parts)}; look at {hint}"

    @staticmethod
    def _places(census: Census, ids: list[int]) -> str:
        engines = [engine for engine in census.silent if engine.id in ids]
        return ", ".join(
            f"engine {engine.id}" + (f" on {engine.machine}" if engine.machine else "")
            for engine in engines
        )

    @contextlib.contextmanager
    def _alarm(self) -> Iterator[None]:
        """Some calls of the client have no time-out of their own."""

        def ring(*_: object) -> NoReturn:
            raise TimeoutError

        previous = signal.signal(signal.SIGALRM, ring)
        signal.alarm(int(max(1, self.deadline - time.monotonic())) + 5)
        try:
            yield
        finally:
            signal.alarm(0)
            signal.signal(signal.SIGALRM, previous)

    def _result(self) -> dict[str, Any]:
        census = self.census or Census([], [], [], [])
        engines = sorted([*census.ready, *census.busy], key=lambda engine: engine.id)
        return {
            "ids": [engine.id for engine in engines],
            "engines": [
                {
                    "id": engine.id,
                    "machine": engine.machine,
                    "hostname": (engine.place or {}).get("hostname"),
                    "pid": (engine.place or {}).get("pid"),
                }
                for engine in engines
            ],
            "missing": census.missing,
            "blocked": {
                name: [ident for ident in ids if ident not in self.purged]
                for name, ids in census.blocked(self.params["probe_timeout"]).items()
            },
            "busy": sorted(engine.id for engine in census.busy),
            "purged": self.purged,
            "elapsed": round(time.monotonic() - self.began, 2),
        }

    def _fail(self, message: str) -> NoReturn:
        self.module.fail_json(
            msg=f"the cluster is not ready after {time.monotonic() - self.began:.0f} s: {message}",
            **self._result(),
        )


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec=ARGUMENTS,
        required_one_of=[("connection_file", "ipython_dir")],
        supports_check_mode=True,
    )
    try:
        hosts = EngineHosts.parse(module.params["machines"])
        __import__("ipyparallel")
    except ValueError as exc:
        module.fail_json(msg=str(exc))
    except ImportError as exc:
        module.fail_json(
            msg=f"{sys.executable} has no usable ipyparallel ({' '.join(str(exc).split())[:200]}); "
            "run the task on the controller's "
            "machine with the interpreter of its packages"
        )
    warnings.simplefilter("ignore")
    Ready(module, hosts).run()


if __name__ == "__main__":
    main()
