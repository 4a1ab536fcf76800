"""A real svc.startd for each test, as an ordinary process below a directory of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from localdc.smartos.smf.door import Door
from localdc.smartos.smf.quoting import quote

SOURCES = Path(__file__).parents[3] / "src"
HEADER = """<?xml version="1.0"?>
<!DOCTYPE service_bundle SYSTEM "/usr/share/lib/xml/dtd/service_bundle.dtd.1">
<service_bundle type="manifest" name="test">
"""
# as in a zone: no site-packages, nothing but the standard library
PYTHON = [os.path.realpath(sys.executable), "-IS", "-c"]
BEGIN = f"import sys; sys.path.insert(0, {str(SOURCES)!r}); "
CLIENT = (
    BEGIN + "from localdc.smartos.command import run; "
    "from localdc.smartos.smf.commands.client import main; "
    "run(lambda: main(sys.argv.pop(1)))"
)
DAEMON = BEGIN + "from localdc.smartos.smf.startd.startd import main; main()"


class Zone:
    """The daemon, its commands, and shorthands for what tests look at."""

    def __init__(self, root: Path, *options: str) -> None:
        self.root = root
        self.options = options
        # Python that the daemon runs first: a fault of the system under it
        self.preface = ""
        self.process: subprocess.Popen[bytes] | None = None
        self.door = root / "etc/svc/volatile/repository_door"
        self.env = {**os.environ, "LOCALDC_SMF_DOOR": str(self.door), "TZ": "UTC"}

    def start(self) -> None:
        # by which its processes are known, see `sweep`
        name = self.root / "etc/zonename"
        if not name.exists():
            name.parent.mkdir(exist_ok=True)
            name.write_text(f"{self.root.name}\n")
        self.process = subprocess.Popen(
            [*PYTHON, self.preface + DAEMON, "--root", str(self.root), *self.options],
            env=self.env, cwd="/",
        )  # fmt: skip
        self.wait(self.answers)

    def answers(self) -> bool:
        """Whether the door exists and is listened on, which are two steps."""
        try:
            Door(str(self.door))
        except OSError:
            return False
        return True

    def stop(self) -> int:
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(70)

    def sweep(self) -> None:
        """End the processes that services have left, as the end of a zone's namespace would."""
        mine = f"SMF_ZONENAME={self.root.name}".encode()
        for directory in Path("/proc").glob("[0-9]*"):
            # gone meanwhile, or somebody else's
            with contextlib.suppress(OSError):
                if mine in (directory / "environ").read_bytes().split(b"\0"):
                    os.kill(int(directory.name), signal.SIGKILL)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self.door.unlink(missing_ok=True)

    def run(
        self, command: str, *args: str, stdin: str = "", user: int | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*PYTHON, CLIENT, command, *args],
            input=stdin, capture_output=True, text=True, env=self.env, user=user, timeout=60,
            cwd="/",
        )  # fmt: skip

    def ok(self, command: str, *args: str, stdin: str = "") -> str:
        """The output of a command that succeeds, when everything that it asked for has begun."""
        done = self.run(command, *args, stdin=stdin)
        assert done.returncode == 0, (args, done.stdout, done.stderr)
        if command in ("svcadm", "svccfg"):
            self.wait(
                lambda: not any(row.get("asked") for row in Door(str(self.door)).call("list"))
            )
        return done.stdout

    def load(self, body: str, name: str = "m.xml") -> None:
        path = self.root / name
        path.write_text(f"{HEADER}{body}</service_bundle>\n")
        self.ok("svccfg", "import", str(path))

    def service(
        self, name: str, start: str = ":true", stop: str = ":kill", duration: str = "contract",
        enabled: bool = True, timeout: int = 10, extra: str = "", tail: str = "",
    ) -> str:  # fmt: skip
        """Import a small service ``site/NAME:default`` and return its FMRI."""
        self.load(service(name, start, stop, duration, enabled, timeout, extra, tail))
        return f"svc:/site/{name}:default"

    def state(self, fmri: str) -> str:
        """What ``svcs -H -o state`` prints; asked here, because tests ask often."""
        if not fmri.startswith("svc:"):
            return self.ok("svcs", "-H", "-o", "state", fmri).strip()
        (row,) = Door(str(self.door)).call("list", only=[fmri])
        return row.get("state", "-") + "*" * (row.get("next", "none") != "none")

    def prop(self, fmri: str, name: str) -> str:
        """What ``svcprop -p`` prints, nothing where the property is missing."""
        group, _slash, prop = name.partition("/")
        found = Door(str(self.door)).groups(fmri, "running", group).get(group)
        values = found.props[prop].values if found and prop in found.props else ()
        return " ".join(map(quote, values))

    def reaches(self, fmri: str, state: str, seconds: float = 15) -> None:
        self.wait(lambda: self.state(fmri) == state, seconds, lambda: self.explain(fmri))

    def explain(self, fmri: str) -> str:
        return f"{self.state(fmri)}\n{self.log(fmri)}"

    def log(self, fmri: str) -> str:
        name = fmri.removeprefix("svc:/").replace("/", "-") + ".log"
        path = self.root / "var/svc/log" / name
        return path.read_text(errors="replace") if path.exists() else ""

    def lines(self, fmri: str) -> list[str]:
        """The messages of svc.startd in a log, without their time."""
        return [line[18:-2] for line in self.log(fmri).splitlines() if line.startswith("[ ")]

    @staticmethod
    def wait(
        true: Callable[[], bool], seconds: float = 15, why: Callable[[], str] = lambda: ""
    ) -> None:
        deadline = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < deadline, why()
            time.sleep(0.02)


def service(
    name: str, start: str = ":true", stop: str = ":kill", duration: str = "contract",
    enabled: bool = True, timeout: int = 10, extra: str = "", tail: str = "",
) -> str:  # fmt: skip
    escaped = start.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    dependencies, contexts = "", ""
    for line in extra.splitlines():
        if "<dependen" in line:
            dependencies += line
        else:
            contexts += line
    return f"""<service name="site/{name}" type="service" version="1">
<create_default_instance enabled="{str(enabled).lower()}"/>{dependencies}{contexts}
<exec_method type="method" name="start" exec="{escaped}" timeout_seconds="{timeout}"/>
<exec_method type="method" name="stop" exec="{stop}" timeout_seconds="{timeout}"/>
<property_group name="startd" type="framework">
<propval name="duration" type="astring" value="{duration}"/></property_group>
{tail}</service>
"""


def depends(
    name: str, *fmris: str, grouping: str = "require_all", restart_on: str = "none",
    type: str = "service",
) -> str:  # fmt: skip
    entities = "".join(f'<service_fmri value="{fmri}"/>' for fmri in fmris)
    return (
        f'<dependency name="{name}" grouping="{grouping}" restart_on="{restart_on}"'
        f' type="{type}">{entities}</dependency>\n'
    )


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A directory that services with a credential can reach, which pytest's own is not."""
    with tempfile.TemporaryDirectory(prefix="smf-") as name:
        path = Path(name)
        path.chmod(0o755)
        yield path


@pytest.fixture
def zone(tmp_path: Path) -> Iterator[Zone]:
    """A running svc.startd with an empty repository."""
    running = Zone(tmp_path)
    try:
        running.start()
        yield running
        if running.process is not None and running.process.poll() is None:
            running.stop()
    finally:
        running.sweep()
