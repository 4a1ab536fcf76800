"""The shell scripts that prepare a zone, with commands that only answer and record."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from .recording_zone import ROLES, SEARCH, RecordingZone
from .shells import SHELLS


@pytest.fixture(params=SHELLS)
def zone(request: pytest.FixtureRequest, tmp_path: Path) -> RecordingZone:
    return RecordingZone(tmp_path, request.param)


def test_everything_in_one_transaction(zone: RecordingZone) -> None:
    done = zone.bootstrap(python="3.11")
    assert done.returncode == 0, done.stdout + done.stderr
    assert zone.calls()[-1] == "pkgin -y install python311 py311-ipyparallel py311-numpy"
    assert zone.link.readlink() == zone.interpreter("3.11")
    assert done.stdout.count("changed: ") == 4


def test_nothing_is_asked_of_the_repository_again(zone: RecordingZone) -> None:
    zone.bootstrap(python="3.11")
    zone.write(calls="")
    done = zone.bootstrap(python="3.11")
    assert (done.returncode, done.stdout, zone.calls()) == (0, "", [])


def test_check_mode_installs_nothing(zone: RecordingZone) -> None:
    done = zone.bootstrap(python="3.11", check_mode="yes")
    assert done.returncode == 0
    assert "changed: package py311-numpy installed" in done.stdout
    assert not any("install" in call for call in zone.calls())
    assert not zone.link.is_symlink()


@pytest.mark.parametrize(
    ("preferred", "chosen"), [("3.11", "3.11"), ("3.12", "3.13"), ("", "3.13")]
)
def test_the_preferred_python_or_the_newest(
    zone: RecordingZone, preferred: str, chosen: str
) -> None:
    zone.bootstrap(python=preferred)
    assert zone.link.readlink() == zone.interpreter(chosen)


def test_the_python_of_the_cluster_or_none(zone: RecordingZone) -> None:
    done = zone.bootstrap(python="3.12", python_only="yes")
    assert done.returncode == 1
    assert "failed: The machines of this cluster are to run Python 3.12" in done.stdout
    assert (
        "failed: ipyparallel for other versions only (py3NN, NN:\nfailed: 311\nfailed: 313\n"
        in (done.stdout)
    )
    assert not any("install" in call for call in zone.calls())
    assert zone.bootstrap(python="3.11", python_only="yes").returncode == 0


def test_the_chosen_python_is_left_in_the_metadata(zone: RecordingZone) -> None:
    zone.bootstrap(python="3.11", check_mode="yes")
    assert not (zone.root / "metadata").exists()
    zone.bootstrap(python="3.11")
    zone.bootstrap(python="3.11")
    assert (zone.root / "metadata").read_text() == "mdata-put ipython.python 3.11\n"


def test_the_python_of_a_zone_stays(zone: RecordingZone) -> None:
    zone.bootstrap(python="3.11")
    zone.bootstrap(python="3.13")
    assert zone.link.readlink() == zone.interpreter("3.11")


def test_a_repository_that_was_never_asked(zone: RecordingZone) -> None:
    zone.write(search="No results found\n", offered=SEARCH)
    assert zone.bootstrap().returncode == 0
    assert zone.calls()[1] == "pkgin -y update"


def test_a_repository_without_ipyparallel(zone: RecordingZone) -> None:
    zone.write(search="")
    done = zone.bootstrap()
    assert done.returncode == 1
    assert "failed: The package repository has no py3NN-ipyparallel" in done.stdout


FOR_PIP = ("zmq", "numpy", "psutil", "pip")
NOTHING = "failed: The package repository has no py3NN-ipyparallel"


@pytest.mark.parametrize(
    ("offered", "preferred", "chosen"),
    [
        # two of them have everything
        ({"312": ("ipyparallel", "numpy"), "313": ("ipyparallel", "numpy")}, "", "3.13"),
        ({"312": ("ipyparallel", "numpy"), "313": ("ipyparallel", "numpy")}, "3.12", "3.12"),
        # only the older one has ipyparallel, whatever the user's own Python is
        ({"312": ("ipyparallel", "numpy"), "313": FOR_PIP}, "", "3.12"),
        ({"312": ("ipyparallel", "numpy"), "313": FOR_PIP}, "3.13", "3.12"),
        ({"39": ("ipyparallel", "numpy"), "310": FOR_PIP}, "", "3.9"),
        # ipyparallel alone is not enough
        ({"312": ("ipyparallel", "numpy"), "313": ("ipyparallel",)}, "", "3.12"),
        # none has it, and only one has what pip needs
        ({"312": FOR_PIP, "313": FOR_PIP[1:]}, "3.13", "3.12"),
        ({"312": FOR_PIP[1:], "313": FOR_PIP[:-1]}, "", None),
        ({}, "", None),
    ],
)
def test_the_python_that_the_repository_offers(
    zone: RecordingZone, offered: dict[str, tuple[str, ...]], preferred: str, chosen: str | None
) -> None:
    rows = [f"py{nn}-{name}-1.0;;x" for nn, names in offered.items() for name in names]
    zone.write(search="\n".join(rows) + "\n")
    done = zone.bootstrap(python=preferred, check_mode="yes")
    if chosen is None:
        assert (done.returncode, NOTHING in done.stdout) == (1, True)
    else:
        assert f"changed: package python{chosen.replace('.', '')} installed" in done.stdout


def test_a_pattern_instead_of_a_name(zone: RecordingZone) -> None:
    done = zone.bootstrap(python="3.11", packages="pyNN-scipy>=1.10 git-base")
    assert done.returncode == 0, done.stdout
    assert zone.calls()[-1] == "pkgin -y install python311 py311-scipy>=1.10 git-base"
    done = zone.bootstrap(python="3.11", packages="pyNN-scipy>=1.10 git-base")
    assert (done.returncode, done.stdout) == (0, "")


def test_a_repository_that_answers_late(zone: RecordingZone) -> None:
    zone.write(down="")
    done = zone.bootstrap(python="3.11", patience="20")
    assert done.returncode == 0, done.stdout
    assert sum("install" in call for call in zone.calls()) == 2


def test_a_repository_that_does_not_answer(zone: RecordingZone) -> None:
    zone.write(down="")
    done = zone.bootstrap(python="3.11", patience="0")
    assert done.returncode == 1
    assert "failed: pkgin cannot read its package repository:" in done.stdout
    assert "Host not found" in done.stdout
    assert "Not installed" not in done.stdout and not zone.link.is_symlink()
    assert "changed:" not in done.stdout
    # and the next run goes on where this one stopped
    assert zone.bootstrap(python="3.11", patience="0").returncode == 0


def test_names_are_compared_whole(zone: RecordingZone) -> None:
    zone.write(
        installed="py311-numpy-financial-1.0 x\npy311-ipyparallel-9.2.0nb1 x\npython311-3.11.7 x\n"
    )
    zone.interpreter("3.11").symlink_to("/bin/sh")
    zone.bootstrap(python="3.11")
    assert zone.calls()[-1] == "pkgin -y install py311-numpy"


def test_a_package_that_does_not_exist_is_named(zone: RecordingZone) -> None:
    (zone.root / "pkgin").write_text(
        (zone.root / "pkgin").read_text().replace("*install*)", "*install*) exit 1 ;; *other*)")
    )
    done = zone.bootstrap(packages="nosuch")
    assert done.returncode == 1
    assert "failed: nosuch" in done.stdout
    assert "changed:" not in done.stdout and not zone.link.is_symlink()


def test_what_came_before_a_failure_is_reported_and_no_more(zone: RecordingZone) -> None:
    """pkgin stops at a package, and leaves those before it where they are."""
    text = (zone.root / "pkgin").read_text()
    stop = 'for name; do\n        [ "$name" != broken ] || exit 1\n'
    (zone.root / "pkgin").write_text(text.replace("for name; do\n", stop))
    done = zone.bootstrap(python="3.11", packages="pyNN-numpy broken git-base")
    assert done.returncode == 1
    assert [line for line in done.stdout.splitlines() if line.startswith("changed: ")] == [
        "changed: package python311 installed",
        "changed: package py311-numpy installed",
    ]
    assert "failed: broken" in done.stdout and "failed: git-base" in done.stdout


def test_a_user_script_that_failed(zone: RecordingZone) -> None:
    zone.write(state="MNT  -\n")
    done = zone.bootstrap()
    assert done.returncode == 1
    assert "failed: The user-script of this machine failed" in done.stdout


@pytest.mark.parametrize("state", ["OFF  ON", "UN   -", "DIS  -"])
def test_a_user_script_that_does_not_end(zone: RecordingZone, state: str) -> None:
    zone.write(state=f"{state}\n")
    done = zone.bootstrap()
    assert done.returncode == 1
    assert f"is still in state '{state}' after 1 s" in done.stdout


def test_a_boot_script_that_works_in_a_service_of_its_own_is_waited_for(
    zone: RecordingZone,
) -> None:
    zone.write(**{"boot.xml": "", "boot_state": "ON   -\n"})
    assert zone.bootstrap().returncode == 0
    for state in ("OFF  ON", "DIS  -"):
        zone.write(boot_state=f"{state}\n")
        done = zone.bootstrap()
        assert done.returncode == 1
        expected = f"failed: svc:/pkgsrc/ipyparallel-boot:default is still in state '{state}' after"
        assert f"{expected} 1 s.\n" in done.stdout


def test_a_boot_script_that_failed_in_its_service(zone: RecordingZone) -> None:
    zone.write(**{"boot.xml": "", "boot_state": "MNT  -\n"})
    done = zone.bootstrap()
    assert done.returncode == 1
    assert "failed: The boot script of this machine failed: svc:/pkgsrc/" in done.stdout
    assert "svcadm clear svc:/pkgsrc/ipyparallel-boot:default" in done.stdout


def test_a_comment_with_a_backslash_hides_no_package(zone: RecordingZone) -> None:
    """echo cuts its text at \\c, and illumos' catalogue is not ours to choose."""
    zone.write(search=f"py310-zmq-27.3.0;;Bindings \\c\\n\n{SEARCH}")
    assert zone.bootstrap(python="3.11").returncode == 0
    assert zone.link.readlink() == zone.interpreter("3.11")


def account(zone: RecordingZone, **values: str) -> subprocess.CompletedProcess[str]:
    """Run account.sh in check mode: the real thing needs a zone's /etc."""
    defaults = {
        "user": "ipython-test",
        "home": str(zone.root / "home"),
        "ipython_dir": str(zone.root / "ipython"),
        "authorization": "solaris.smf.read.ipyparallel",
        "engines": "1",
        "manifest": str(zone.root / "manifest.xml"),
        "check_mode": "yes",
    }
    return zone.run(ROLES / "ipython_service" / "files" / "account.sh", **(defaults | values))


def test_account_says_what_it_would_make(zone: RecordingZone) -> None:
    done = account(zone)
    assert done.returncode == 0
    assert done.stdout.count("changed: ") == 4
    assert not (zone.root / "home").exists()


def test_the_number_of_engines_of_a_machine_is_kept(zone: RecordingZone) -> None:
    zone.write(**{"manifest.xml": '<instance name="controller">\n<instance name="engine">\n'})
    done = account(zone, engines="2")
    assert done.returncode == 1
    assert "failed: Keep engines_per_machine=1" in done.stdout


def test_what_a_failed_command_said_is_shown_whole(zone: RecordingZone) -> None:
    r"""echo of dash, and of illumos' ksh93 (libast, _UNIV_DEFAULT "att"), would end at the \c."""
    (zone.root / "groupadd").write_text(
        "#!/bin/sh\nprintf '%s\\n' 'no \\class\\name: x' >&2; exit 9\n"
    )
    (zone.root / "groupadd").chmod(0o755)
    done = account(zone, check_mode="")
    assert done.returncode == 1
    assert "failed: no \\class\\name: x\n" in done.stdout
