#!/usr/bin/env python3
"""How long it takes from nothing to N engines that compute, beside `ipcluster start -n N`.

The floor is a cluster of the same size on this machine without any zones: ipcluster, timed
from its start until a client sees all engines. Both are measured in turn, --repeat times, and
compared by their medians.

    python benchmarks/launch.py [N ...] [--repeat 3] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import ipyparallel as ipp
import psutil
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
CLUSTER = "benchmark"
PHASES = ("ipcluster", "first", "second", "teardown")


def timed(action: Callable[[], object]) -> float:
    """Seconds that the action takes."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def eventually(condition: Callable[[], object], what: str, seconds: float = 120.0) -> None:
    """Wait until the condition holds; TimeoutError with `what` where it never does."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"not within {seconds:g} s: {what}")
        time.sleep(0.02)


def wait_for_engines(file: Path, count: int) -> None:
    """Wait until a client with this connection file sees that many engines."""
    clients: list[ipp.Client] = []

    def connected() -> bool:
        with suppress(OSError, TimeoutError, ValueError):
            clients.append(ipp.Client(str(file), timeout=1))
        return bool(clients)

    eventually(lambda: file.exists() and connected(), "a controller of ipcluster", 400)
    with clients[0] as client:
        eventually(lambda: len(client.ids) >= count, f"{count} engines of ipcluster", 400)


@contextmanager
def ipcluster(count: int) -> Iterator[None]:
    """A cluster on this machine, running.

    Its engines wait for the controller as long as those of a machine do, and it for them. By
    default it is 5 s, within which 64 engines do not get through to a controller on two cores: many
    end for good. And 30 s to the first heartbeat: an engine that hears it later is never used.
    """
    with tempfile.TemporaryDirectory() as directory:
        profile = Path(directory, "profile_default")
        profile.mkdir()
        (profile / "ipengine_config.py").write_text("get_config().IPEngine.timeout = 300\n")
        patience = "get_config().IPController.registration_timeout = 300\n"
        (profile / "ipcontroller_config.py").write_text(patience)
        process = subprocess.Popen(
            [sys.executable, "-m", "ipyparallel.cluster", "start", "-n", str(count)],
            env={**os.environ, "IPYTHONDIR": directory},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_for_engines(profile / "security" / "ipcontroller-client.json", count)
            yield
        finally:
            end(psutil.Process(process.pid))


def end(cluster: psutil.Process) -> None:
    """End a cluster; what is left of it after a minute is killed."""
    family = [cluster, *cluster.children(recursive=True)]
    cluster.terminate()
    _, left = psutil.wait_procs(family, timeout=60)
    for process in left:
        process.kill()
    psutil.wait_procs(left)


def floor(count: int) -> float:
    """Seconds from nothing to a local cluster."""
    started = time.perf_counter()
    with ipcluster(count):
        return time.perf_counter() - started


def playbook(name: str, **variables: object) -> None:
    """Run a playbook; show what it printed if it fails."""
    extra = [word for key, value in variables.items() for word in ("-e", f"{key}={value}")]
    command = [str(Path(sys.executable).with_name("ansible-playbook")), name, *extra]
    # Where bytecode is not kept, every process compiles what it imports: no user's machine does.
    env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=env)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout[-4000:]}{done.stderr[-1000:]}")


def measure(count: int) -> dict[str, float]:
    """One round for one size."""
    result = {"ipcluster": floor(count)}
    site = {"cluster": CLUSTER, "engines": count}
    result["first"] = timed(lambda: playbook("site.yml", **site))
    result["second"] = timed(lambda: playbook("site.yml", **site))
    result["teardown"] = timed(lambda: playbook("teardown.yml", cluster=CLUSTER))
    return result


def row(count: int, rounds: list[dict[str, float]]) -> dict[str, object]:
    """Medians and ratios of the rounds of one size."""
    medians = {phase: round(statistics.median(r[phase] for r in rounds), 2) for phase in PHASES}
    return {
        "engines": count,
        **medians,
        "ratio": round(medians["first"] / medians["ipcluster"], 2),
        "second_to_first": round(medians["second"] / medians["first"], 2),
        "rounds": [{phase: round(r[phase], 2) for phase in PHASES} for r in rounds],
    }


def show(rows: list[dict[str, object]]) -> None:
    """Print the figures as a table."""
    table = Table(title=f"Seconds, medians; {os.cpu_count()} cores, {platform.machine()}")
    heads = ("engines", "ipcluster", "site.yml", "x ipcluster", "again", "again/first", "teardown")
    keys = ("engines", "ipcluster", "first", "ratio", "second", "second_to_first", "teardown")
    for head in heads:
        table.add_column(head, justify="right")
    for entry in rows:
        table.add_row(*(str(entry[key]) for key in keys))
    Console().print(table)


def main() -> int:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("engines", type=int, nargs="*", default=[1, 4], help="sizes to measure")
    options.add_argument("--repeat", type=int, default=3, help="rounds for each size")
    options.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = options.parse_args()
    playbook("teardown.yml", cluster=CLUSTER)
    subprocess.run([sys.executable, "-m", "localdc", "start"], cwd=ROOT, check=True)
    rows = []
    for count in arguments.engines:
        rounds = [measure(count) for _ in range(arguments.repeat)]
        rows.append(row(count, rounds))
        show(rows[-1:])
    show(rows)
    if arguments.json:
        document = {"cores": os.cpu_count(), "python": platform.python_version(), "sizes": rows}
        arguments.json.write_text(json.dumps(document, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
