"""A Python of a zone has not what CPython has not on illumos: configure's answers on SunOS.

The sources are CPython's posixmodule.c, resource.c, socketmodule.c and the headers of illumos.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

STARTED_WITH = Path(__file__).parents[3] / "src/localdc/smartos/python"


def python(code: str, *options: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(STARTED_WITH)}
    # ipykernel asks for it
    environment.pop("PYTEST_CURRENT_TEST", None)
    done = subprocess.run(
        [sys.executable, *options, "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize(
    ("module", "names"),
    [
        ("os", "pidfd_open sched_getaffinity sched_setaffinity memfd_create getxattr listxattr"),
        ("posix", "pidfd_open sched_getaffinity memfd_create"),
        ("resource", "prlimit RLIMIT_NPROC RLIMIT_MEMLOCK"),
        ("socket", "SO_PEERCRED SO_REUSEPORT"),
        ("signal", "pidfd_send_signal"),
    ],
)
def test_what_sunos_lacks(module: str, names: str) -> None:
    code = f"import {module} as m; print([n for n in {names.split()} if hasattr(m, n)])"
    assert python(code) == "[]\n"


def test_what_sunos_lacks_stays_away_however_often_it_is_looked_for() -> None:
    code = "import importlib.util as u; u.find_spec('resource'); import resource as r; print({})"
    found = "hasattr(r, 'prlimit'), r.__spec__.loader is r.__loader__"
    assert python(code.format(found)) == "False True\n"


def test_a_module_that_is_loaded_again_is_still_on_sunos() -> None:
    code = "import importlib, ipykernel.iostream as m; importlib.reload(m); print(m.sys.platform)"
    assert python(code) == "sunos5\n"


def test_what_sunos_has_stays() -> None:
    names = "select.epoll os.fork os.getloadavg resource.RLIMIT_NOFILE socket.SO_KEEPALIVE"
    code = "import os, select, resource, socket, sys; print(sys.platform, all([{}]))"
    assert python(code.format(", ".join(f"bool({n})" for n in names.split()))) == "linux True\n"


def test_the_compute_node_has_many_cpus() -> None:
    """sysconf(_SC_NPROCESSORS_ONLN) in a zone with a cap, illumos, os/cpu.c."""
    code = "import os, multiprocessing as m; print(os.cpu_count(), m.cpu_count())"
    assert python(code) == "48 48\n"
    assert python("import os; print(getattr(os, 'process_cpu_count', os.cpu_count)())") == "48\n"


def test_modules_look_as_if_nobody_had_touched_them() -> None:
    code = (
        "import resource, ipykernel.iostream as i, inspect; "
        "print(type(resource.__loader__).__name__, type(i.__spec__.loader).__name__, "
        "len(inspect.getsource(i)) > 1000, i.sys.maxsize)"
    )
    assert python(code).split()[2:] == ["True", str(sys.maxsize)]
    assert "_Loader" not in python(code)


def test_children_are_waited_for_without_pidfd() -> None:
    code = """
import asyncio, subprocess
async def main():
    child = await asyncio.create_subprocess_exec("sh", "-c", "exit 3")
    return await child.wait()
print(asyncio.run(main()), subprocess.run(["sh", "-c", "exit 4"]).returncode)
"""
    assert python(code) == "3 4\n"


def test_a_kernel_does_not_take_over_the_descriptors() -> None:
    """ipykernel/iostream.py, OutStream.__init__: only on Linux and macOS."""
    code = """
import os, zmq
from ipykernel.iostream import IOPubThread, OutStream
from jupyter_client.session import Session
thread = IOPubThread(zmq.Context().socket(zmq.PUB), pipe=True)
stream = OutStream(Session(key=b"x"), thread, "stdout")
os.write(1, b"child\\n")
os._exit(0)
"""
    assert python(code) == "child\n"


def test_isolated_programs_of_the_zone_start_as_before() -> None:
    """The commands of the zone run with -IS, and pay nothing."""
    assert python("import sys; print('sitecustomize' in sys.modules)", "-IS") == "False\n"
