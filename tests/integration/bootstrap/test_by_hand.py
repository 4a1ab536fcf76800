"""An engine made by hand with the `triton` command, as in docs/service.md, joins the cluster."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import pytest

from embedded.center import Center
from embedded.clients.install import CACHE, Missing, install
from embedded.clients.shell import Shell

from ..cluster.playbooks import REPOSITORY, Cluster, eventually


@pytest.fixture(scope="module")
def shell(by_metadata: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    try:
        clients = install(CACHE)
    except Missing as error:
        pytest.skip(str(error))
    center = Center(
        by_metadata.data_center.state, Path(by_metadata.data_center.env["LOCALDC_PKGSRC"])
    )
    return Shell.open(center, tmp_path_factory.mktemp("home"), clients)


def documented(name: str) -> str:
    """The commands of docs/service.md, for a cluster of this name."""
    text = (REPOSITORY / "docs" / "service.md").read_text()
    section = text.partition("## An engine by hand")[2].partition("\n## ")[0]
    lines = [line[4:] for line in section.splitlines() if line.startswith("    ")]
    assert any("triton instance create" in line for line in lines), section
    return (
        "\n".join(lines)
        .replace("ipython-", f"{name}-")
        .replace(".cluster/ipython/", f".cluster/{name}/")
    )


def by_hand(shell: Shell, commands: str) -> str:
    path = f"{shell.clients.modules / '.bin'}:{shell.environment['PATH']}"
    done = subprocess.run(
        ["sh", "-euc", commands],
        env={**shell.environment, "PATH": path},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_joins_and_belongs_to_nobody_but_its_maker(by_metadata: Cluster, shell: Shell) -> None:
    key = by_metadata.ssh("controller", "mdata-get ipython.key").strip()
    said = by_hand(shell, documented(by_metadata.name))
    assert key not in said
    try:
        with by_metadata.client() as client:
            ids = eventually("two engines", lambda: client.ids if len(client.ids) == 2 else None)
            hosts = client[ids].apply_sync(socket.gethostname)
            assert set(hosts) == {"by-hand", f"{by_metadata.name}-engine-001"}

        # without the mark of the cluster it is not site.yml's
        again = by_metadata.play("site.yml", engines=1, bootstrap="metadata")
        assert again.total("changed") == 0
        assert len(by_metadata.machines) == 2
        with by_metadata.client() as client:
            assert len(client.ids) == 2

        # with its mark it counts, and goes when there are too many
        tags = [f"ipython_cluster={by_metadata.name}", "role=engine"]
        shell.triton("instance", "tag", "set", "-w", "by-hand", *tags)
        kept = by_metadata.play("site.yml", engines=2, bootstrap="metadata")
        assert "Machines      3: 0 created, 3 kept, 0 deleted" in kept.output
        assert "2 engine(s) ready" in kept.output
        by_metadata.play("site.yml", engines=1, bootstrap="metadata")
        assert set(by_metadata.machines) == {
            f"{by_metadata.name}-controller",
            f"{by_metadata.name}-engine-001",
        }
    finally:
        shell.run(
            str(shell.clients.modules / ".bin/triton"), "instance", "delete", "-w", "-f", "by-hand"
        )
