"""State directory, descriptor and ssh configuration, without a data center."""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from localdc import LocalDCError, access
from localdc.commands import cli, doctor
from localdc.commands.starting import start
from localdc.paths import StateDir, read_json, resolve, write_atomically
from localdc.zones import isolate


@pytest.fixture
def paths(tmp_path: Path) -> StateDir:
    found = resolve({"LOCALDC_DIR": str(tmp_path / "dc")})
    found.prepare()
    return found


def test_default_is_below_the_current_directory(tmp_path: Path) -> None:
    found = resolve({}, tmp_path)
    assert found.root == tmp_path / ".localdc"
    assert found.packages == tmp_path / ".localdc" / "pkgsrc"


def test_relative_variables_are_made_absolute(tmp_path: Path) -> None:
    found = resolve({"LOCALDC_DIR": "x/../dc", "LOCALDC_PKGSRC": "store"}, tmp_path)
    assert (found.root, found.packages) == (tmp_path / "dc", tmp_path / "store")


def test_state_directory_is_private(paths: StateDir) -> None:
    assert paths.root.stat().st_mode & 0o777 == 0o700


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "dc").write_text("")
    with pytest.raises(LocalDCError, match="LOCALDC_DIR"):
        resolve({"LOCALDC_DIR": str(tmp_path / "dc")}).prepare()


def test_atomic_write_keeps_mode_and_leaves_no_scraps(tmp_path: Path) -> None:
    target = tmp_path / "file.json"
    write_atomically(target, '{"a": 1}')
    write_atomically(target, '{"a": 2}')
    assert read_json(target) == {"a": 2}
    assert target.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.json"]


@pytest.mark.parametrize("text", ["", "[1]", "{"])
def test_broken_json_reads_as_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "x").write_text(text)
    assert read_json(tmp_path / "x") is None
    assert read_json(tmp_path / "missing") is None


def test_key_is_made_once_and_fingerprint_is_what_ssh_keygen_says(paths: StateDir) -> None:
    key = access.ensure_key(paths)
    assert access.ensure_key(paths) == key
    shown = subprocess.run(
        ["ssh-keygen", "-l", "-E", "md5", "-f", str(key.file)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"MD5:{key.fingerprint} " in shown.stdout
    assert key.file.stat().st_mode & 0o777 == 0o600


def test_ssh_understands_the_configuration(tmp_path: Path) -> None:
    paths = resolve({"LOCALDC_DIR": str(tmp_path / "with space & 100%")})
    paths.prepare()
    access.write_ssh_config(paths)
    done = subprocess.run(
        ["ssh", "-G", "-F", str(paths.ssh_config), "100.64.0.5"],
        capture_output=True,
        text=True,
        check=True,
    )
    settings = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    assert settings["user"] == "root"
    assert settings["proxyusefdpass"] == "yes"
    assert settings["stricthostkeychecking"] == "accept-new"
    assert settings["proxycommand"].endswith("%h %p")
    assert settings["identityfile"].replace("%%", "%") == str(paths.key)


def test_programs_are_not_told_the_key(tmp_path: Path) -> None:
    paths = resolve({"LOCALDC_DIR": str(tmp_path / "dc")})
    paths.prepare()
    access.write_ssh_config(paths)
    route, own = (file.read_text() for file in (paths.ssh_route, paths.ssh_config))
    assert "Identity" in own and "Identity" not in route
    assert set(route.splitlines()) < set(own.splitlines())


@pytest.fixture
def daemon(paths: StateDir) -> Iterator[None]:
    """A daemon that knows one machine, 100.64.0.5."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(paths.control))
        server.listen()

        def serve() -> None:
            for client in iter(lambda: server.accept()[0], None):
                with client:
                    request = json.loads(client.recv(1000))
                    known = request == {"op": "knows", "host": "100.64.0.5"}
                    client.sendall(json.dumps({"known": known}).encode() + b"\n")

        threading.Thread(target=serve, daemon=True).start()
        yield


def settings_of(paths: StateDir, host: str) -> dict[str, str]:
    """What the `ssh` for PATH would use for a host."""
    done = subprocess.run(
        [str(paths.commands / "ssh"), "-G", host], capture_output=True, text=True, check=True
    )
    return dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)


def test_ssh_of_path_knows_the_machines_and_nothing_else(paths: StateDir, daemon: None) -> None:
    access.write_ssh_config(paths)
    assert "proxycommand" in settings_of(paths, "100.64.0.5")
    assert "proxycommand" not in settings_of(paths, "100.64.0.6")
    assert "proxycommand" not in settings_of(paths, "example.org")


def test_ssh_of_path_is_ordinary_without_a_daemon(paths: StateDir) -> None:
    access.write_ssh_config(paths)
    assert "proxycommand" not in settings_of(paths, "100.64.0.5")


def test_a_relayed_connection_that_the_machine_resets(paths: StateDir) -> None:
    with (
        socket.socket(socket.AF_UNIX) as server,
        socket.create_server(("127.0.0.1", 0)) as machine,
        socket.create_connection(machine.getsockname()) as connection,
    ):
        server.bind(str(paths.control))
        server.listen()
        command = [
            sys.executable,
            "-IS",
            str(access.CONNECT),
            str(paths.control),
            "100.64.0.5",
            "22",
        ]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as relay:
            client, _ = server.accept()
            with client:
                client.recv(1000)
                socket.send_fds(client, [b"{}\n"], [connection.fileno()])
            connection.close()
            accepted, _ = machine.accept()
            accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            accepted.close()
            _, text = relay.communicate(timeout=10)
    assert text == b"localdc: 100.64.0.5 port 22: [Errno 104] Connection reset by peer\n"
    assert relay.returncode == 1


def test_host_keys_of_reused_addresses_are_forgotten(paths: StateDir) -> None:
    paths.known_hosts.write_text("100.64.0.5 ssh-ed25519 A\n100.64.0.50 ssh-ed25519 B\n")
    access.forget_host_keys(paths, {"100.64.0.5"})
    assert paths.known_hosts.read_text() == "100.64.0.50 ssh-ed25519 B\n"


def test_agent_socket_fits_into_an_address(tmp_path: Path) -> None:
    long = StateDir(tmp_path.joinpath(*["long-directory-name"] * 6), tmp_path)
    assert len(os.fsencode(long.agent_socket)) <= 107
    assert StateDir(Path("/s"), tmp_path).agent_socket == Path("/s/run/agent.sock")


def test_environment_serves_both_spellings(paths: StateDir) -> None:
    access.write_descriptor(paths, access.ensure_key(paths), "http://127.0.0.1:1", 7)
    descriptor = json.loads(paths.datacenter.read_text())
    assert paths.datacenter.stat().st_mode & 0o777 == 0o600
    variables = access.environment(paths, descriptor)
    assert variables["SDC_URL"] == variables["TRITON_URL"] == "http://127.0.0.1:1"
    assert variables["SDC_SSH_CONFIG"] == str(paths.ssh_route)
    assert variables["SSH_AUTH_SOCK"] == str(paths.agent_socket)


@pytest.mark.parametrize("command", ["env", "status"])
def test_commands_say_that_nothing_runs(
    command: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("LOCALDC_DIR", str(tmp_path / "dc"))
    assert cli.main([command]) == 1
    captured = capsys.readouterr()
    assert "python -m localdc start" in captured.out + captured.err


@pytest.mark.parametrize(("lines", "shown"), [("2", "b\nc\n"), ("9", "a\nb\nc\n"), ("0", "")])
def test_the_last_lines_of_a_log(
    paths: StateDir,
    lines: str,
    shown: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    paths.log.write_text("a\nb\nc\n")
    monkeypatch.setenv("LOCALDC_DIR", str(paths.root))
    assert cli.main(["logs", "-n", lines]) == 0
    assert capsys.readouterr().out == shown


def test_stop_of_nothing_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCALDC_DIR", str(tmp_path / "dc"))
    assert cli.main(["stop"]) == 0


def test_purge_spares_directories_of_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thesis.tex").write_text("irreplaceable")
    monkeypatch.setenv("LOCALDC_DIR", str(tmp_path))
    assert cli.main(["purge"]) == 1
    assert (tmp_path / "thesis.tex").exists()
    assert "is not the state directory" in capsys.readouterr().err


def test_missing_program_is_named_with_its_package(
    paths: StateDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    def which(name: str, path: str | None = None) -> str | None:
        return None if name == "sshd" else f"/usr/bin/{name}"

    monkeypatch.setattr(access.shutil, "which", which)
    with pytest.raises(LocalDCError, match=r"sshd is not installed.*openssh-server"):
        start(paths, lambda text: None)
    (check,) = [check for check in doctor._programs() if not check.ok]
    assert (check.name, check.remedy) == ("sshd", "As root: apt-get install openssh-server")


def test_full_disk_is_told_before_anything_is_done(
    paths: StateDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "shutil.disk_usage", lambda _: type("Usage", (), {"free": 100 * 1024 * 1024})
    )
    with pytest.raises(LocalDCError, match="100 MiB of free disk space"):
        start(paths, lambda text: None)


def test_user_without_subordinate_ids_is_told_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "subuid").write_text("somebody:100000:65536\nshort:1:5\n")
    monkeypatch.setattr(isolate, "user_name", lambda: "short")
    with pytest.raises(isolate.IsolationError, match=r"usermod --add-subuids .* short"):
        isolate._subordinate_range(str(tmp_path / "subuid"))
    monkeypatch.setattr(isolate, "user_name", lambda: "somebody")
    assert isolate._subordinate_range(str(tmp_path / "subuid")) == (100000, 65536)
