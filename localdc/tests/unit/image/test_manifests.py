"""The base services: valid, importable, and each with the files that it names."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from localdc.image.layer import _MANIFEST_DIRECTORIES, IMAGE
from localdc.smartos.smf.startd.repository import Repository
from localdc.smartos.smf.startd.seed import seed

etree = pytest.importorskip("lxml.etree")
PROJECT = Path(__file__).parents[4]
MANIFESTS = sorted((IMAGE / "manifests").glob("*.xml"))
METHODS = sorted((IMAGE / "methods").iterdir())
# written in Python, installed by the layer
PYTHON_METHODS = {"mdata-fetch"}


@pytest.fixture(scope="module")
def dtd() -> object:
    candidates = [
        Path(os.environ.get("SMF_DTD", "/usr/share/lib/xml/dtd/service_bundle.dtd.1")),
        *PROJECT.parent.glob("*/corpus/service_bundle.dtd.1"),
    ]
    for path in candidates:
        if path.is_file():
            return etree.DTD(str(path))
    pytest.skip("service_bundle.dtd.1 of illumos is not here; name it in SMF_DTD")


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_valid_against_the_dtd(path: Path, dtd: object) -> None:
    tree = etree.parse(str(path))
    assert tree.docinfo.system_url == "/usr/share/lib/xml/dtd/service_bundle.dtd.1"
    assert dtd.validate(tree), dtd.error_log  # type: ignore[attr-defined]


def test_every_manifest_has_a_directory() -> None:
    assert {path.name for path in MANIFESTS} == set(_MANIFEST_DIRECTORIES)


def test_every_method_exists_and_every_dependency_is_a_service() -> None:
    text = "".join(path.read_text() for path in MANIFESTS)
    methods = set(re.findall(r'exec="/lib/svc/method/([\w-]+)', text))
    assert methods == {path.name for path in METHODS} | PYTHON_METHODS
    services = set(re.findall(r'<service name="([\w/-]+)"', text))
    wanted = set(re.findall(r'service_fmri value="svc:/([\w/-]+):', text))
    assert wanted <= services


@pytest.mark.parametrize("path", METHODS, ids=lambda path: path.name)
def test_methods_are_shell(path: Path) -> None:
    shell = shutil.which("dash") or "/bin/sh"
    subprocess.run([shell, "-n", str(path)], check=True)


def test_repository_can_be_seeded(tmp_path: Path) -> None:
    seed(MANIFESTS, tmp_path / "repository.db")
    assert (tmp_path / "repository.db").stat().st_size > 0


def test_mdata_execute_is_that_of_the_image(tmp_path: Path) -> None:
    """zoneinit, mdata.xml: what svc.startd sees of it, the file system's name aside."""
    seed(MANIFESTS, tmp_path / "repository.db")
    groups = Repository(str(tmp_path / "repository.db")).current("svc:/smartdc/mdata:execute")
    dependencies = {
        name: (group.first("restart_on"), group.first("entities"))
        for name, group in groups.items()
        if group.type == "dependency"
    }
    assert dependencies == {
        "filesystem": ("error", "svc:/system/filesystem/local:default"),
        "mdata": ("error", "svc:/smartdc/mdata:fetch"),
        "network": ("error", "svc:/milestone/multi-user:default"),
    }
    startd = {name: prop.values[0] for name, prop in groups["startd"].props.items()}
    assert startd == {"duration": "transient", "ignore_error": "core,signal"}
