"""Continuous integration and the hooks before a commit run what `make` runs here."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))


def read(path: str) -> dict[Any, Any]:
    found = yaml.safe_load((ROOT / path).read_text())
    assert isinstance(found, dict)
    return found


def commands(job: dict[str, Any]) -> str:
    return "\n".join(step.get("run", "") for step in job["steps"])


def test_its_jobs_are_the_parts_of_make_test() -> None:
    (parts,) = re.findall(r"^test: test-setup (.+)$", MAKEFILE, re.MULTILINE)
    jobs = read(".github/workflows/ci.yml")["jobs"]
    assert {*parts.split(), "macos"} == set(jobs)
    for part in parts.split():
        assert f"make {part}" in commands(jobs[part])
    assert not any("needs" in job for job in jobs.values()), "they run at the same time"


def test_its_targets_exist() -> None:
    jobs = read(".github/workflows/ci.yml")["jobs"].values()
    called = {name for job in jobs for name in re.findall(r"make ([a-z-]+)", commands(job))}
    prepare = read(".github/actions/prepare/action.yml")
    called.add(prepare["inputs"]["target"]["default"])
    assert called - {"test-setup"} and called <= TARGETS


def test_hooks_are_the_linters() -> None:
    """One hook for each line of `make lint` that starts a program."""
    (recipe,) = re.findall(r"^lint:.*\n((?:\t.*\n)+)", MAKEFILE, re.MULTILINE)
    programs = {re.sub(r"^cd \S+ && ", "", line.strip()).split()[0] for line in recipe.splitlines()}
    (local,) = read(".pre-commit-config.yaml")["repos"]
    entries = " ".join(hook["entry"] for hook in local["hooks"])
    assert programs and all(f"{program} " in f"{entries} " for program in programs)
