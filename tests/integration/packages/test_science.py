"""All that an IPython user asks for, installed by the playbook, imported and computed with.

Downloads some 150 MB and takes minutes, so it runs on demand: make science.
What runs always is less: networkx, mpmath, sympy in test_packages, scipy in test_playbook.
"""

from __future__ import annotations

import os
from typing import Any

import pytest

from embedded.center import Center
from embedded.pythons import OWN

from ..cluster.playbooks import Cluster

pytestmark = pytest.mark.skipif(
    "SCIENCE" not in os.environ, reason="large downloads; make science runs it"
)
MODULES = {
    "numpy": "numpy",
    "scipy": "scipy",
    "pandas": "pandas",
    "matplotlib": "matplotlib",
    "scikit-learn": "sklearn",
    "networkx": "networkx",
    "sympy": "sympy",
    "jupyterlab": "jupyterlab",
}
START_LAB = f"""
jupyter-lab-{OWN} --no-browser --allow-root --ip 127.0.0.1 --port 8899 \
    --IdentityProvider.token=secret >/tmp/lab.log 2>&1 &
"""
ASK_LAB = "curl -sf -H 'Authorization: token secret' http://127.0.0.1:8899"


def results() -> dict[str, Any]:
    """One result of each package; runs on the engine."""
    import io

    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    import networkx
    import numpy as np
    import pandas as pd
    import sympy
    from scipy import linalg
    from sklearn.linear_model import LinearRegression

    x = np.arange(10.0)
    picture = io.BytesIO()
    plt.plot(x, 3 * x + 1)
    plt.savefig(picture)
    s = sympy.Symbol("s")
    return {
        "determinant": round(float(linalg.det(np.eye(3) * 2)), 6),
        "slope": round(float(LinearRegression().fit(x[:, None], 3 * x + 1).coef_[0]), 6),
        "sum": int(pd.Series([1, 2, 3]).sum()),
        "edges": networkx.path_graph(4).number_of_edges(),
        "integral": str(sympy.integrate(2 * s, s)),
        "picture": picture.getvalue()[1:4],
    }


def test_all_of_it(center: Center, cluster: Cluster) -> None:
    center.run("packages", "--pip", "xarray")
    cluster.play(
        "site.yml",
        engines=1,
        extra_packages=[f"pyNN-{name}" for name in MODULES],
        python_packages="xarray",
    )
    for module in MODULES.values():
        cluster.ssh("engine", f"/opt/local/bin/python{OWN} -W error -c 'import {module}'")
    results.__module__ = "__main__"
    client = cluster.client()
    try:
        assert client[:].apply_sync(results) == [
            {
                "determinant": 8.0,
                "slope": 3.0,
                "sum": 6,
                "edges": 3,
                "integral": "s**2",
                "picture": b"PNG",
            }
        ]
    finally:
        client.close()
    # on top of the pandas of pkgsrc
    code = "import pandas, xarray; print(pandas.__file__, xarray.__file__)"
    python = "/opt/local/libexec/ipyparallel/python3"
    by_pkgsrc, by_pip = cluster.ssh("engine", f"{python} -c '{code}'").split()
    assert by_pkgsrc.startswith("/opt/local/lib/") and "/venv/lib/" in by_pip
    pinned = cluster.ssh("engine", "/opt/local/sbin/pkg_info -E 'py*-jupyterlab-[0-9]*'").strip()
    version = cluster.ssh("engine", f"jupyter-lab-{OWN} --version").strip()
    assert pinned.endswith(f"-{version}")
    cluster.ssh("engine", f"cd /root; {START_LAB}")
    cluster.ssh("engine", f"until {ASK_LAB}/api/status; do sleep 0.2; done")
    assert "<title>JupyterLab</title>" in cluster.ssh("engine", f"{ASK_LAB}/lab")
