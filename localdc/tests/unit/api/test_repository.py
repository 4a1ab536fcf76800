"""The package repository as it is shown outside of the machines."""

from __future__ import annotations

import gzip
import platform

import requests

ARCH = "x86_64"


def fetch(dc, release="2024Q4", arch=ARCH):
    path = f"/--packages/SmartOS/{release}/{arch}/All/pkg_summary.gz"
    return requests.get(dc.url + path, timeout=20)


def test_what_machines_can_install(start, tmp_path):
    for place, text in (("All", "PKGNAME=py313-zmq-1"), ("2023Q4/All", "PKGNAME=py312-zmq-1")):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "pkg_summary").write_text(text)
    dc = start(repository=tmp_path)
    answer = fetch(dc)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/gzip")
    assert gzip.decompress(answer.content) == b"PKGNAME=py313-zmq-1"
    assert gzip.decompress(fetch(dc, "2023Q4").content) == b"PKGNAME=py312-zmq-1"
    for release, arch in (("2024Q4", "vax"), ("..", ARCH), ("%2e%2e", ARCH)):
        assert fetch(dc, release, arch).status_code == 404


def test_every_computer_has_the_repository_of_smartos(start, tmp_path, monkeypatch):
    """pkgsrc.smartos.org has packages for x86_64 only, which is what clients ask for."""
    (tmp_path / "All").mkdir()
    (tmp_path / "All/pkg_summary").write_text("PKGNAME=py313-zmq-1")
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    dc = start(repository=tmp_path)
    assert fetch(dc).status_code == 200
    assert fetch(dc, arch="aarch64").status_code == 404


def test_where_there_is_none(dc):
    assert fetch(dc).status_code == 404


def test_it_may_be_down(start, tmp_path):
    (tmp_path / "All").mkdir()
    (tmp_path / "All/pkg_summary").write_text("")
    dc = start(repository=tmp_path)
    dc.app.state.center.faults.order({"kind": "repository_down", "reason": "no route"})
    answer = fetch(dc)
    assert (answer.status_code, answer.json()["message"]) == (503, "no route")
    assert fetch(dc).status_code == 200
