"""What cluster_evidence makes of what the machines say."""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import ModuleType

import pytest

from .ansible_runs import load

PLUGIN = Path(__file__).resolve().parents[3] / "plugins/callback/cluster_evidence.py"
ENGINE = "svc:/pkgsrc/ipyparallel:engine"
BOOT = "svc:/pkgsrc/ipyparallel-boot:default"
EXECUTE = "svc:/smartdc/mdata:execute"


@pytest.fixture(scope="module")
def evidence() -> ModuleType:
    return load("plugins/callback/cluster_evidence.py")


def said(states: dict[str, str], **logs: str) -> str:
    """What a machine says, with the logs of the services execute, boot and engine."""
    files = {
        "execute": "smartdc-mdata:execute",
        "boot": "pkgsrc-ipyparallel-boot:default",
        "engine": "pkgsrc-ipyparallel:engine",
    }
    lines = ["== states", *(f"{sta} - {fmri}" for fmri, sta in states.items())]
    lines += ["== start pids", f"{ENGINE} 4711"]
    for name, text in logs.items():
        lines += [f"== /var/svc/log/{files[name]}.log", *text.splitlines()]
    return "\n".join(lines)


def test_packages_that_fail_in_the_boot_service(evidence: ModuleType) -> None:
    log = "boot script: step packages\nfailed: Not installed:\nfailed: nosuch\n"
    log += "boot script failed: step packages, status 1\n"
    text = said({EXECUTE: "ON", BOOT: "MNT"}, execute="started", boot=log)
    assert evidence.diagnose("m", text, {}) == "packages failed: Not installed:; nosuch"


@pytest.mark.parametrize(
    ("states", "where"),
    [({EXECUTE: "OFF*"}, EXECUTE), ({EXECUTE: "ON", BOOT: "OFF*"}, BOOT)],
)
def test_a_boot_script_that_has_not_ended(
    evidence: ModuleType, states: dict[str, str], where: str
) -> None:
    found = evidence.diagnose("m", said(states, boot="boot script: step packages"), {})
    assert found.startswith(f"boot script has not ended ({where} is OFF)")


def missing(evidence: ModuleType, text: str) -> str:
    """The diagnosis of a machine whose engine runs, but does not count."""
    result = {"missing": [{"machine": "m", "have": 0, "want": 1}]}
    failure = evidence.Failure("", "m has 0 of 1 engines", result)
    return str(evidence.diagnose("m", text, {"controller": failure}))


def test_a_controller_whose_name_does_not_resolve(evidence: ModuleType) -> None:
    boot = (
        "boot script: step engine\nwarning: the name of the controller, x.cns, does not resolve\n"
    )
    states = {EXECUTE: "ON", BOOT: "ON", ENGINE: "ON"}
    problem = missing(evidence, said(states, boot=boot, engine="Registering with controller"))
    assert problem.startswith(f"{ENGINE} is running but not registered")
    assert "the name of the controller, x.cns, does not resolve" in problem


@pytest.mark.parametrize(
    ("log", "sentence"),
    [
        # CPython, Python/pylifecycle.c and Modules/faulthandler.c
        ("Fatal Python error: Segmentation fault\n\nThread 0x1 (most recent call first):", "SEGV"),
        # illumos, cmd/svc/startd/restarter.c
        ("[ Mar  3 20:01:00 Stopping because process dumped core. ]", "dumped core"),
        # illumos, cmd/svc/startd/method.c
        ('[ Mar  3 20:01:00 Method "start" failed due to signal SEGV. ]', "SEGV"),
    ],
)
def test_an_engine_that_died_by_a_signal(evidence: ModuleType, log: str, sentence: str) -> None:
    states = {EXECUTE: "ON", ENGINE: "ON"}
    problem = missing(evidence, said(states, engine=f"{log}\n{'more' * 9}\n" * 2))
    assert "died by a signal" in problem
    assert sentence in problem


@pytest.mark.parametrize(
    "line",
    [
        # libc's text of ENOMEM on illumos, and on Linux
        "OSError: [Errno 12] Not enough space",
        "OSError: [Errno 12] Cannot allocate memory",
        "fork: Not enough space",
    ],
)
def test_memory_that_fork_does_not_get(evidence: ModuleType, line: str) -> None:
    problem = missing(evidence, said({EXECUTE: "ON", ENGINE: "ON"}, engine=line))
    assert "docs/service.md" in problem
    assert "swap" in problem


def test_what_is_only_mentioned_is_no_explanation(evidence: ModuleType) -> None:
    problem = missing(evidence, said({EXECUTE: "ON", ENGINE: "ON"}, engine="signal handlers set"))
    assert "died" not in problem and "swap" not in problem


def test_the_script_shows_the_log_of_the_boot_service(tmp_path: Path) -> None:
    log = tmp_path / "pkgsrc-ipyparallel-boot:default.log"
    log.write_text("boot script: done\n")
    script = PLUGIN.with_suffix(".sh").read_text().replace("/var/svc/log", str(tmp_path))
    done = subprocess.run(["sh", "-s"], input=script, capture_output=True, text=True, timeout=30)
    assert f"== {log}\nboot script: done\n" in done.stdout
