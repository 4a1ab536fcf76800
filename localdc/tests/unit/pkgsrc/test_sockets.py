"""Packages that the compute node makes on demand: from pkgin to the process on the host."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from embedded.unix_server import UnixServer
from localdc.pkgsrc import fetcher
from localdc.pkgsrc.sockets import NO_FETCHER, Fetcher, PackageSocket
from localdc.smartos.pkgsrc import request

from .support import Repository, Zone


class Node(UnixServer):
    """The compute node's end of the socket, which answers as `replies` says."""

    def __init__(self, zone: Zone) -> None:
        self.requests: list[str] = []
        self.replies: dict[str, str] = {"summary": "end\n"}
        self.on_fetch: Callable[[list[str]], None] = lambda names: None
        directory = zone.root / request.DIRECTORY
        directory.mkdir()
        super().__init__(directory / request.NAME)

    def serve(self, connection: socket.socket) -> None:
        line = connection.recv(4096).decode().strip()
        self.requests.append(line)
        operation, *names = line.split()
        if operation == "fetch":
            self.on_fetch(names)
        begun = "".join(f"begin {name.rpartition('/')[2]}\n" for name in names)
        connection.sendall((begun + self.replies.get(operation, "end\n")).encode())


@pytest.fixture
def node(zone: Zone, repository: Repository, monkeypatch: pytest.MonkeyPatch) -> Iterator[Node]:
    """A compute node whose store is the repository, in which zmq is not made yet."""
    monkeypatch.setattr(request, "STORE", f"{repository.root.parent}/")
    result = Node(zone)
    made = repository.root / "packages/py311-zmq-27.3.0"
    kept = made.rename(repository.root / "kept")
    repository.stanzas["py311-zmq-27.3.0"] += "FILE_SIZE=3145728\n"
    repository.publish()
    result.on_fetch = lambda names: None if made.exists() else kept.rename(made) and None
    yield result
    result.stop()


def test_a_package_on_demand(zone: Zone, node: Node) -> None:
    text = zone.run("-y", "install", "py311-zmq")
    assert "3.0M to download, 4.0K of additional disk space will be used\n" in text
    assert (
        "\n\n[1/1] downloading py311-zmq-27.3.0.tgz done.\n[1/2] installing python311-3.11.7...\n"
    ) in text
    assert node.requests == ["summary", "fetch store/py311-zmq-27.3.0"]
    assert zone.run("-y", "install", "py311-zmq").endswith("nothing to do.\n")
    zone.run("-y", "remove", "py311-zmq")
    assert "0B to download" in zone.run("-y", "install", "py311-zmq")


def test_a_plan_downloads_nothing(zone: Zone, node: Node) -> None:
    assert "3.0M to download" in zone.run("-n", "install", "py311-zmq")
    assert node.requests == ["summary"]


def test_download_only(zone: Zone, node: Node) -> None:
    text = zone.run("-y", "-d", "install", "py311-zmq")
    assert "1 package to download:\n  py311-zmq-27.3.0\n\n3.0M to download\n" in text
    assert text.endswith("[1/1] downloading py311-zmq-27.3.0.tgz done.\n")
    zone.info("-qe", "py311-zmq", status=1)


def test_content_of_a_package_on_demand(zone: Zone, node: Node) -> None:
    zone.run("update")
    assert "/site-packages/zmq/__init__.py\n" in zone.run("pkg-content", "py311-zmq")


def test_a_download_that_fails_says_why_and_installs_nothing(zone: Zone, node: Node) -> None:
    node.on_fetch = lambda names: None
    node.replies["fetch"] = "error pip could not download\nerror   no route to host\nend\n"
    zone.run("-y", "install", "py311-zmq", "py311-six", status=1)
    assert zone.error == (
        "pkgin: error downloading packages: pip could not download\n  no route to host\n"
    )
    assert zone.run("-p", "list") == ""
    node.replies["fetch"] = ""
    zone.run("-y", "install", "py311-zmq", status=1)
    assert "the compute node hung up" in zone.error


def test_a_repository_that_is_down(zone: Zone, node: Node, repository: Repository) -> None:
    zone.run("update")
    node.replies["summary"] = "error Connection refused\nend\n"
    for command in (("-y", "install", "py311-six"), ("update",), ("-y", "upgrade")):
        zone.run(*command, status=1)
        assert zone.error == (
            f"pkgin: Could not fetch {repository.url}/pkg_summary.gz: Connection refused\n"
        )
    # what needs no network goes on
    assert "py311-six-1.0" in zone.run("avail")


def test_no_space(zone: Zone, node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        f_bavail, f_frsize = 0, 4096

    monkeypatch.setattr(os, "statvfs", lambda _: Full)
    zone.run("-y", "install", "py311-zmq", status=1)
    assert zone.error == (
        "pkgin: /var/db/pkgin/cache does not have enough space for download, "
        "(2.0K required but only 0B are available)\n"
    )


def test_a_zone_without_a_compute_node(zone: Zone, repository: Repository) -> None:
    (repository.root / "packages/py311-six-1.0").rename(repository.root / "gone")
    zone.run("-y", "install", "py311-six", status=1)
    assert "no compute node" in zone.error


def test_a_repository_that_no_compute_node_knows(
    zone: Zone, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request, "STORE", "/elsewhere/")
    zone.run("-y", "install", "py311-zmq", status=1)
    assert zone.error.endswith("/All/py311-zmq-27.3.0.tgz: Not Found\n")
    assert node.requests == []


# The daemon's side


def ask_socket(
    path: Path, *words: str, channel: socket.socket | None, fault: str | None = None
) -> tuple[list[str], str]:
    """What a zone gets from a real PackageSocket: the downloads, and the error."""

    async def no_fault() -> str | None:
        return fault

    def question() -> tuple[list[str], str]:
        begun: list[str] = []
        try:
            for name in request.ask(str(path), *words):
                begun.append(name)
        except request.RequestError as error:
            return begun, str(error)
        return begun, ""

    async def scenario() -> tuple[list[str], str]:
        source = Fetcher(channel) if channel else None
        if source:
            await source.open()
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        listener.setblocking(False)
        served = PackageSocket("zone", source, no_fault)
        await served.listen(listener)
        try:
            return await asyncio.to_thread(question)
        finally:
            await served.close()
            if source:
                source.close()

    return asyncio.run(scenario())


def test_the_door_without_a_fetcher(tmp_path: Path) -> None:
    assert ask_socket(tmp_path / "a", "summary", channel=None) == ([], "")
    assert ask_socket(tmp_path / "b", "fetch", "x", channel=None) == ([], NO_FETCHER)
    assert ask_socket(tmp_path / "c", "summary", channel=None, fault="down") == ([], "down")
    assert ask_socket(tmp_path / "d", "format", channel=None) == ([], "unknown operation format")


def test_the_door_with_the_real_process(tmp_path: Path) -> None:
    channel = fetcher.spawn(tmp_path / "store", tmp_path / "log")
    begun, error = ask_socket(tmp_path / "socket", "fetch", "py2-nosuch-1", channel=channel)
    assert begun == []
    assert error == "py2-nosuch-1 is not a package that is made on demand"


def test_a_fetcher_that_died(tmp_path: Path) -> None:
    near, far = socket.socketpair()
    far.close()
    assert ask_socket(tmp_path / "socket", "fetch", "x", channel=near)[1] == NO_FETCHER


def test_a_zone_that_ends_while_it_waits_leaves_no_work(tmp_path: Path) -> None:
    async def no_fault() -> None:
        return None

    async def scenario() -> None:
        near, far = socket.socketpair()
        with far, socket.socket(socket.AF_UNIX) as listener:
            source = Fetcher(near)
            await source.open()
            listener.bind(str(tmp_path / "socket"))
            listener.setblocking(False)
            served = PackageSocket("zone", source, no_fault)
            await served.listen(listener)
            before = asyncio.all_tasks()
            reader, writer = await asyncio.open_unix_connection(tmp_path / "socket")
            writer.write(b"fetch x\n")
            assert b"x" in await asyncio.to_thread(far.recv, 4096)
            await served.close()
            assert await reader.read() == b""
            writer.close()
            assert asyncio.all_tasks() <= before
            source.close()

    asyncio.run(scenario())


def test_the_process_ends_with_the_data_center_and_takes_pip_along(tmp_path: Path) -> None:
    pip = tmp_path / "python"
    pip.write_text(f"#!/bin/sh\necho $$ >{tmp_path}/pid\nexec sleep 1000\n")
    pip.chmod(0o755)
    code = (
        f"import sys; sys.executable = {str(pip)!r}; "
        "from localdc.pkgsrc import fetcher; fetcher.main()"
    )
    near, far = socket.socketpair()
    with far:
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=far.fileno(),
            start_new_session=True,
            cwd=Path(__file__).parents[3] / "src",
        )
    near.sendall(b'{"id": 1, "packages": ["x"]}\n')
    deadline = time.monotonic() + 20
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    worker = int((tmp_path / "pid").read_text())
    near.close()
    assert process.wait(20) == -signal.SIGKILL
    while Path(f"/proc/{worker}/cmdline").exists() and (
        Path(f"/proc/{worker}/cmdline").read_bytes()
    ):
        assert time.monotonic() < deadline
        time.sleep(0.05)
