"""The real community.general.pkgin on a zone, with the limits it has on a real one.

The module comes from an installed collection, else out of the wheel `ansible`
of the package index (54 MB, kept in pytest's cache).
"""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from embedded.pythons import OWN, PY

from .conftest import NewZone, Zone

BIN = Path(sys.executable).parent
MODULE = "ansible_collections/community/general/plugins/modules/pkgin.py"
DOWNLOAD_SECONDS = 240


@pytest.fixture(scope="session")
def library(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the module."""
    directory = tmp_path_factory.mktemp("library")
    for place in (Path("~/.ansible/collections").expanduser(), Path("/usr/share/ansible")):
        if (place / MODULE).is_file():
            (directory / "pkgin.py").write_bytes((place / MODULE).read_bytes())
            return directory
    cache = request.config.cache
    assert cache is not None
    wheels = cache.mkdir("ansible-wheel")
    if not list(wheels.glob("ansible-*.whl")):
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary"]
        try:
            subprocess.run(
                [*command, ":all:", "--dest", str(wheels), "ansible"],
                check=True,
                capture_output=True,
                timeout=DOWNLOAD_SECONDS,
            )
        except (subprocess.SubprocessError, OSError) as error:
            pytest.skip(f"the package index does not deliver `ansible`: {error}")
    with zipfile.ZipFile(next(wheels.glob("ansible-*.whl"))) as archive:
        (directory / "pkgin.py").write_bytes(archive.read(MODULE))
    return directory


class Playing:
    """Runs the module on one zone, as a task of Ansible."""

    def __init__(self, zone: Zone, library: Path, directory: Path) -> None:
        self.zone = zone
        config = zone.center.state / "ssh_config"
        self.inventory = directory / "hosts"
        self.inventory.write_text(
            f"{zone.address} ansible_user=root ansible_ssh_common_args='-F {config}' "
            f"ansible_python_interpreter=/opt/local/bin/python{OWN}\n"
        )
        self.command = [str(BIN / "ansible"), "all", "-i", str(self.inventory), "-m", "pkgin"]
        self.command += ["-M", str(library)]

    def __call__(self, *options: str, **arguments: object) -> dict[str, object]:
        done = subprocess.run(
            [*self.command, "-a", json.dumps(arguments), *options],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            cwd="/",
            env={**self.zone.center.environment(), "ANSIBLE_NOCOLOR": "1"},
        )
        start = done.stdout.find("=> {") + 3
        assert start > 2, done.stdout + done.stderr
        result: dict[str, object] = json.JSONDecoder().raw_decode(done.stdout[start:])[0]
        return result


@pytest.fixture
def play(new_zone: NewZone, library: Path, tmp_path: Path) -> Playing:
    zone = new_zone()
    zone.succeed(f"pkgin -y install python{OWN.replace('.', '')}")
    return Playing(zone, library, tmp_path)


def test_present_and_absent(play: Playing) -> None:
    names = [f"{PY}-decorator", f"{PY}-tqdm"]
    planned = play("--check", name=names)
    assert (planned["changed"], planned["msg"]) == (True, "would have installed 2 packages")
    assert play.zone.run(f"pkg_info -qe {PY}-tqdm")[0] == 1
    made = play(name=names)
    assert (made["changed"], made["msg"]) == (True, "installed 2 packages")
    again = play(name=names)
    assert (again["changed"], again["msg"]) == (False, "package(s) already present")
    planned = play("--check", name=names[:1], state="absent")
    assert (planned["changed"], planned["msg"]) == (True, "would have removed 1 package")
    gone = play(name=names[:1], state="absent")
    assert (gone["changed"], gone["msg"]) == (True, "removed 1 package")
    assert play(name=names[:1], state="absent")["changed"] is False
    assert play.zone.run(f"pkg_info -qe {PY}-tqdm")[0] == 0


def test_the_database(play: Playing) -> None:
    assert play(update_cache=True)["msg"] == "database is up-to-date"
    play.zone.succeed("rm /var/db/pkgin/summary.db")
    assert play(update_cache=True)["msg"] == "updated repository database"
    upgraded = play(upgrade=True)
    assert (upgraded["changed"], upgraded["msg"]) == (False, "nothing left to upgrade")
    assert play(clean=True)["msg"] == "cleaned caches"


def second_repository(zone: Zone, *pkgnames: str) -> None:
    """A repository beside the zone's own, with empty packages."""
    summaries = []
    for pkgname in pkgnames:
        zone.succeed(f"mkdir -p /var/tmp/more/packages/{pkgname}/share /var/tmp/more/All")
        zone.succeed(f"echo {pkgname} >/var/tmp/more/packages/{pkgname}/share/{pkgname}")
        summaries.append(f"PKGNAME={pkgname}\nCOMMENT=of the second repository\n")
    text = "\n".join(summaries)
    zone.succeed(f"cat >/var/tmp/more/All/pkg_summary <<'E'\n{text}E\n")
    zone.succeed(
        "grep -q /var/tmp/more /opt/local/etc/pkgin/repositories.conf || "
        "echo file:///var/tmp/more/All >>/opt/local/etc/pkgin/repositories.conf"
    )


def test_upgrade(play: Playing) -> None:
    second_repository(play.zone, "own-1.0", "other-1.0")
    assert play(name=["own", "other"], update_cache=True)["msg"] == "installed 2 packages"
    second_repository(play.zone, "own-1.1", "other-2.0")
    play.zone.succeed("pkgin -y update")
    # an older version is a version: only upgrade looks at them
    assert play(name="own")["msg"] == "package(s) already present"
    planned = play("--check", upgrade=True)
    assert planned["changed"] is True
    play.zone.succeed("pkg_info -qe own-1.0")
    assert play(full_upgrade=True)["changed"] is True
    play.zone.succeed("pkg_info -qe own-1.1 && pkg_info -qe other-2.0")
    assert play(upgrade=True)["msg"] == "nothing left to upgrade"


def test_a_repository_that_was_taken_away(play: Playing) -> None:
    """The module stumbles over the line that pkgin prints about it, once."""
    second_repository(play.zone, "own-1.0")
    play.zone.succeed("pkgin -y update")
    play.zone.succeed("sed -i '/more/d' /opt/local/etc/pkgin/repositories.conf")
    assert "not enough values to unpack" in str(play(name=f"{PY}-tqdm"))
    assert play(name=f"{PY}-tqdm")["changed"] is True


def test_where_the_module_fails_on_a_real_machine_too(play: Playing) -> None:
    assert play(name="nosuch")["msg"] == "failed to find package nosuch for installation"
    # -F is unknown to recent versions of pkgin
    forced = play(name=f"{PY}-tqdm", force=True)
    assert "failed to install" in str(forced["msg"])
    # a hit in a comment only: the module stumbles over the legend
    wrong = play(name=f"{PY.upper()}-TQDM")
    assert "not enough values to unpack" in str(wrong)
