"""playbooks/verify.yml against records of machines: the half of it that asks CloudAPI."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ...unit.modules.modules_support import Cloud
from .playing import command

OTHER_STATUS = {200: 203, 201: 200, 202: 200, 204: 200}


class Different(Cloud):
    """A data center that answers every question in its own way."""

    def _counting(self, app: Any) -> Any:
        return super()._counting(changed(app))


def changed(app: Any) -> Any:
    """The application, but for its words, its fields and its kinds of success."""

    async def other(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        begun: list[Any] = []
        body = b""

        async def hold(message: Any) -> None:
            nonlocal body
            if message["type"] == "http.response.start":
                begun.append(message)
                return
            body += message.get("body", b"")
            if message.get("more_body"):
                return
            (start,) = begun
            if not awaited(scope["path"]):
                start["status"] = OTHER_STATUS.get(start["status"], start["status"])
            sent = altered(body) if scope["method"] != "HEAD" else b""
            kept = [
                (name, value)
                for name, value in start["headers"]
                if name.lower() not in (b"content-length", b"content-md5", b"server")
            ]
            start["headers"] = [*kept, (b"content-length", str(len(sent)).encode())]
            await send(start)
            await send({"type": "http.response.body", "body": sent})

        await app(scope, receive, hold)

    return other


def awaited(path: str) -> bool:
    """Whether a probe asks there until the status is 200."""
    return path.endswith("/metadata/v_text")


def altered(body: bytes) -> bytes:
    try:
        answer = json.loads(body)
    except ValueError:
        return body
    if isinstance(answer, str):
        return json.dumps(f"{answer}!").encode()
    for item in answer if isinstance(answer, list) else [answer]:
        if isinstance(item, dict):
            item["surprise"] = True
            if "code" in item and "message" in item:
                item.update(code=f"Other{item['code']}", message="in other words")
    return json.dumps(answer).encode()


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    made = Cloud(tmp_path)
    yield made
    made.stop()


@pytest.fixture
def different(tmp_path: Path) -> Iterator[Cloud]:
    made = Different(tmp_path)
    yield made
    made.stop()


def verify(cloud: Cloud, home: Path, *words: str, code: int = 0) -> str:
    report = home / "verify.md"
    options = ("-e", f"sdc_verify_report={report}", "-e", "sdc_verify_inside=false", *words)
    environment = {**cloud.environment, "HOME": str(home)}
    done = command("ansible-playbook", "playbooks/verify.yml", *options, environment=environment)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def nothing_is_left(cloud: Cloud) -> bool:
    with cloud.client() as api:
        keys = [key["name"] for key in api.get_list("keys")]
        return not api.list_machines() and not api.fwrules() and keys == ["k"]


def test_it_answers_as_itself(cloud: Cloud, tmp_path: Path) -> None:
    output = verify(cloud, tmp_path, "-e", "yes=yes")
    assert "0 of " in output and "were answered otherwise" in output, output
    assert nothing_is_left(cloud)
    report = tmp_path / "verify.md"
    answers = report.with_suffix(".json")
    assert report.stat().st_mode & 0o777 == answers.stat().st_mode & 0o777 == 0o600
    assert len(json.loads(answers.read_text())) > 100
    for secret in ("acme", cloud.key_id, "127.0.0.1:", "AAAAB3"):
        assert secret not in report.read_text() + answers.read_text()


def test_every_other_answer_is_found(different: Cloud, tmp_path: Path) -> None:
    output = verify(different, tmp_path, "-e", "yes=yes")
    found = json.loads((tmp_path / "verify.json").read_text())
    asked = {name for name, answer in found.items() if "not asked" not in answer}
    report = (tmp_path / "verify.md").read_text()
    unseen = {name for name in asked if f"\n## {name}\n" not in report}
    assert unseen == set(), output
    assert nothing_is_left(different)


def test_nothing_is_spent_without_a_yes(cloud: Cloud, tmp_path: Path) -> None:
    assert "Nothing was done" in verify(cloud, tmp_path, code=2)
    assert cloud.count("POST") == 0


def test_what_an_interrupted_run_has_left_is_deleted(cloud: Cloud, tmp_path: Path) -> None:
    with cloud.client() as api:
        image, package = api.list_images()[0]["id"], api.list_packages()[0]["id"]
        offer = {"image": image, "package": package}
        mine = api.create({**offer, "name": "mine", "tag.other": "yes"})
        api.create({**offer, "name": "sdc-verify", "tag.sdc_verify": "yes"})
        api.create_fwrule("FROM any TO tag x ALLOW tcp PORT 1", description="sdc-verify")
        api.create_fwrule("FROM any TO tag x ALLOW tcp PORT 2", description="other")
        verify(cloud, tmp_path, "-e", "sdc_verify_sweep=only")
        assert [machine["id"] for machine in api.list_machines()] == [mine["id"]]
        assert [rule["description"] for rule in api.fwrules()] == ["other"]


def test_a_machine_that_cannot_be_made_ends_it_and_leaves_nothing(
    cloud: Cloud, tmp_path: Path
) -> None:
    cloud.fault(kind="provision_failure", machine="sdc-verify", count=None)
    output = verify(cloud, tmp_path, "-e", "yes=yes", code=2)
    assert "Machine: " in output and "deleted: " in output
    assert nothing_is_left(cloud)
