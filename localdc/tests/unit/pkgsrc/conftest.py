"""Fixtures of the package tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from .pkgsrc_support import DEPENDS, FILES, Repository, Zone


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    result = Repository(tmp_path / "store")
    for pkgname, files in FILES.items():
        result.add(pkgname, files, DEPENDS.get(pkgname, []))
    python = result.root / "packages/python311-3.11.7"
    (python / "+COPY").write_text("bin/python3.11\n")
    (python / "lib/python3.11/site-packages").symlink_to("/opt/local/lib/python3.11-site")
    return result


@pytest.fixture
def zone(
    tmp_path: Path,
    repository: Repository,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Zone:
    monkeypatch.delenv("PKG_REPOS", raising=False)
    root = tmp_path / "zone"
    configuration = root / "opt/local/etc/pkgin"
    configuration.mkdir(parents=True)
    (configuration / "repositories.conf").write_text(f"# repositories\n{repository.url}\n")
    (root / "opt/local/bin").mkdir()
    return Zone(root, capsys)
