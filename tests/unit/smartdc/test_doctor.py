"""What the doctor makes of rules and of the ssh command."""

from __future__ import annotations

from pathlib import Path

import pytest

from smartdc.doctor import here, rights


@pytest.mark.parametrize(
    ("rule", "allowed"),
    [
        ("CAN createmachine *", {"createmachine"}),
        ("CAN createmachine and deletemachine *", {"createmachine", "deletemachine"}),
        ("can a, b AND c *", {"a", "b", "c"}),
        ("CAN * *", {"*"}),
    ],
)
def test_rules_that_are_clear(rule: str, allowed: set[str]) -> None:
    assert rights.granted([rule]) == (allowed, [])


@pytest.mark.parametrize(
    "rule",
    [
        "CAN createmachine",
        "CAN createmachine * WHEN day in (Monday)",
        "CAN /^create/ *",
        'CAN "create*" *',
        "John CAN createmachine *",
    ],
)
def test_rules_that_depend(rule: str) -> None:
    assert rights.granted([rule]) == (set(), [rule])


@pytest.mark.parametrize(
    ("said", "state", "words"),
    [
        ("OpenSSH_7.4p1, OpenSSL 1.0.2k", "problem", "OpenSSH_7.4p1 is too old"),
        ("OpenSSH_10.0p2 Debian-7, OpenSSL 3", "ok", "OpenSSH_10.0p2 Debian-7, by way of me@gate"),
        ("Sun_SSH_2.4, SSH protocols 1.5/2.0", "ok", "Sun_SSH_2.4"),
        (None, "problem", "there is no ssh command"),
    ],
)
def test_ssh(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str | None, state: str, words: str
) -> None:
    if said is not None:
        program = tmp_path / "ssh"
        program.write_text(f"#!/bin/sh\necho '{said}' >&2\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    found = here.ssh(None, {"jump_host": "me@gate"})
    assert found.state == state and words in found.says
