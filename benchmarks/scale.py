#!/usr/bin/env python3
"""Measure the modules and the inventory at the size of a large account, without zones.

    python benchmarks/scale.py [--machines 1000] [--inventory 2000] [--updates 200]

A data center of records (`localdc start --records-only`) with the throttle of a real one: 30 calls
at once, then 10 a second. What a task needs at least follows from its number of calls; a task may
take 10 % more. Exits with 1 when a goal is missed. Takes some five minutes.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import requests

from smartdc.config import resolve

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
BURST, RATE = 30, 10
OFFER = {"package": "sample-512M", "image": "base-64-lts"}


class Center:
    """A data center of records in a directory of its own."""

    def __init__(self, directory: Path) -> None:
        own = ("SDC_", "TRITON_", "LOCALDC_", "ANSIBLE_")
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith(own)}
        self.environment |= {"LOCALDC_DIR": str(directory), "PYTHONPATH": str(ROOT)}
        self.environment["ANSIBLE_CONFIG"] = str(ROOT / "ansible.cfg")
        self.directory = directory
        throttle = f"{BURST}/{RATE}"
        self.localdc("start", "--records-only", "--throttle", throttle)
        self.access = json.loads((directory / "datacenter.json").read_text())
        token = (directory / "admin_token").read_text().strip()
        self.headers = {"Authorization": f"Bearer {token}"}

    def localdc(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "localdc", *arguments]
        subprocess.run(command, env=self.environment, check=True, capture_output=True)

    def admin(self, method: str, path: str, **body: Any) -> dict[str, Any]:
        url = f"{self.access['url']}/--admin/{path}"
        options: dict[str, Any] = {"json": body} if body else {}
        answer = requests.request(method, url, headers=self.headers, timeout=60, **options)
        answer.raise_for_status()
        return answer.json() if answer.content else {}

    def calls(self) -> int:
        """Calls since the last question."""
        total = self.admin("GET", "requests")["total"]
        self.admin("DELETE", "requests")
        return int(total)

    @contextlib.contextmanager
    def unthrottled(self) -> Iterator[None]:
        self.admin("PUT", "settings", throttle=None)
        try:
            yield
        finally:
            self.refill()

    def refill(self) -> None:
        """A full bucket: each task is measured from its start."""
        self.admin("PUT", "settings", throttle={"burst": BURST, "rate": RATE})

    def client(self) -> Any:
        return resolve(env=self.environment, cwd=self.directory.parent).connect(rate=None)


def ansible(center: Center, program: str, *arguments: str) -> tuple[float, str]:
    """Seconds and output of a command of Ansible."""
    began = time.monotonic()
    done = subprocess.run(
        [BIN / program, *arguments],
        cwd=center.directory.parent, env=center.environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    if done.returncode:
        sys.exit(f"{program} {' '.join(arguments)}: {done.stdout}{done.stderr}")
    return time.monotonic() - began, done.stdout


def task(center: Center, **options: Any) -> tuple[float, int]:
    """Seconds and calls of one task of sdc_machine."""
    center.refill()
    center.calls()
    options = {**OFFER, "selector": {"cluster": "scale"}, "name": "m-{index:04d}", **options}
    seconds, _ = ansible(
        center, "ansible", "localhost", "-i", "localhost,", "-c", "local",
        "-e", f"ansible_python_interpreter={sys.executable}",
        "-m", "sdc_machine", "-a", json.dumps(options),
    )  # fmt: skip
    return seconds, center.calls()


def floor(calls: int) -> float:
    """Seconds that so many calls take at least."""
    return max(0.0, (calls - BURST) / RATE)


class Report:
    """Figures, each with its goal."""

    missed = False

    def line(self, what: str, figure: str, good: bool | None = None) -> None:
        verdict = "" if good is None else ("ok" if good else "MISSED")
        self.missed |= good is False
        print(f"{what:<58} {figure:>34}  {verdict}", flush=True)


def machines(center: Center, report: Report, count: int, updates: int) -> None:
    """exact_count from 0 to `count`, again, updates, and to 0 again."""
    start, _ = task(center, exact_count=0)
    seconds, calls = task(center, exact_count=count)
    limit = 1.1 * floor(count) + start
    figure = f"{seconds:.1f} s, {calls} calls"
    report.line(f"exact_count 0 -> {count} (floor {floor(count):.0f} s)", figure, seconds <= limit)
    seconds, calls = task(center, exact_count=count)
    report.line("the same again", f"{seconds:.1f} s, {calls} calls", calls <= 2)
    seconds, calls = task(center, exact_count=0, stop_first=False)
    figure = f"{seconds:.1f} s, {calls} calls"
    report.line(f"exact_count {count} -> 0 (floor {floor(count):.0f} s)", figure, seconds <= limit)
    with center.unthrottled():
        seed(center, updates)
    seconds, calls = task(center, exact_count=updates, tags={"release": "7"})
    limit = 1.1 * floor(updates) + start
    figure = f"{seconds:.1f} s, {calls} calls"
    report.line(f"{updates} tag updates in one task", figure, seconds <= limit)
    report.line("a task that does nothing", f"{start:.1f} s")


def seed(center: Center, count: int) -> None:
    """Machines, as fast as they can be made."""
    with center.client() as client, ThreadPoolExecutor(8) as pool:
        image = next(i["id"] for i in client.list_images() if i["name"] == OFFER["image"])
        there = {machine["name"] for machine in client.list_machines()}

        def make(index: int) -> None:
            tags = {"cluster": "scale", "role": f"r{index % 7}"}
            client.create(
                {
                    "name": f"m-{index:04d}",
                    "image": image,
                    "package": OFFER["package"],
                    "tags": tags,
                }
            )

        wanted = [n for n in range(1, count + 1) if f"m-{n:04d}" not in there]
        list(pool.map(make, wanted))
        end = time.monotonic() + 600
        while states := {m["state"] for m in client.list_machines()} - {"running"}:
            if time.monotonic() > end:
                raise TimeoutError(f"machines are {', '.join(states)} after 600 s")
            time.sleep(0.5)


def inventory(center: Center, report: Report, count: int) -> None:
    """`ansible-inventory` with many machines, beside one without any."""
    folder = center.directory.parent
    empty, plain, cached = (folder / name for name in ("no.sdc.yml", "all.sdc.yml", "kept.sdc.yml"))
    empty.write_text("plugin: sdc\nselector: {cluster: none}\n")
    text = "plugin: sdc\ngroup_by: [cluster, role, tag, state, package, datacenter]\n"
    plain.write_text(text)
    cache = f"cache: true\ncache_plugin: jsonfile\ncache_connection: {folder}/cache\n"
    cached.write_text(text + cache)
    with center.unthrottled():
        seed(center, count)
    ansible(center, "ansible-inventory", "-i", str(cached), "--list")
    cases = [(mode, path) for mode in ("--list", "--graph") for path in (empty, plain, cached)]
    cpu: dict[tuple[str, Path], list[float]] = {case: [] for case in cases}
    seconds: dict[tuple[str, Path], list[float]] = {case: [] for case in cases}
    calls: dict[tuple[str, Path], int] = {}
    # in turn, so that what else the machine does meets all of them
    for _ in range(5):
        for mode, path in cases:
            center.calls()
            before = children()
            took, _ = ansible(center, "ansible-inventory", "-i", str(path), mode)
            cpu[mode, path].append(children() - before)
            seconds[mode, path].append(took)
            calls[mode, path] = center.calls()
    for mode in ("--list", "--graph"):
        nothing = mode, empty
        used, took = statistics.median(cpu[nothing]), statistics.median(seconds[nothing])
        report.line(f"{mode}: an empty inventory", f"{took:.2f} s, CPU {used:.2f} s")
        for path, source in ((plain, "CloudAPI"), (cached, "the cache")):
            more = statistics.median(seconds[mode, path]) - took
            load = statistics.median(cpu[mode, path]) - used
            figure = f"+{more:.2f} s, CPU +{load:.2f} s, {calls[mode, path]} calls"
            good = load <= 2 and (path == plain or calls[mode, path] == 0)
            report.line(f"{mode}: {count} machines from {source}", figure, good)


def children() -> float:
    """CPU seconds of all commands so far: unlike the time, no matter who else is busy."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--machines", type=int, default=1000)
    parser.add_argument("--inventory", type=int, default=2000)
    parser.add_argument("--updates", type=int, default=200)
    options = parser.parse_args()
    report = Report()
    with tempfile.TemporaryDirectory(prefix="scale") as directory:
        center = Center(Path(directory) / "dc")
        try:
            machines(center, report, options.machines, options.updates)
            inventory(center, report, options.inventory)
        finally:
            center.localdc("stop")
    sys.exit(report.missed)


if __name__ == "__main__":
    main()
