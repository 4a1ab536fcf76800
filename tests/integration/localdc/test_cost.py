"""What a machine costs before anything is installed in it."""

from __future__ import annotations

import os
import time
from pathlib import Path

from .center import Center, descendants

ZONE_KIB = 40 * 1024
ZONE_CPU_SECONDS = 0.5
MANY = int(os.environ.get("LOCALDC_TEST_ZONES", "16"))
MANY_SECONDS = 30.0
IDLE_SECONDS = float(os.environ.get("LOCALDC_TEST_IDLE", "5"))


def zone_pids(center: Center) -> list[int]:
    return [machine["pid"] for machine in center.status()["machines"]]


def pss(pids: set[int]) -> int:
    """Proportional set size in KiB."""
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1])
    return total


def cpu(pids: set[int]) -> float:
    """Seconds of user and system time, ended children included."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += sum(int(field) for field in fields[11:15])
    return ticks / os.sysconf("SC_CLK_TCK")


def settle(center: Center, pids: list[int]) -> None:
    """Wait until booting zones have nothing more to do."""
    deadline = time.monotonic() + 60
    last = -1.0
    while time.monotonic() < deadline:
        now = sum(cpu(descendants(pid)) for pid in pids)
        if now == last:
            return
        last = now
        time.sleep(1.0)


def test_many_zones_start_quickly_and_cost_little(fresh: Center, record_property: object) -> None:
    began = time.monotonic()
    machines = fresh.create(*[f"m{number}" for number in range(MANY)])
    seconds = time.monotonic() - began
    pids = zone_pids(fresh)
    settle(fresh, pids)
    kib = [pss(descendants(pid)) for pid in pids]
    used = [cpu(descendants(pid)) for pid in pids]
    daemon = fresh.process()["pid"]
    everything = descendants(daemon)
    before = sum(cpu({pid}) for pid in everything)
    time.sleep(IDLE_SECONDS)
    idle = sum(cpu({pid}) for pid in everything & descendants(daemon)) - before
    print(
        f"\n{MANY} zones in {seconds:.1f} s; per zone {sum(kib) / MANY / 1024:.1f} MiB PSS, "
        f"{sum(used) / MANY:.2f} s CPU (at most {max(used):.2f}); "
        f"idle {idle / IDLE_SECONDS * 100:.2f} % of a core for all of it"
    )
    assert len(machines) == MANY
    assert seconds < MANY_SECONDS * max(MANY, 16) / 64 + 5
    assert max(kib) < ZONE_KIB
    assert sum(used) / MANY < ZONE_CPU_SECONDS
    assert idle / IDLE_SECONDS < 0.01
