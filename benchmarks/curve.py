#!/usr/bin/env python3
"""The launch curve: what N engines cost, made in both ways, beside what they cost at least.

For every N and both values of bootstrap, --repeat times in turn with the floor:
  (a) nothing to N engines that compute      (b) an unchanged second run
  (c) four more engines                      (d) teardown
The floor of (a) is `ipcluster start -n N` on this machine plus what CloudAPI's limit of requests
(30 at once, then 10 a second) costs for N + 1 machines. Beside it, once, the way of the 2013
how-to: one machine after the other through the smartdc API, each waited for.

Once for every N: (f) tasks per second and a broadcast of 8 MB, and the memory of the data center
without ipyparallel's. Once, with the first N above 1: (e) from the start of an engine to its id,
(g) a CPU-bound map and wave2D with one and two engines.

    python benchmarks/curve.py [N ...] [--repeat 3] [--bootstrap ssh|metadata|both] [--short]
        [--json FILE] [--add] [--markdown FILE] [--plot FILE]

The plot needs matplotlib (pip install matplotlib); everything else needs nothing more. It can be
drawn later: --json FILE --add --plot FILE.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import os
import platform
import re
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import figures
import ipyparallel as ipp
import psutil
from launch import ROOT, eventually, floor, playbook, timed

from smartdc import DataCenter, Machine
from smartdc.config import resolve
from smartdc.ssh import Destination, flags, option_path

CLUSTER = "curve"
BURST, RATE = 30, 10.0
GROWTH = 4
WAYS = {way: {"bootstrap": way} for way in figures.WAYS}
WAVES = ((400, 4.0), (1000, 1.0))
SECURITY = "/opt/local/share/ipython/profile_default"


def bucket(machines: int) -> float:
    """Seconds that CloudAPI's limit takes for creating that many machines."""
    return max(0, machines - BURST) / RATE


def connection_file() -> str:
    """The file for ipyparallel.Client."""
    return str(ROOT / ".cluster" / CLUSTER / "ipcontroller-client.json")


def launch(
    way: str, count: int, grow: bool, running: Callable[[], None] | None
) -> dict[str, float]:
    """One cluster's life, in seconds; `running` is called while it is there, unchanged."""
    site: dict[str, Any] = {"cluster": CLUSTER, "engines": count, **WAYS[way]}
    seconds = {"first": timed(lambda: playbook("site.yml", **site))}
    seconds["second"] = timed(lambda: playbook("site.yml", **site))
    if running:
        running()
    if grow:
        more = {**site, "engines": count + GROWTH}
        seconds["grow"] = timed(lambda: playbook("site.yml", **more))
    seconds["teardown"] = timed(lambda: playbook("teardown.yml", cluster=CLUSTER))
    return seconds


def one_by_one(count: int) -> float:
    """The 2013 way: create, wait, create ... with the boot scripts and the key of this cluster."""
    api = DataCenter.of(resolve(cwd=ROOT))
    listed = api.list_machines(tags={"cluster": CLUSTER})
    source = {m["tags"]["role"]: m for m in listed}
    metadata = {
        role: {k: machine["metadata"][k] for k in ("user-script", "ipython.key")}
        for role, machine in source.items()
    }
    image = listed[0]["image"]
    made: list[Machine] = []
    started = time.perf_counter()
    try:
        for index in range(count + 1):
            role = "engine" if index else "controller"
            wanted = dict(metadata[role])
            if index:
                wanted["ipython.url"] = f"tcp://{made[0].ips[1]}:20000"
            machine = api.create_machine(
                name=f"howto-{index:03d}", package="sample-512M", image=image, metadata=wanted
            )
            made.append(machine)
            machine.poll_until("running")
        wait_for_ids(made[0].ips[0], count)
        return time.perf_counter() - started
    finally:
        with contextlib.ExitStack() as all_of_them:
            for machine in made:
                all_of_them.callback(machine.delete)


def wait_for_ids(address: str, count: int) -> None:
    """Wait until the controller at the address has that many engines in its state file."""
    command = destination(address).command("root", remote=[f"cat {SECURITY}/log/engines.json"])

    def registered() -> bool:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        try:
            return len(json.loads(done.stdout)["engines"]) >= count
        except ValueError:
            # there is none yet, or half of it
            return False

    eventually(registered, f"{count} engines registered", 600)


def destination(address: str) -> Destination:
    """How ssh gets to a machine whose address others have had before."""
    settings = resolve(cwd=ROOT)
    options = ["-F", settings.ssh_config] if settings.ssh_config else []
    options += flags("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR")
    if settings.key_file:
        options += flags("IdentitiesOnly=yes", f"IdentityFile={option_path(settings.key_file)}")
    return Destination(address, None, shlex.join(options))


def registration(repeat: int) -> float:
    """(e) Median seconds from the start of an engine to its id."""
    api = resolve(cwd=ROOT).connect()
    machine = api.list_machines(tags={"cluster": CLUSTER, "role": "engine"})[0]
    with ipp.Client(connection_file()) as client:
        return statistics.median(
            start_of_engine(client, destination(machine["primaryIp"])) for _ in range(repeat)
        )


def start_of_engine(client: Any, machine: Destination) -> float:
    """Seconds from the start of a machine's engine, which is stopped before, to its id."""
    fmri = "svc:/pkgsrc/ipyparallel:engine"
    before = set(client.ids)
    subprocess.run(machine.command("root", remote=[f"svcadm disable -s {fmri}"]), check=True)
    eventually(lambda: set(client.ids) < before, "an engine is gone")
    subprocess.run(machine.command("root", remote=[f"svcadm enable {fmri}"]), check=True)
    started = time.perf_counter()
    eventually(lambda: set(client.ids) - before, "an engine is back")
    return time.perf_counter() - started


def burn(size: int) -> int:
    """Work for one core."""
    total = 0
    for number in range(size):
        total += number * number % 7
    return total


def speedup(engines: list[int], client: Any, size: int = 1_500_000) -> float:
    """Seconds for a CPU-bound map on these engines."""
    view = client.load_balanced_view(engines)
    view.map_sync(burn, [1000] * len(engines))
    return timed(lambda: view.map_sync(burn, [size] * 16))


def processes(count: int, size: int = 1_500_000) -> float:
    """Seconds for the same map with that many processes of this machine: what its cores allow."""
    # not forked: the client of ipyparallel has threads
    with ProcessPoolExecutor(count, get_context("spawn")) as pool:
        list(pool.map(burn, [1000] * count))
        return timed(lambda: list(pool.map(burn, [size] * 16)))


def wave(cells: int, until: float, blocks: int) -> float:
    """wave2D's own time for that many cells in each direction."""
    command = [sys.executable, "examples/wave2d.py", "--file", connection_file()]
    command += ["--grid", f"{cells}", f"{cells}", "-t", f"{until}", "--partition", f"{blocks}", "1"]
    output = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    found = re.search(r"wall time ([\d.]+) s", output)
    if not found:
        raise ValueError(f"examples/wave2d.py prints no time: {output}")
    return float(found[1])


def throughput(repeat: int) -> dict[str, float]:
    """(f) of the cluster that is running, and the memory of its data center."""
    with ipp.Client(connection_file()) as client:
        view = client.load_balanced_view()
        view.map_sync(abs, range(100))
        tasks = 500
        seconds = timed(lambda: view.map(abs, range(tasks), chunksize=1, block=True))
        data = os.urandom(8 * 2**20)
        everyone = client.broadcast_view(client.ids)
        everyone.push({"data": b""}, block=True)
        broadcast = statistics.median(
            timed(lambda: everyone.push({"data": data}, block=True)) for _ in range(repeat)
        )
    return {
        "tasks_per_second": round(tasks / seconds, 1),
        "broadcast_8MB": round(broadcast, 3),
        "memory_MiB": round(memory() / 2**20),
    }


def memory() -> int:
    """Bytes (proportional set size) of the data center's processes that are not ipyparallel's."""
    command = [sys.executable, "-m", "localdc", "status", "--json"]
    status = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    daemon = psutil.Process(json.loads(status.stdout)["pid"])
    total = 0
    for process in [daemon, *daemon.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            if not any("ipyparallel" in word for word in process.cmdline()):
                total += process.memory_full_info().pss
    return total


def computing(repeat: int) -> dict[str, float]:
    """(e) and (g) of the cluster that is running."""
    found = {"registration": registration(repeat)}
    with ipp.Client(connection_file()) as client:
        ids = client.ids
        measured: dict[str, list[tuple[float, float]]] = {"map": [], "processes": []}
        for _ in range(repeat):
            measured["map"].append((speedup(ids[:1], client), speedup(ids[:2], client)))
            measured["processes"].append((processes(1), processes(2)))
    for cells, until in WAVES:
        measured[f"wave2d_{cells}"] = [
            (wave(cells, until, 1), wave(cells, until, 2)) for _ in range(repeat)
        ]
    for name, times in measured.items():
        found[f"{name}_speedup"] = statistics.median(one / two for one, two in times)
        found[f"{name}_efficiency"] = found[f"{name}_speedup"] / 2
    return {name: round(value, 3) for name, value in found.items()}


def medians(rounds: list[dict[str, float]]) -> dict[str, float]:
    """The median of every figure that all rounds have."""
    shared = [key for key in rounds[0] if all(key in r for r in rounds)]
    return {key: round(statistics.median(r[key] for r in rounds), 2) for key in shared}


def measure(
    count: int, repeat: int, ways: list[str], short: bool, document: dict[str, Any]
) -> dict[str, Any]:
    """All figures of one N; (e) and (g) go into the document where it lacks them."""
    entry: dict[str, Any] = {"engines": count}
    rounds: dict[str, list[dict[str, float]]] = {way: [] for way in ways}

    def once() -> None:
        entry.update(throughput(repeat))
        if count > 1 and not document.get("computing"):
            document["computing"] = computing(1 if short else max(repeat, 3))
        if ways[0] == "metadata" and not short:
            entry["one_by_one"] = round(one_by_one(count), 2)

    for turn in range(repeat):
        for way in ways:
            base = floor(count) + bucket(count + 1)
            first_of_all = once if turn == 0 and way == ways[0] else None
            seconds = launch(way, count, grow=not short, running=first_of_all)
            rounds[way].append({"floor": base, "ratio": seconds["first"] / base, **seconds})
            print(count, way, {k: round(v, 2) for k, v in rounds[way][-1].items()}, flush=True)
    return {**entry, **{way: medians(r) for way, r in rounds.items()}, "rounds": rounds}


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("engines", type=int, nargs="*", help="sizes; default 1 4 16 64")
    parser.add_argument("--repeat", type=int, default=3, help="rounds for each size")
    parser.add_argument("--short", action="store_true", help="two engines, one round: for CI")
    parser.add_argument("--bootstrap", choices=[*WAYS, "both"], default="both")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument(
        "--add", action="store_true", help="to those that the file has; without sizes: show those"
    )
    parser.add_argument("--markdown", type=Path, help="write the table to this file")
    parser.add_argument("--plot", type=Path, help="draw the curve into this file (png, svg)")
    return parser.parse_args()


def document_of(options: argparse.Namespace) -> dict[str, Any]:
    """What the figures go into: where they were measured, or the file that is added to."""
    if options.add and options.json and options.json.exists():
        found: dict[str, Any] = json.loads(options.json.read_text())
        return found
    return {
        "date": datetime.date.today().isoformat(),
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 2),
        "sizes": [],
    }


def add(document: dict[str, Any], entry: dict[str, Any]) -> None:
    """Put the figures of one N to those that the document has of it."""
    same = next((e for e in document["sizes"] if e["engines"] == entry["engines"]), None)
    if same is None:
        document["sizes"] = sorted([*document["sizes"], entry], key=lambda e: e["engines"])
    else:
        rounds = {**same["rounds"], **entry["rounds"]}
        same.update({**entry, "rounds": rounds})


def main() -> int:
    options = arguments()
    sizes = options.engines or ([2] if options.short else [] if options.add else [1, 4, 16, 64])
    repeat = 1 if options.short else options.repeat
    ways = list(WAYS) if options.bootstrap == "both" else [options.bootstrap]
    document = document_of(options)
    if sizes:
        subprocess.run([sys.executable, "-m", "localdc", "start"], cwd=ROOT, check=True)
        playbook("teardown.yml", cluster=CLUSTER)
    for count in sizes:
        add(document, measure(count, repeat, ways, options.short, document))
        if options.json:
            options.json.write_text(json.dumps(document, indent=2) + "\n")
    if options.markdown:
        options.markdown.write_text(figures.table(document))
    if options.plot:
        figures.plot(document, options.plot)
    print(figures.table(document))
    for line in figures.misses(document):
        print("missed:", line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
