"""What cannot ask the data center stops with the reason, and does nothing.

Each playbook meets a data center that refuses all requests, one that refuses those of the inventory
alone, and none at all; site.yml also one that refuses any single one of its requests.
"""

from __future__ import annotations

import itertools
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ...unit.modules.modules_support import ROOT, Cloud, cluster, run_module
from .playing import command

REASON = "closed for today"
CLUSTER = "records"
SCRIPT = ("-e", "script=examples/eigenvalues.py")
PLAYBOOKS: dict[str, tuple[str, ...]] = {
    "site.yml": (),
    "teardown.yml": (),
    "playbooks/site.yml": ("-e", "bootstrap=metadata"),
    "playbooks/teardown.yml": ("--check",),
    "playbooks/status.yml": (),
    "playbooks/connect.yml": (),
    "playbooks/run.yml": SCRIPT,
    "playbooks/verify.yml": ("-e", "yes=yes"),
}
DOCTOR = "playbooks/doctor.yml"
"""Goes on and tells what else it finds; test_doctor.py."""
assert {*PLAYBOOKS, DOCTOR} == {
    str(path.relative_to(ROOT)) for path in (*ROOT.glob("[st]*.yml"), *ROOT.glob("playbooks/*.yml"))
}


class RefusingCloud(Cloud):
    """Can refuse a single request, counted from when it is told to."""

    before: int | None = None
    """Requests before that one; below 0 when it was refused, None when none is to be."""

    def _counting(self, app: Any) -> Any:
        counting = super()._counting(app)

        async def refusing(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http" and self.before is not None:
                if self.before == 0:
                    self.refuse_one()
                self.before -= 1
            await counting(scope, receive, send)

        return refusing

    def refuse_one(self) -> None:
        """The next request is refused, for longer than anybody waits."""
        self.fault(kind="unavailable", reason=REASON, retry_after=600)


class User:
    """Has a cluster of one engine, which configures itself, and its connection file."""

    def __init__(self, directory: Path, environment: dict[str, str]) -> None:
        self.file = directory / CLUSTER / "ipcontroller-client.json"
        self.environment = {**environment, "HOME": str(directory)}
        self.environment |= {"LOCALDC_DIR": str(directory / "none"), "COLUMNS": "1000"}
        self.file.parent.mkdir()
        self.file.write_text("{}")

    def run(self, program: str, *words: str) -> subprocess.CompletedProcess[str]:
        return command(program, *words, environment=self.environment, timeout=120)

    def play(self, playbook: str, *words: str) -> tuple[int, str]:
        """Its return code, and what the tasks said."""
        options = ("-e", f"cluster={CLUSTER}", "-e", f"client_file={self.file}")
        done = self.run("ansible-playbook", playbook, *words, *options)
        return done.returncode, " ".join(done.stdout.split())


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[RefusingCloud]:
    cloud = RefusingCloud(tmp_path)
    marks = {"ipython_cluster": CLUSTER, "cluster": CLUSTER}
    tags = {**marks, "bootstrap": "metadata"}
    wish = cluster(1)
    groups: list[dict[str, Any]] = wish["groups"]
    for group in groups:
        group["name"] = group["name"].replace("ipython", CLUSTER)
        group["secret_metadata"] = {"ipython.key": "a key"}
    run_module("sdc_machine", **{**cloud.access, **wish, "selector": marks, "tags": tags})
    yield cloud
    cloud.stop()


@pytest.fixture
def user(tmp_path: Path, cloud: Cloud) -> User:
    return User(tmp_path, {**cloud.environment, "SDC_TIMEOUT": "0.5"})


def writes(cloud: Cloud) -> int:
    return sum(method != "GET" for method, _ in cloud.requests)


@pytest.mark.parametrize("playbook", PLAYBOOKS)
@pytest.mark.parametrize("struck", ["all", "inventory"])
def test_a_playbook_stops_with_the_reason(
    playbook: str, struck: str, cloud: RefusingCloud, user: User
) -> None:
    before, asked = cloud.machines(), writes(cloud)
    if struck == "inventory":
        # which asks first
        cloud.refuse_one()
    else:
        cloud.fault(kind="unavailable", reason=REASON, count=None)
    code, said = user.play(playbook, *PLAYBOOKS[playbook])
    cloud.app.state.center.faults.withdraw()
    assert code == 2
    message = said.partition("fatal: [localhost]: FAILED!")[2]
    assert "inventory could not be read" in message and REASON in message, said
    assert writes(cloud) == asked and cloud.machines() == before
    assert user.file.exists()


def test_site_yml_whichever_request_is_refused(cloud: RefusingCloud, user: User) -> None:
    """What it was not told it does not make up: the cluster stays one that configures itself."""
    first = {name: machine["id"] for name, machine in cloud.machines().items()}
    for number in itertools.count():
        assert number < 60
        cloud.before = number
        code, said = user.play("site.yml", "--tags=machines", "-e", "engines=2")
        was_refused, cloud.before = cloud.before < 0, None
        machines = cloud.machines()
        assert {name: machines[name]["id"] for name in first} == first, said
        assert {m["tags"].get("bootstrap") for m in machines.values()} == {"metadata"}, said
        assert set(machines) <= {*first, f"{CLUSTER}-engine-002"}, said
        if not was_refused:
            break
        assert code or len(machines) == 3, said
        assert not code or REASON in said, said
    assert code == 0 and len(machines) == 3


def test_without_a_data_center_the_reason_is_named(tmp_path: Path) -> None:
    user = User(tmp_path, {})
    reason = "no data center is configured and no embedded one runs here"
    listed = user.run("ansible-inventory", "--list")
    assert f"[WARNING]: sdc inventory: no machines, because {reason}" in listed.stderr
    code, said = user.play("playbooks/status.yml")
    assert code == 0 and f"no machine of cluster {CLUSTER}, because {reason}" in said
    for playbook in ("playbooks/connect.yml", "playbooks/run.yml"):
        code, said = user.play(playbook, *PLAYBOOKS[playbook])
        assert code == 2 and reason in said
    code, said = user.play("teardown.yml")
    assert code == 0 and "There is no data center here" in said
    planned = user.run("ansible-playbook", "site.yml", "--check")
    assert "WARNING" not in planned.stderr and "would be started" in planned.stdout
