#!/usr/bin/env python3
"""A membrane on the cluster: the wave equation in two dimensions.

The unit square is cut into blocks, one for each engine. After every time step the engines
swap the borders of their blocks, directly with each other. The norm at the end (root of the
mean square) does not depend on the number of blocks.

    python examples/wave2d.py --grid 400 400 -t 10 --partition 4 1
"""

from __future__ import annotations

import secrets
import sys
import time
from itertools import product
from math import sqrt
from pathlib import Path

import ipyparallel as ipp
from connection import open_client, parser


def solve(
    client: ipp.Client, grid: tuple[int, int], parts: tuple[int, int], until: float
) -> tuple[float, float]:
    """Run the simulation on as many engines as there are blocks.

    Args:
        client: the cluster
        grid: number of cells in x and y
        parts: number of blocks in x and y
        until: end of the simulation (the wave speed is 1, the side of the square is 1)

    Returns:
        Wall time of the time steps in seconds, and the norm.
    """
    places = list(product(range(parts[0]), range(parts[1])))
    engines = [client[i] for i in client.ids[: len(places)]]
    view = client[[engine.targets for engine in engines]]
    view.run(str(Path(__file__).with_name("wave2d_engine.py")), block=True)
    try:
        for place, engine in zip(places, engines, strict=True):
            engine.push({"place": place, "parts": parts, "grid": grid}, block=True)
        view.execute("block = Block(place, parts, grid); address = block.listen()", block=True)
        addresses = dict(zip(places, view.pull("address", block=True), strict=True))
        token = secrets.token_bytes(16)
        view.push({"addresses": addresses, "token": token}, block=True)
        view.execute("block.connect(addresses, token)", block=True)
        started = time.perf_counter()
        view.execute(f"total = block.run({until!r})", block=True)
        wall = time.perf_counter() - started
        total = sum(view.pull("total", block=True))
    finally:
        view.execute("block = addresses = token = None", block=True)
    return wall, sqrt(total / ((grid[0] - 1) * (grid[1] - 1)))


def main() -> int:
    options = parser(__doc__)
    add = options.add_argument
    add("-g", "--grid", type=int, nargs=2, default=(100, 100), help="number of cells")
    add("-p", "--partition", type=int, nargs=2, help="number of blocks (all engines, 1)")
    add("-t", "--tstop", type=float, default=1.0, help="end of the simulation")
    arguments = options.parse_args()
    client = open_client(arguments)
    parts = tuple(arguments.partition or (len(client.ids), 1))
    grid = tuple(arguments.grid)
    if any(k < 1 or k > n - 1 for k, n in zip(parts, grid, strict=True)):
        print(f"A grid of {grid} cannot be cut into {parts} blocks.", file=sys.stderr)
        return 2
    if parts[0] * parts[1] > len(client.ids):
        needed = parts[0] * parts[1]
        print(
            f"{needed} blocks need {needed} engines; there are {len(client.ids)}. "
            f"Grow the cluster: ansible-playbook site.yml -e engines={needed}",
            file=sys.stderr,
        )
        return 2
    cells, blocks = "{} x {}".format(*grid), "{} x {}".format(*parts)
    print(f"{cells} cells on {blocks} engines until t = {arguments.tstop:g}")
    wall, norm = solve(client, grid, parts, arguments.tstop)
    print(f"wall time {wall:.3f} s, norm = {norm:.9f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
