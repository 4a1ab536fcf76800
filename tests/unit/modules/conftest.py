from __future__ import annotations

import os
import stat
import sys

import pytest

from .modules_support import Cloud, run_module, without_settings


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch, tmp_path):
    for name in set(os.environ) - set(without_settings()):
        monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))


@pytest.fixture
def start_cloud(tmp_path):
    clouds = []

    def start(**settings):
        directory = tmp_path / f"cloud{len(clouds)}"
        directory.mkdir()
        clouds.append(Cloud(directory, **settings))
        return clouds[-1]

    yield start
    for cloud in clouds:
        cloud.stop()


@pytest.fixture
def cloud(start_cloud):
    return start_cloud()


@pytest.fixture(scope="module")
def shared_cloud(tmp_path_factory):
    """One for tests that remove what they make."""
    cloud = Cloud(tmp_path_factory.mktemp("cloud"), firewall=True)
    yield cloud
    cloud.stop()


@pytest.fixture
def run(shared_cloud):
    def run(name, /, *, check=False, expect="ok", **arguments):
        access = shared_cloud.access
        return run_module(name, check=check, expect=expect, **{**access, **arguments})

    yield run
    shared_cloud.app.state.center.faults.withdraw()


@pytest.fixture
def sdc_machine(cloud):
    def run(check=False, expect="ok", **arguments):
        return run_module(
            "sdc_machine", check=check, expect=expect, **{**cloud.access, **arguments}
        )

    return run


@pytest.fixture
def fake_ssh(tmp_path, monkeypatch):
    """An ssh command that writes down its arguments and works from the second attempt on."""
    tools = tmp_path / "tools"
    tools.mkdir()
    script = tools / "ssh"
    script.write_text(
        f"#!/bin/sh\nprintf '%s\\n' \"$*\" >> {tools}/calls\n"
        "for last; do host=$prev; prev=$last; done\n"
        f'if [ -e {tools}/broken ]; then echo "kex_exchange: $host refused" >&2; exit 255; fi\n'
        f"if [ -e {tools}/says ]; then cat {tools}/says >&2; exit 255; fi\n"
        f'if [ ! -e "{tools}/seen.$host" ]; then : > "{tools}/seen.$host"; '
        "echo 'Connection refused' >&2; exit 255; fi\n"
    )
    script.chmod(script.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    return tools


@pytest.fixture
def zone(tmp_path, monkeypatch):
    if sys.platform != "linux":
        pytest.skip("the SMF of the embedded data center's zones needs Linux")
    from .smf_zone import Zone

    zone = Zone(tmp_path / "zone")
    monkeypatch.setenv("PATH", f"{zone.bin}:{os.environ['PATH']}")
    yield zone
    zone.stop()
