"""What the launch curve's figures look like: a table, a plot, and the targets that they miss."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

WAYS = ("metadata", "ssh")
RATIOS = {("metadata", 64): 1.5, ("ssh", 16): 3.0}
COLUMNS = ("floor", "first", "ratio", "second", "grow", "teardown")
HEADS = ("floor", "(a) first", "x floor", "(b) again", "(c) +4", "(d) teardown")
COMPUTING = {
    "registration": "(e) start of an engine to its id, s",
    "map_speedup": "(g) CPU-bound map, speed-up with 2 engines",
    "map_efficiency": "(g) CPU-bound map, efficiency",
    "processes_speedup": "(g) the same with two processes of this machine, speed-up",
    "processes_efficiency": "(g) the same with two processes of this machine, efficiency",
    "wave2d_400_speedup": "(g) wave2D of 400 x 400 cells, speed-up with 2 engines",
    "wave2d_400_efficiency": "(g) wave2D of 400 x 400 cells, efficiency",
    "wave2d_1000_speedup": "(g) wave2D of 1000 x 1000 cells, speed-up with 2 engines",
    "wave2d_1000_efficiency": "(g) wave2D of 1000 x 1000 cells, efficiency",
}


def table(document: dict[str, Any]) -> str:
    """The figures as Markdown; a figure's row says of how many rounds it is the median."""
    lines = [
        f"{document['date']}, {document['cores']} cores ({document['machine']}), "
        f"Python {document['python']}, load average before: {document['load']}. Seconds, medians.",
        "",
        f"| engines | bootstrap | rounds | {' | '.join(HEADS)} |",
        f"|---:|---|{'---:|' * (len(HEADS) + 1)}",
    ]
    for entry in document["sizes"]:
        for way in WAYS:
            if way in entry:
                cells = [len(entry["rounds"][way]), *(entry[way].get(c, "") for c in COLUMNS)]
                lines.append(f"| {entry['engines']} | {way} | {' | '.join(map(str, cells))} |")
    heads = ("one by one (2013), s", "(f) tasks/s", "(f) broadcast of 8 MB, s", "data center, MiB")
    keys = ("one_by_one", "tasks_per_second", "broadcast_8MB", "memory_MiB")
    lines += ["", f"| engines | {' | '.join(heads)} |", f"|---:|{'---:|' * len(heads)}"]
    for entry in document["sizes"]:
        cells = [str(entry.get(key, "")) for key in keys]
        lines.append(f"| {entry['engines']} | {' | '.join(cells)} |")
    if document.get("computing"):
        lines += ["", "| figure | value |", "|---|---:|"]
        lines += [f"| {COMPUTING[k]} | {v} |" for k, v in document["computing"].items()]
    return "\n".join(lines) + "\n"


def misses(document: dict[str, Any]) -> list[str]:
    """Targets that were measured and not reached, a line each."""
    sizes = {entry["engines"]: entry for entry in document["sizes"]}
    found = []
    for (way, count), limit in RATIOS.items():
        ratio = sizes.get(count, {}).get(way, {}).get("ratio")
        if ratio and ratio > limit:
            found.append(f"(a) {way}, {count} engines: {ratio} x floor, not {limit}")
    for way in WAYS:
        excess = {
            n: (e[way]["first"] - e[way]["floor"]) / n
            for n, e in sizes.items()
            if way in e and n > 1
        }
        if len(excess) > 1 and excess[max(excess)] > 1.1 * excess[min(excess)]:
            found.append(f"(a) {way} grows more than linearly beyond the floor")
    found += _metadata_misses({n: e["metadata"] for n, e in sizes.items() if "metadata" in e})
    figures = document.get("computing") or {}
    if figures.get("registration", 0) > 2:
        found.append(f"(e) start to id takes {figures['registration']} s, not 2")
    for name in ("map", "wave2d_400", "wave2d_1000"):
        if figures.get(f"{name}_efficiency", 1) < 0.9:
            found.append(f"(g) efficiency of {name} is {figures[f'{name}_efficiency']}, not 0.9")
    if sizes.get(64, {}).get("memory_MiB", 0) > 3072:
        found.append(f"the data center takes {sizes[64]['memory_MiB']} MiB, not 3072")
    return found


def _metadata_misses(sizes: dict[int, dict[str, float]]) -> list[str]:
    found = []
    if {4, 64} <= sizes.keys():
        small, large = sizes[4]["second"], sizes[64]["second"]
        if large > 2 * small:
            found.append(f"(b) takes {large} s with 64 engines, more than twice {small} s with 4")
    grows = {n: e["grow"] for n, e in sizes.items() if "grow" in e}
    if grows and max(grows.values()) > 1.25 * min(grows.values()):
        found.append(f"(c) depends on N by more than 25 %: {grows}")
    if sizes.get(64, {}).get("teardown", 0) > 10:
        found.append(f"(d) takes {sizes[64]['teardown']} s with 64 engines, not 10")
    return found


def plot(document: dict[str, Any], file: Path) -> None:
    """(a) over N, both ways, the floor and one after the other."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        sys.exit("The plot needs matplotlib: pip install matplotlib")
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    sizes = document["sizes"]
    series = {
        "one by one (2013)": [(e["engines"], e.get("one_by_one")) for e in sizes],
        **{
            f"bootstrap={w}": [(e["engines"], e.get(w, {}).get("first")) for e in sizes]
            for w in WAYS
        },
        "floor: ipcluster + API limit": [
            (e["engines"], e.get(WAYS[0], {}).get("floor")) for e in sizes
        ],
    }
    for label, points in series.items():
        known = [(n, seconds) for n, seconds in points if seconds]
        if known:
            axes.plot(*zip(*known, strict=True), marker="o", label=label)
    axes.set(
        xlabel="engines",
        ylabel="seconds",
        xscale="log",
        yscale="log",
        title=f"Nothing to N engines that compute, {document['cores']} cores",
    )
    axes.set_xticks([e["engines"] for e in sizes])
    axes.get_xaxis().set_major_formatter("{x:.0f}")
    axes.get_xaxis().set_minor_formatter("")
    axes.get_yaxis().set_major_formatter("{x:.0f}")
    axes.grid(alpha=0.3, which="both")
    axes.legend()
    figure.savefig(file)
