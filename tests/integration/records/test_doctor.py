"""playbooks/doctor.yml on records of machines: what it finds, and that it only asks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any, Self

import pytest

from embedded.pythons import OWN

from ...unit.modules.modules_support import Cloud, new_key
from .playing import command

Lines = dict[str, str]
LOGIN = "bobby"


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    made = Cloud(tmp_path)
    yield made
    made.stop()


def examined(environment: dict[str, str], home: Path, *words: str, code: int) -> tuple[Lines, str]:
    """The report, each topic -> its state and what is said; and the whole output."""
    around = {**environment, "HOME": str(home)}
    done = command("ansible-playbook", "playbooks/doctor.yml", *words, environment=around)
    assert done.returncode == code, done.stdout + done.stderr
    report = done.stdout.partition("TASK [Report]")[2].partition("TASK [")[0]
    lines = [line.strip() for line in report.splitlines()]
    states = ("ok ", "note ", "problem ", "not known ")
    found = {
        line[11:].partition(" ")[0] if line[11:24].strip() else line: line
        for line in lines
        if line.startswith(states)
    }
    assert found, done.stdout + done.stderr
    return found, done.stdout


def doctor(cloud: Cloud, home: Path, *words: str, code: int = 0, **access: Any) -> Lines:
    """The report of a run that asks for nothing but what can be read."""
    before = len(cloud.requests)
    environment = {f"SDC_{name.upper()}": str(value) for name, value in access.items()}
    lines, _ = examined({**cloud.environment, **environment}, home, *words, code=code)
    assert {method for method, _ in cloud.requests[before:]} <= {"GET", "HEAD"}
    return lines


def states(lines: Lines) -> Lines:
    return {topic: line[:10].strip() for topic, line in lines.items()}


def test_a_run_would_work(cloud: Cloud, tmp_path: Path) -> None:
    lines = doctor(cloud, tmp_path)
    assert {"problem", "note"}.isdisjoint(states(lines).values()), lines
    assert f"({cloud.key_id}) is accepted as account acme" in lines["Key"]
    assert "the same as" in lines["Clock"] and "everything" in lines["Rights"]
    assert "base-64-lts@" in lines["Image"] and "external (public)" in lines["Networks"]
    assert "5 machine(s) would be made" in lines["Cluster"]
    assert "OpenSSH" in lines["ssh"] and str(cloud.key_file) in lines["ssh"]
    assert cloud.machines() == {}


def test_what_was_named_and_is_not_there(cloud: Cloud, tmp_path: Path) -> None:
    names = ("package=sample-1gb", "image=base-64-ltss", "networks=external,internl")
    words = [word for name in names for word in ("-e", f"machine_{name}")]
    lines = doctor(cloud, tmp_path, *words, code=2)
    wrong = [topic for topic, state in states(lines).items() if state == "problem"]
    assert wrong == ["Package", "Image", "Networks"], lines
    assert "no package 'sample-1gb' - nearest: sample-1G" in lines["Package"]
    assert "no image 'base-64-ltss' - nearest: base-64-lts@" in lines["Image"]
    assert "no network 'internl' - nearest: internal" in lines["Networks"]
    # what would fit
    assert "of package " in lines["Cluster"] and "of image base-64-lts@" in lines["Cluster"]


def test_what_was_named_and_does_not_fit(cloud: Cloud, tmp_path: Path) -> None:
    words = ("-e", "machine_image=ubuntu-24.04", "-e", "machine_package=b1-small-256M")
    lines = doctor(cloud, tmp_path, *words, code=2)
    assert "has linux and not SmartOS" in lines["Image"]
    assert "needs 512 MiB or more" in lines["Package"]


@pytest.mark.parametrize(
    ("seconds", "state", "code"), [(130, "note", 0), (-400, "problem", 2), (400, "problem", 2)]
)
def test_clocks(
    cloud: Cloud,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    seconds: int,
    state: str,
    code: int,
) -> None:
    """The data center's clock is moved, by which it judges requests and dates its answers."""

    class Moved(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return super().now(tz) + timedelta(seconds=seconds)

    monkeypatch.setattr("localdc.api.http.protocol.datetime", Moved)
    lines = doctor(cloud, tmp_path, code=code)
    assert states(lines)["Clock"] == state, lines
    assert f"{'behind' if seconds > 0 else 'ahead of'} the data center's" in lines["Clock"]
    assert "set this computer's clock" in lines["Clock"]


def test_limits_are_too_low(cloud: Cloud, tmp_path: Path) -> None:
    assert cloud.admin("PUT", "accounts/acme/limits", {"limits": [{"value": 3}]}).ok
    lines = doctor(cloud, tmp_path, code=2)
    assert "0 of 3 machines in use" in lines["Limits"]
    assert "limits do not allow 5 more machines" in lines["Cluster"]
    assert "3 machine(s) would be made" in doctor(cloud, tmp_path, "-e", "engines=2")["Cluster"]


@pytest.fixture
def bob(cloud: Cloud, tmp_path: Path) -> dict[str, Any]:
    """How to be a sub-user with a key of his own."""
    key_id, line = new_key(tmp_path / "bob")
    with cloud.client() as client:
        user = {"login": LOGIN, "email": "bobby@example.com", "password": "secret-1"}
        client.post_object("users", json=user)
        client.post_object("users", LOGIN, "keys", json={"name": "own", "key": line})
    return {"user": LOGIN, "key_id": key_id, "key_file": tmp_path / "bob"}


def allow(cloud: Cloud, *rules: str, name: str = "makers") -> None:
    """Give the sub-user a role with these rules."""
    with cloud.client() as client:
        policies = []
        if rules:
            policy = client.post_object("policies", json={"name": name, "rules": list(rules)})
            policies = [{"id": policy["id"]}]
        members = [{"type": "subuser", "login": LOGIN, "default": True}]
        client.post_object("roles", json={"name": name, "members": members, "policies": policies})


def test_a_sub_user_without_rights(cloud: Cloud, tmp_path: Path, bob: dict[str, Any]) -> None:
    lines = doctor(cloud, tmp_path, code=2, **bob)
    assert "is accepted as sub-user bobby of account acme" in lines["Key"]
    assert "Rights of a sub-user" in lines["Rights"] and "not known" in lines["Rights"]
    assert "CAN listpackages *" in lines["Package"] and "CAN listimages *" in lines["Image"]
    assert states(lines)["CNS"] == states(lines)["Limits"] == "not known"
    assert "CAN listmachines *" in lines["Inventory"]
    assert states(lines)["Cluster"] == "not known"


def test_a_sub_user_who_may_look_only(cloud: Cloud, tmp_path: Path, bob: dict[str, Any]) -> None:
    looking = "CAN getaccount, listmachines, listpackages, listimages and listnetworks *"
    allow(cloud, looking, "CAN listroles, getrole and getpolicy *")
    lines = doctor(cloud, tmp_path, code=2, **bob)
    assert states(lines)["Machines"] == "problem" and states(lines)["Firewall"] == "note", lines
    assert "CAN createmachine and deletemachine" in lines["Machines"]
    assert "opens no machine of acme" in lines["Cluster"]


def test_a_sub_user_with_rights(cloud: Cloud, tmp_path: Path, bob: dict[str, Any]) -> None:
    allow(cloud, name="administrator")
    lines = doctor(cloud, tmp_path, **bob)
    assert "everything: default member of administrator" in lines["Rights"], lines


def test_names_of_machines_are_off_and_wanted(cloud: Cloud, tmp_path: Path) -> None:
    with cloud.client() as client:
        client.update_account(triton_cns_enabled=True)
    assert "on:" in doctor(cloud, tmp_path)["CNS"]
    with cloud.client() as client:
        client.update_account(triton_cns_enabled=False)
    assert "off," in doctor(cloud, tmp_path)["CNS"]
    wanted = ("-e", "bootstrap=metadata", "-e", "controller_address=cns")
    lines = doctor(cloud, tmp_path, *wanted, code=2)
    assert (
        states(lines)["Cluster"] == "problem" and "controller_address is cns" in lines["Cluster"]
    ), lines


def test_machines_that_configure_themselves(cloud: Cloud, tmp_path: Path) -> None:
    file = tmp_path / "made/ipcontroller-client.json"
    words = ("-e", "bootstrap=metadata", "-e", f"client_file={file}")
    assert "5 machine(s) would be made" in doctor(cloud, tmp_path, *words)["Cluster"]
    assert not file.parent.exists()


def test_engines_would_talk_over_the_internet(cloud: Cloud, tmp_path: Path) -> None:
    lines = doctor(cloud, tmp_path, "-e", "machine_networks=external")
    assert states(lines)["Networks"] == "note" and "None is private" in lines["Networks"], lines


def test_a_key_that_the_account_does_not_have(cloud: Cloud, tmp_path: Path) -> None:
    key_id, _ = new_key(tmp_path / "other")
    lines = doctor(cloud, tmp_path, code=2, key_id=key_id, key_file=tmp_path / "other")
    assert states(lines)["Key"] == "problem" and states(lines)["Clock"] == "ok", lines
    lines = doctor(cloud, tmp_path, code=2, key_file=tmp_path / "none")
    assert "cannot read the private key" in lines["Key"]


def test_nobody_answers(cloud: Cloud, tmp_path: Path) -> None:
    cloud.stop()
    lines = doctor(cloud, tmp_path, code=2, timeout=2)
    assert states(lines)["Data"] == "problem" and cloud.url in lines["Data"], lines


def test_the_embedded_one_is_stopped(cloud: Cloud, tmp_path: Path) -> None:
    cloud.stop()
    (tmp_path / "datacenter.json").write_text(json.dumps(cloud.access))
    environment = {"LOCALDC_DIR": str(tmp_path), "SDC_TIMEOUT": "2"}
    lines, _ = examined(environment, tmp_path, code=0)
    assert "site.yml would start the embedded one" in lines["Data"], lines


@pytest.fixture
def controller(cloud: Cloud, request: pytest.FixtureRequest) -> None:
    """A machine that says which Python it has."""
    with cloud.client() as client:
        payload = {"image": client.list_images()[0]["id"], "package": "sample-1G"}
        payload |= {"name": "ipython-controller", "metadata.ipython.python": request.param}
        client.create({**payload, "tag.ipython_cluster": "ipython", "tag.role": "controller"})
    cloud.settle()


@pytest.mark.usefixtures("controller")
@pytest.mark.parametrize("controller", ["3.7"], indirect=True)
def test_machines_with_another_python(cloud: Cloud, tmp_path: Path) -> None:
    lines = doctor(cloud, tmp_path, code=2)
    assert states(lines)["Python"] == "problem" and "PYTHON=python3.7" in lines["Python"], lines
    lines = doctor(cloud, tmp_path, "-e", "python_mismatch=allow")
    assert states(lines)["Python"] == "note" and "1 kept" in lines["Cluster"], lines


@pytest.mark.usefixtures("controller")
@pytest.mark.parametrize("controller", [OWN], indirect=True)
def test_machines_with_the_same_python(cloud: Cloud, tmp_path: Path) -> None:
    assert f"{OWN} here and on the machines" in doctor(cloud, tmp_path)["Python"]


def test_nothing_is_configured(tmp_path: Path) -> None:
    nowhere = {"LOCALDC_DIR": str(tmp_path / "none")}
    lines, output = examined(nowhere, tmp_path, code=0)
    assert (
        "no data center is configured" in lines["Data"]
        and "python -m localdc doctor" in lines["Data"]
    )
    assert states(lines)["ssh"] == "ok" and "Nothing was made" in output
    assert not (tmp_path / "none").exists()
