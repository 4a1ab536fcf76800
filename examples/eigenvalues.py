#!/usr/bin/env python3
"""An interactive session on the cluster, as a script: %px and %autopx.

Each engine makes 100 random symmetric 10 x 10 matrices and averages their largest
eigenvalue, which is near 10.1. Typed into IPython, the lines below do the same.

    python examples/eigenvalues.py [--cluster NAME | --file CONNECTION_FILE]
"""

from __future__ import annotations

import sys
from typing import Any

from connection import connect
from IPython.core.interactiveshell import InteractiveShell

SESSION = """
with dv.sync_imports(): import numpy
dv.block = True
%px a = numpy.random.rand(2, 2)
%px numpy.linalg.eigvals(a)
%autopx
largest = []
for i in range(100):
    a = numpy.random.rand(10, 10)
    a = a + a.transpose()
    largest.append(numpy.linalg.eigvals(a).real.max())

average = sum(largest) / len(largest)
print("Average max eigenvalue is: %f" % average)
%autopx
"""


def statements(session: str) -> list[str]:
    """Split the session into what is typed at one prompt each."""
    cells: list[str] = []
    for line in session.strip().splitlines():
        if line.startswith(" "):
            cells[-1] += "\n" + line
        elif line:
            cells.append(line)
    return cells


def main() -> int:
    client = connect(__doc__)
    view = client[:]
    names = {"client": client, "dv": view}
    shell: Any = InteractiveShell.instance(colors="nocolor", user_ns=names)
    view.activate()
    for cell in statements(SESSION):
        print(">>> " + cell.replace("\n", "\n... "), flush=True)
        result = shell.run_cell(cell)
        if not result.success:
            return 1
    averages = view.pull("average", block=True)
    # 100 matrices give the average a standard deviation of 0.06
    wrong = {i: a for i, a in zip(view.targets, averages, strict=True) if abs(a - 10.1) > 0.4}
    if wrong:
        print(f"Not near 10.1 (engine: average): {wrong}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
