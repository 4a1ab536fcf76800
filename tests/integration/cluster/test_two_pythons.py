"""A laptop whose Python the machines do not have, with two real Pythons and real byte code."""

from __future__ import annotations

import gzip
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from embedded.pythons import OWN, Python, other_python

from .conftest import cluster_of, started
from .playbooks import REPOSITORY, Cluster, DataCenter, eventually


@pytest.fixture(scope="module")
def other() -> Python:
    return other_python()


@pytest.fixture(scope="module")
def foreign(other: Python, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DataCenter]:
    """A data center whose machines have the other Python."""
    env = {"LOCALDC_PYTHON": str(other.executable)}
    yield from started(tmp_path_factory, cns=True, env=env)


@pytest.fixture
def abroad(foreign: DataCenter) -> Iterator[Cluster]:
    """A cluster that does not exist yet."""
    yield from cluster_of(foreign, "abroad")


@pytest.fixture(scope="module")
def allowed(foreign: DataCenter) -> Iterator[Cluster]:
    """A cluster of one engine that was made although the Pythons differ."""
    for made in cluster_of(foreign, "allowed"):
        run = made.play("site.yml", engines=1, python_mismatch="allow")
        assert "1 engine(s) ready" in run.output
        yield made


def text(output: str) -> str:
    return " ".join(output.split())


def tells(output: str, other: Python) -> bool:
    """Whether both versions are named, a Python that would do, and the way out."""
    said = text(output)
    return (
        re.search(rf"Python {other.version}, this computer {OWN}\.", said) is not None
        and re.search(rf"make setup PYTHON=\S*/python{other.version}", said) is not None
        and "-e python_mismatch=allow" in said
    )


def test_the_choice_holds_for_who_comes_without_it(foreign: DataCenter, other: Python) -> None:
    digits = other.version.replace(".", "")
    later = foreign.reached_with(LOCALDC_PYTHON="")
    fetched = later.python("-m", "localdc", "packages", "mpmath").stdout
    assert re.search(rf"made for \S*/python{other.version}, as before", fetched)
    assert f"py{digits}-mpmath" in fetched
    refused = later.reached_with(LOCALDC_PYTHON=sys.executable).python(
        "-m", "localdc", "start", check=False
    )
    assert refused.returncode and f"/python{other.version}, not for " in refused.stdout
    later.python("-m", "localdc", "stop")
    assert f"/python{other.version}, as before" in later.python("-m", "localdc", "start").stdout
    offered = f"{later.settings['url']}/--packages/SmartOS/2024Q4/x86_64/All/pkg_summary.gz"
    with urllib.request.urlopen(offered, timeout=10) as answer:
        names = gzip.decompress(answer.read()).decode()
    assert f"\nPKGNAME=py{digits}-ipyparallel-" in names


@pytest.mark.parametrize("bootstrap", ["ssh", "metadata"])
def test_it_is_found_out_before_there_are_machines(
    abroad: Cluster, other: Python, bootstrap: str
) -> None:
    failed = abroad.play("site.yml", engines=1, bootstrap=bootstrap, check=False)
    assert failed.code
    assert tells(failed.output, other), failed.output
    assert f"Machines of base-64-lts can run Python {other.version}" in text(failed.output)
    assert abroad.machines == {}
    for machine in abroad.data_center.python("-m", "localdc", "status").stdout.splitlines():
        assert "abroad" not in machine


def test_else_before_it_says_ready(abroad: Cluster, other: Python) -> None:
    """Where the repository does not answer. The machines stay, for a client side that fits."""
    abroad.data_center.admin("faults", {"kind": "repository_down", "count": 1})
    failed = abroad.play("site.yml", engines=1, check=False)
    assert failed.code
    assert tells(failed.output, other), failed.output
    assert "engine(s) ready" not in failed.output
    assert len(abroad.machines) == 2
    assert not (abroad.directory / "ipcontroller-client.json").exists()


def test_who_only_executes_may(allowed: Cluster, other: Python) -> None:
    with allowed.client() as client:
        view = client[client.ids]
        assert view.execute("x = 6 * 7", block=True).successful()
    again = allowed.play("site.yml", engines=1, python_mismatch="allow")
    assert again.total("changed") == 0
    assert f"Python {other.version}, this computer {OWN}: %px and execute only" in again.output


def test_the_python_of_the_machines_is_known_to_every_computer(
    allowed: Cluster, other: Python
) -> None:
    for machine in allowed.machines.values():
        assert machine["metadata"]["ipython.python"] == other.version
    failed = allowed.play("site.yml", engines=3, check=False)
    assert failed.code
    assert tells(failed.output, other), failed.output
    assert "The machines run Python" in text(failed.output)
    assert len(allowed.machines) == 2


def test_connect_checks_it(allowed: Cluster, other: Python) -> None:
    failed = allowed.play("playbooks/connect.yml", check=False)
    assert failed.code
    assert tells(failed.output, other), failed.output


PROGRAM = """
import os, sys
import ipyparallel
client = ipyparallel.Client(os.environ["IPP_CLIENT_FILE"], timeout=30)
print("here", "%d.%d" % sys.version_info[:2])
def there(values):
    import sys
    return sum(value * 2 for value in values), "%d.%d" % sys.version_info[:2]
print("there", *client[client.ids[0]].apply_sync(there, [1, 2, 3]))
"""


@pytest.fixture(scope="module")
def client_side(other: Python, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment of the other Python with ipyparallel; its directory of programs."""
    venv = tmp_path_factory.mktemp("client-side")
    subprocess.run([other.executable, "-m", "venv", venv], check=True)
    wanted = [
        line.strip().strip('",')
        for line in (REPOSITORY / "pyproject.toml").read_text().splitlines()
        if "ipyparallel==" in line
    ]
    pip = [venv / "bin/python", "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    subprocess.run([*pip, *wanted], check=True, timeout=600)
    return venv / "bin"


def test_run_takes_a_python_that_fits(
    allowed: Cluster, other: Python, client_side: Path, tmp_path: Path
) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    path = f"{allowed.data_center.env['PATH']}{os.pathsep}{client_side}"
    data_center = allowed.data_center.reached_with(PATH=path)
    done = Cluster(data_center, allowed.name).play("playbooks/run.yml", script=str(program))
    assert f"here {other.version}" in done.output
    assert f"there 12 {other.version}" in done.output


def test_run_without_such_a_python_says_so(allowed: Cluster, other: Python, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    failed = allowed.play("playbooks/run.yml", script=str(program), check=False)
    if f"here {other.version}" in failed.output:
        pytest.skip(f"this computer's own {other.version} has ipyparallel")
    assert failed.code
    assert tells(failed.output, other), failed.output


def test_a_new_machine_gets_the_python_of_the_others(
    allowed: Cluster, foreign: DataCenter, other: Python
) -> None:
    """Also where its repository has the laptop's: chosen once, it stays."""
    # the data center's machines are made for the running Python from now on
    home = foreign.reached_with(LOCALDC_PYTHON=sys.executable)
    home.python("-m", "localdc", "stop")
    home.python("-m", "localdc", "start")
    cluster = Cluster(home, allowed.name)
    try:
        eventually(
            "a controller",
            lambda: "online" in cluster.ssh("controller", "svcs -H ipyparallel:controller"),
        )
        failed = cluster.play("site.yml", engines=2, python_mismatch="allow", check=False)
        assert failed.code
        assert f"cluster are to run Python {other.version}" in text(failed.output)
        assert "Choose the machine_image of the others" in text(failed.output)
    finally:
        home.python("-m", "localdc", "stop")
        foreign.python("-m", "localdc", "start")
