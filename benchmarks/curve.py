#!/usr/bin/env python3
"""The launch curve: what N engines cost, made in both ways, beside what they cost at least.

For every N and both values of bootstrap, --repeat times in turn with the floor:
  (a) nothing to N engines that compute      (b) an unchanged second run
  (c) four more engines                      (d) teardown
The floor of (a) is `ipcluster start -n N` on this machine plus what CloudAPI's limit of requests
(30 at once, then 10 a second) costs for N + 1 machines. Beside it the way of the 2013 how-to: one
machine after the other through the smartdc API, each waited for.

Once: (e) from the start of an engine to its id, (f) tasks per second and a broadcast of 8 MB,
(g) wave2D and a CPU-bound map with one and two engines.

    python benchmarks/curve.py [N ...] [--repeat 3] [--short]
        [--json FILE] [--markdown FILE] [--plot FILE]

The plot needs matplotlib (pip install matplotlib); everything else needs nothing more.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import ipyparallel as ipp
from launch import ROOT, floor, playbook, timed

from smartdc.config import resolve

CLUSTER = "curve"
BURST, RATE = 30, 10.0
GROWTH = 4
ADDRESS = {"machine_networks": "external,internal", "controller_address": "10.99.3.250"}
WAYS: dict[str, dict[str, str]] = {
    "metadata": {"bootstrap": "metadata", **ADDRESS},
    "ssh": {"bootstrap": "ssh"},
}
TARGETS = {"metadata": {64: 1.5}, "ssh": {16: 3.0}}
PHASES = ("first", "second", "grow", "teardown")
SECURITY = "/opt/local/share/ipython/profile_default"


def bucket(machines: int) -> float:
    """Seconds that CloudAPI's limit takes for creating that many machines."""
    return max(0, machines - BURST) / RATE


def connection_file() -> str:
    """The file for ipyparallel.Client."""
    return str(ROOT / ".cluster" / CLUSTER / "ipcontroller-client.json")


def launch(way: str, count: int, grow: bool) -> dict[str, float]:
    """One cluster's life, in seconds."""
    site: dict[str, Any] = {"cluster": CLUSTER, "engines": count, **WAYS[way]}
    seconds = {"first": timed(lambda: playbook("site.yml", **site))}
    seconds["second"] = timed(lambda: playbook("site.yml", **site))
    if way == "metadata":
        seconds["one_by_one"] = one_by_one(count)
    if grow:
        more = {**site, "engines": count + GROWTH}
        seconds["grow"] = timed(lambda: playbook("site.yml", **more))
    seconds["teardown"] = timed(lambda: playbook("teardown.yml", cluster=CLUSTER))
    return seconds


def one_by_one(count: int) -> float:
    """The 2013 way: create, wait, create ... with the boot scripts and the key of this cluster."""
    api = resolve(cwd=ROOT).connect()
    listed = api.list_machines(tags={"cluster": CLUSTER})
    source = {m["tags"]["role"]: m for m in listed}
    metadata = {
        role: {k: machine["metadata"][k] for k in ("user-script", "ipython.key")}
        for role, machine in source.items()
    }
    image = listed[0]["image"]
    made = []
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
        for machine in made:
            machine.stop()
        for machine in made:
            machine.poll_until("stopped")
            machine.delete()


def wait_for_ids(address: str, count: int, limit: float = 600.0) -> None:
    """Wait until the controller at the address has that many engines in its state file."""
    command = ["ssh", *ssh_options(), f"root@{address}", f"cat {SECURITY}/log/engines.json"]
    end = time.monotonic() + limit
    while time.monotonic() < end:
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode == 0 and len(json.loads(done.stdout)["engines"]) >= count:
            return
        time.sleep(0.3)
    raise TimeoutError(f"{count} engines did not register within {limit:g} s")


def ssh_options() -> list[str]:
    """Options for ssh to machines whose addresses have been used before."""
    config = resolve(cwd=ROOT).ssh_config
    options = ["-oStrictHostKeyChecking=no", "-oUserKnownHostsFile=/dev/null", "-oLogLevel=ERROR"]
    return [*(["-F", config] if config else []), "-oBatchMode=yes", *options]


def registration(repeat: int) -> float:
    """(e) Median seconds from the start of an engine to its id."""
    api = resolve(cwd=ROOT).connect()
    machine = api.list_machines(tags={"cluster": CLUSTER, "role": "engine"})[0]
    login = ["ssh", *ssh_options(), f"root@{machine['primaryIp']}"]
    fmri = "svc:/pkgsrc/ipyparallel:engine"
    seconds = []
    with ipp.Client(connection_file()) as client:
        for _ in range(repeat):
            before = set(client.ids)
            subprocess.run([*login, f"svcadm disable -s {fmri}"], check=True)
            while len(client.ids) >= len(before):
                time.sleep(0.02)
            subprocess.run([*login, f"svcadm enable {fmri}"], check=True)
            started = time.perf_counter()
            while not set(client.ids) - before:
                time.sleep(0.01)
            seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


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


def wave(partition: tuple[int, int]) -> float:
    """wave2D's own time."""
    command = [sys.executable, "examples/wave2d.py", "--file", connection_file()]
    command += ["--grid", "400", "400", "-t", "10", "--partition", *map(str, partition)]
    output = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    found = re.search(r"wall time ([\d.]+) s", output)
    if not found:
        raise ValueError(f"examples/wave2d.py prints no time: {output}")
    return float(found[1])


def computing(repeat: int) -> dict[str, float]:
    """(e), (f) and (g), on the cluster that is running."""
    figures = {"registration": registration(repeat)}
    with ipp.Client(connection_file()) as client:
        ids = client.ids
        view = client.load_balanced_view()
        view.map_sync(abs, range(100))
        tasks = 500
        seconds = timed(lambda: view.map(abs, range(tasks), chunksize=1, block=True))
        figures["tasks_per_second"] = tasks / seconds
        data = os.urandom(8 * 2**20)
        everyone = client.broadcast_view(ids)
        figures["broadcast_8MB"] = statistics.median(
            timed(lambda: everyone.push({"data": data}, block=True)) for _ in range(repeat)
        )
        pairs = [(speedup(ids[:1], client), speedup(ids[:2], client)) for _ in range(repeat)]
    figures["map_speedup"] = statistics.median(one / two for one, two in pairs)
    figures["map_efficiency"] = figures["map_speedup"] / 2
    waves = [(wave((1, 1)), wave((2, 1))) for _ in range(repeat)]
    figures["wave2d_speedup"] = statistics.median(one / two for one, two in waves)
    figures["wave2d_efficiency"] = figures["wave2d_speedup"] / 2
    return {name: round(value, 3) for name, value in figures.items()}


def medians(rounds: list[dict[str, float]]) -> dict[str, float]:
    """The median of every figure."""
    return {key: round(statistics.median(r[key] for r in rounds), 2) for key in rounds[0]}


def size(count: int, repeat: int, ways: list[str], grow: bool) -> dict[str, Any]:
    """All figures of one N."""
    rounds: dict[str, list[dict[str, float]]] = {way: [] for way in ways}
    for _ in range(repeat):
        for way in ways:
            base = floor(count)
            figures = launch(way, count, grow)
            api = bucket(count + 1)
            ratio = figures["first"] / (base + api)
            rounds[way].append({"floor": base + api, "ratio": ratio, **figures})
    return {"engines": count, **{way: medians(r) for way, r in rounds.items()}, "rounds": rounds}


def table(document: dict[str, Any]) -> str:
    """The figures as Markdown."""
    lines = [
        f"{document['date']}, {document['cores']} cores ({document['machine']}), "
        f"Python {document['python']}, medians of {document['repeat']}; load average before: "
        f"{document['load']}. Seconds.",
        "",
        "| engines | bootstrap | floor | (a) first | x floor | (b) again | (c) +4 "
        "| (d) teardown | one by one |",
        "|---:|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for entry in document["sizes"]:
        for way in WAYS:
            if way in entry:
                f = entry[way]
                cells = [f["floor"], f["first"], f["ratio"], *(f.get(p, "") for p in PHASES[1:])]
                cells.append(f.get("one_by_one", ""))
                lines.append(f"| {entry['engines']} | {way} | {' | '.join(map(str, cells))} |")
    if document.get("computing"):
        lines += ["", "| figure | value |", "|---|---:|"]
        lines += [f"| {name} | {value} |" for name, value in document["computing"].items()]
    return "\n".join(lines) + "\n"


def misses(document: dict[str, Any]) -> list[str]:
    """Targets that were measured and not reached."""
    found = []
    for entry in document["sizes"]:
        for way, targets in TARGETS.items():
            limit = targets.get(entry["engines"])
            if limit and way in entry and entry[way]["ratio"] > limit:
                ratio = entry[way]["ratio"]
                found.append(f"{way}, {entry['engines']} engines: {ratio} x floor, not {limit}")
    figures = document.get("computing") or {}
    if figures.get("registration", 0) > 2:
        found.append(f"start to id takes {figures['registration']} s, not 2")
    if figures.get("map_efficiency", 1) < 0.9:
        found.append(f"efficiency of the map is {figures['map_efficiency']}, not 0.9")
    return found


def plot(document: dict[str, Any], file: Path) -> None:
    """(a) over N, both ways, the floor and one after the other."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        sys.exit("The plot needs matplotlib: pip install matplotlib")
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    series = [(way, "first", way) for way in WAYS]
    series += [("metadata", "floor", "floor"), ("metadata", "one_by_one", "one by one (2013)")]
    for way, key, label in series:
        points = [(e["engines"], e[way][key]) for e in document["sizes"] if key in e.get(way, {})]
        if points:
            axes.plot(*zip(*points, strict=True), marker="o", label=label)
    axes.set(xlabel="engines", ylabel="seconds", xscale="log", title="Nothing to N engines")
    axes.set_xticks([e["engines"] for e in document["sizes"]])
    axes.get_xaxis().set_major_formatter("{x:.0f}")
    axes.legend()
    figure.savefig(file)


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
    parser.add_argument("--markdown", type=Path, help="write the table to this file")
    parser.add_argument("--plot", type=Path, help="draw the curve into this file (png, svg)")
    return parser.parse_args()


def main() -> int:
    options = arguments()
    sizes = options.engines or ([2] if options.short else [1, 4, 16, 64])
    repeat = 1 if options.short else options.repeat
    ways = list(WAYS) if options.bootstrap == "both" else [options.bootstrap]
    document: dict[str, Any] = {
        "date": datetime.date.today().isoformat(),
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 2),
        "repeat": repeat,
        "sizes": [],
    }
    subprocess.run([sys.executable, "-m", "localdc", "start"], cwd=ROOT, check=True)
    playbook("teardown.yml", cluster=CLUSTER)
    for count in sizes:
        document["sizes"].append(size(count, repeat, ways, grow=not options.short))
        print(table({**document, "sizes": document["sizes"][-1:]}), flush=True)
        if options.json:
            options.json.write_text(json.dumps(document, indent=2) + "\n")
    playbook("site.yml", cluster=CLUSTER, engines=2, **WAYS[ways[0]])
    document["computing"] = computing(repeat)
    playbook("teardown.yml", cluster=CLUSTER)
    if options.json:
        options.json.write_text(json.dumps(document, indent=2) + "\n")
    if options.markdown:
        options.markdown.write_text(table(document))
    if options.plot:
        plot(document, options.plot)
    print(table(document))
    for miss in misses(document):
        print("missed:", miss)
    return 0


if __name__ == "__main__":
    sys.exit(main())
