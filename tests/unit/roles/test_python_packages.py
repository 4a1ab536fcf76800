"""The part of the role pkgsrc that pip does, with real pip and small wheels."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

import pytest
import yaml

from embedded.wheels import make_wheel

from .recording_zone import ROLES, RecordingZone
from .shells import SHELLS

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
NN = PYTHON.replace(".", "")
REPOSITORY = [f"py{NN}-{name}-1.0;;x" for name in ("zmq", "numpy", "psutil", "pip")]
MORE = 'plain>=2; extra == "more"\nProvides-Extra: more'
PIP = "[global]\nno-index = true\nfind-links = {wheels}\ndisable-pip-version-check = true\n"


class Zone(RecordingZone):
    """A zone whose Python is this one, and whose pip has four small wheels to choose from."""

    def __init__(self, root: Path, shell: str) -> None:
        super().__init__(root, shell)
        (root / f"python{PYTHON}").symlink_to(Path(sys.base_prefix, f"bin/python{PYTHON}"))
        wheels = root / "wheels"
        make_wheel(wheels, "ipyparallel", "9.2.0", {"ipyparallel/__init__.py": ""})
        make_wheel(wheels, "plain", "1.0", {"plain.py": ""})
        make_wheel(wheels, "plain", "2.0", {"plain.py": ""})
        make_wheel(wheels, "fancy", "1.0", {"fancy.py": ""}, (MORE,))
        configuration = root / ".config/pip"
        configuration.mkdir(parents=True)
        (configuration / "pip.conf").write_text(PIP.format(wheels=wheels))
        self.venv = self.link.parent / "venv"

    def run(self, script: Path, **values: str) -> subprocess.CompletedProcess[str]:
        local = self.root / "bootstrap.sh"
        local.write_text(script.read_text().replace("/opt/local/bin/python", f"{self.root}/python"))
        return super().run(local, **values)

    def imports(self, *names: str) -> bool:
        code = "; ".join(f"import {name}" for name in names)
        return subprocess.run([self.link, "-c", code], check=False).returncode == 0

    def versions(self) -> set[str]:
        site = self.venv / f"lib/python{PYTHON}/site-packages"
        return {path.name.removesuffix(".dist-info") for path in site.glob("*.dist-info")}


@pytest.fixture(params=SHELLS)
def zone(request: pytest.FixtureRequest, tmp_path: Path) -> Zone:
    return Zone(tmp_path, request.param)


def changes(done: subprocess.CompletedProcess[str]) -> list[str]:
    assert done.returncode == 0, done.stdout + done.stderr
    return [line for line in done.stdout.splitlines() if line.startswith("changed: ")]


def test_in_one_transaction_and_once(zone: Zone) -> None:
    done = zone.bootstrap(python=PYTHON, pip_packages="plain<2 fancy")
    assert "changed: Python package plain<2 installed" in changes(done)
    assert zone.calls()[-1] == f"pkgin -y install python{NN} py{NN}-ipyparallel py{NN}-numpy " + (
        f"py{NN}-pip"
    )
    assert zone.versions() == {"plain-1.0", "fancy-1.0"}
    assert zone.imports("plain", "fancy", "pip")
    assert changes(zone.bootstrap(python=PYTHON, pip_packages="plain<2 fancy")) == []


def test_what_a_requirement_asks_for_is_compared(zone: Zone) -> None:
    zone.bootstrap(python=PYTHON, pip_packages="plain<2 fancy")
    assert changes(zone.bootstrap(pip_packages="fancy plain==1.*")) == []
    done = zone.bootstrap(pip_packages="fancy[more]")
    assert changes(done) == ["changed: Python package fancy[more] installed"]
    assert zone.versions() == {"plain-2.0", "fancy-1.0"}
    assert changes(zone.bootstrap(pip_packages="fancy[more] plain>=2")) == []
    assert changes(zone.bootstrap(pip_packages="fancy[unknown]")) == []
    assert changes(zone.bootstrap(pip_packages='nosuch;python_version<"3"')) == []


def test_check_mode_only_tells(zone: Zone) -> None:
    done = zone.bootstrap(python=PYTHON, pip_packages="plain", check_mode="yes")
    assert "changed: Python package plain installed" in changes(done)
    assert not zone.venv.exists() and not zone.link.is_symlink()
    zone.bootstrap(python=PYTHON, pip_packages="plain")
    done = zone.bootstrap(pip_packages="plain fancy", check_mode="yes")
    assert changes(done) == ["changed: Python package fancy installed"]
    assert zone.versions() == {"plain-2.0"}


def test_services_are_told_to_change_their_python(zone: Zone) -> None:
    assert "fact: restart" not in zone.bootstrap(python=PYTHON).stdout
    done = zone.bootstrap(pip_packages="plain")
    assert "fact: restart=yes\n" in done.stdout
    assert zone.imports("plain")
    # and they keep it
    done = zone.bootstrap()
    assert (done.stdout, zone.imports("plain")) == ("", True)


def test_an_environment_that_was_interrupted(zone: Zone) -> None:
    """Until the last step of its making it sees no package of pkgsrc, not even pip."""
    zone.bootstrap(python=PYTHON)
    python = zone.root / f"python{PYTHON}"
    subprocess.run([python, "-m", "venv", "--without-pip", zone.venv], check=True)
    done = zone.bootstrap(pip_packages="plain")
    assert "changed: Python package plain installed" in changes(done)
    assert zone.imports("plain", "pip")


def test_a_requirement_that_cannot_be_met(zone: Zone) -> None:
    done = zone.bootstrap(python=PYTHON, pip_packages="plain>=3")
    assert done.returncode == 1
    assert "failed: pip could not install plain>=3:\n" in done.stdout
    assert "No matching distribution found for plain>=3" in done.stdout
    assert not zone.link.is_symlink()
    assert "changed: Python package" not in done.stdout and "changed: package" in done.stdout


def test_a_failed_pip_installs_and_reports_nothing(zone: Zone) -> None:
    zone.bootstrap(python=PYTHON, pip_packages="plain<2")
    done = zone.bootstrap(pip_packages="plain<2 fancy nosuch")
    assert done.returncode == 1 and "failed: pip could not install fancy nosuch:" in done.stdout
    assert "changed:" not in done.stdout and zone.versions() == {"plain-1.0"}


SETUP = """[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""
BACKEND = """
def build_wheel(*_):
    raise SystemExit("no compiler: cc: not found")

def prepare_metadata_for_build_wheel(directory, *_):
    {prepare}
    import os
    os.mkdir(directory + "/solver-1.0.dist-info")
    with open(directory + "/solver-1.0.dist-info/METADATA", "w") as file:
        file.write("Metadata-Version: 2.1\\nName: solver\\nVersion: 1.0\\n")
    return "solver-1.0.dist-info"
"""


@pytest.mark.parametrize("prepare", ["", 'raise SystemExit("cc: not found")'])
def test_what_would_have_to_be_compiled(zone: Zone, prepare: str) -> None:
    """There are no wheels for SunOS: pip takes the source, of which the embedded index has none."""
    source = zone.root / "solver-1.0"
    source.mkdir()
    (source / "pyproject.toml").write_text(SETUP)
    (source / "backend.py").write_text(BACKEND.format(prepare=prepare or "pass"))
    (source / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: solver\nVersion: 1.0\n")
    with tarfile.open(zone.root / "wheels/solver-1.0.tar.gz", "w:gz") as archive:
        archive.add(source, "solver-1.0")
    done = zone.bootstrap(python=PYTHON, pip_packages="solver")
    assert done.returncode == 1
    assert "failed: pip could not install solver:\n" in done.stdout
    assert "failed: solver has no pure Python wheel" in done.stdout, done.stdout
    assert "extra_packages=pyNN-solver" in done.stdout


def test_a_requirement_that_cannot_be_read(zone: Zone) -> None:
    zone.bootstrap(python=PYTHON, pip_packages="plain")
    done = zone.bootstrap(pip_packages="=plain")
    assert done.returncode == 1
    assert "failed: python_packages cannot be understood:\n" in done.stdout


def test_ipyparallel_where_the_repository_has_none(zone: Zone) -> None:
    zone.write(search="\n".join([*REPOSITORY, "py39-zmq-1.0;;x", "py313-zmq-1.0;;x"]) + "\n")
    done = zone.bootstrap(ipyparallel="ipyparallel==9.2.0")
    assert "changed: Python package ipyparallel==9.2.0 installed" in changes(done)
    assert zone.calls()[-1] == (
        f"pkgin -y install python{NN} py{NN}-numpy py{NN}-zmq py{NN}-psutil py{NN}-pip"
    )
    assert zone.versions() == {"ipyparallel-9.2.0"}
    assert zone.imports("ipyparallel")
    zone.write(calls="")
    assert changes(zone.bootstrap(ipyparallel="ipyparallel==9.2.0")) == []
    assert zone.calls() == []
    zone.bootstrap(ipyparallel="ipyparallel==9.2.0", pip_packages="plain")
    assert zone.imports("ipyparallel", "plain")


def test_the_newest_python_that_has_all_of_it(zone: Zone) -> None:
    others = [line.replace(f"py{NN}-", "py310-") for line in REPOSITORY]
    incomplete = [line.replace(f"py{NN}-", "py399-") for line in REPOSITORY[:3]]
    zone.write(search="\n".join([*others, *REPOSITORY, *incomplete]) + "\n")
    zone.bootstrap()
    assert zone.link.readlink().name == f"venv-python{PYTHON}"


def test_the_version_for_pip_is_that_of_the_client() -> None:
    defaults = yaml.safe_load((ROLES / "pkgsrc/defaults/main.yml").read_text())
    project = tomllib.loads((ROLES.parent / "pyproject.toml").read_text())
    assert defaults["pkgsrc_ipyparallel"] in project["project"]["dependencies"]
