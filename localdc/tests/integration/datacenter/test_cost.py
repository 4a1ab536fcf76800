"""What a machine costs before anything is installed in it."""

from __future__ import annotations

import os
import time
from pathlib import Path

from embedded.center import Center, cpu_seconds, descendants

ZONE_KIB = 40 * 1024
ZONE_CPU_SECONDS = 0.5
# what the zone itself needs, and what the data center does for it
START_CPU_SECONDS = 0.75
MANY = int(os.environ.get("LOCALDC_TEST_ZONES", "16"))
IDLE_SECONDS = float(os.environ.get("LOCALDC_TEST_IDLE", "5"))


def pss(pids: set[int]) -> int:
    """Proportional set size in KiB."""
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1])
    return total


def settle(daemon: int) -> None:
    """Wait until booting zones have nothing more to do."""
    deadline = time.monotonic() + 60
    last = -1.0
    while time.monotonic() < deadline:
        now = cpu_seconds(descendants(daemon))
        if now == last:
            return
        last = now
        time.sleep(1.0)


def test_many_zones_cost_little(fresh: Center) -> None:
    daemon = fresh.process()["pid"]
    before = cpu_seconds(descendants(daemon))
    began = time.monotonic()
    machines = fresh.create(*[f"m{number}" for number in range(MANY)])
    seconds = time.monotonic() - began
    settle(daemon)
    zones = [descendants(machine["pid"]) for machine in fresh.status()["machines"]]
    kib = [pss(zone) for zone in zones]
    used = [cpu_seconds(zone) for zone in zones]
    everything = descendants(daemon)
    start = (cpu_seconds(everything) - before) / MANY
    before = cpu_seconds(everything)
    time.sleep(IDLE_SECONDS)
    idle = cpu_seconds(everything & descendants(daemon)) - before
    print(
        f"\n{MANY} zones in {seconds:.1f} s; per zone {sum(kib) / MANY / 1024:.1f} MiB PSS, "
        f"{sum(used) / MANY:.2f} s CPU (at most {max(used):.2f}), {start:.2f} s with its start; "
        f"idle {idle / IDLE_SECONDS * 100:.2f} % of a core for all of it"
    )
    assert len(machines) == MANY
    assert start < START_CPU_SECONDS
    assert max(kib) < ZONE_KIB
    assert sum(used) / MANY < ZONE_CPU_SECONDS
    assert idle / IDLE_SECONDS < 0.01
