"""The Python session of the 2013 how-to, with nothing but Python 3's syntax."""

from __future__ import annotations

from operator import methodcaller
from pathlib import Path
from typing import Any

import pytest

import smartdc
from smartdc import DataCenter

from .fake_cloud import FakeCloud, write_key


def test_the_session_of_2013(
    cloud: FakeCloud,
    url: str,
    home: Path,
    private_keys: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_key(home / ".ssh" / "id_rsa", private_keys["rsa"])
    cloud.allow("/username/keys/keyname", private_keys["rsa"].public_key())
    monkeypatch.setitem(smartdc.KNOWN_LOCATIONS, "eu-ams-1", url)
    (home / "ipcontroller.sh").write_text("#!/bin/sh\nmdata-get ipython.url\n")
    (home / "ipengine.sh").write_text("#!/bin/sh\nmdata-get ipython.key\n")

    sdc = DataCenter("eu-ams-1", key_id="/username/keys/keyname", verbose=True)
    ipc = sdc.create_machine(
        dataset="sdc:sdc:base64:",
        package="Extra Small 512 MB",
        tags={"cluster": "ipython", "role": "controller"},
        boot_script=str(home / "ipcontroller.sh"),
        name="ipcontroller",
    )
    assert ipc.state == "provisioning"
    ipc.poll_until("running", interval=0)
    assert ipc.public_ips == ["203.0.113.7"]
    assert ipc.private_ips == ["10.99.0.7"]
    assert ipc.boot_script == "#!/bin/sh\nmdata-get ipython.url\n"
    assert ipc.image == cloud.images[1]["id"]

    ipcontroller = {"url": "tcp://10.99.0.7:20000", "exec_key": "0123-secret"}
    for _ in range(4):
        sdc.create_machine(
            dataset="sdc:sdc:base64:",
            package="Extra Small 512 MB",
            metadata={
                "ipython.url": ipcontroller["url"],
                "ipython.key": ipcontroller["exec_key"],
            },
            tags={"cluster": "ipython", "role": "engine"},
            boot_script=str(home / "ipengine.sh"),
        )
    engines = sdc.machines(tags={"cluster": "ipython", "role": "engine"})
    assert len(engines) == 4
    assert engines[0].get_metadata()["ipython.url"] == "tcp://10.99.0.7:20000"

    cluster = sdc.machines(tags={"cluster": "ipython"})
    assert len(cluster) == 5
    list(map(methodcaller("stop"), cluster))
    list(map(methodcaller("poll_until", "stopped", interval=0), cluster))
    list(map(methodcaller("delete"), cluster))
    assert sdc.machines(tags={"cluster": "ipython"}) == []

    printed = capsys.readouterr()
    assert "POST /my/machines -> 201" in printed.err
    assert "0123-secret" not in printed.err
    assert "Signature" not in printed.err
    assert printed.out == ""
