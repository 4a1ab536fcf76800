"""The shell scripts that prepare a zone, with commands that only answer and record."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from .test_method import SHELLS

ROLES = Path(__file__).resolve().parents[3] / "roles"
SEARCH = """py311-ipyparallel-9.2.0;;Interactive Parallel Computing with IPython
py313-ipyparallel-9.2.0;;Interactive Parallel Computing with IPython
py311-numpy-2.4.6;;Array processing for numbers, strings, records, and objects
py313-numpy-2.4.6;;Array processing for numbers, strings, records, and objects

=: package is installed and up-to-date
"""
COMMANDS = {
    "svcs": """
file=$FAKE/state
case $* in *ipyparallel-boot*) file=$FAKE/boot_state ;; esac
cat "$file"
""",
    "svcprop": 'echo "$BOOT_LIMIT"',
    "mdata-put": 'echo "mdata-put $*" >>"$FAKE/metadata"',
    "pkgin": """
echo "pkgin $*" >>"$FAKE/calls"
case "$*" in
*search*) cat "$FAKE/search" ;;
*update*) [ ! -e "$FAKE/offered" ] || mv "$FAKE/offered" "$FAKE/search" ;;
*install*)
    if [ -e "$FAKE/down" ]; then
        mv "$FAKE/down" "$FAKE/up"
        echo "pkgin: Could not fetch https://x/All/pkg_summary.gz: Host not found" >&2
        exit 1
    fi
    shift 2
    for name; do
        echo "${name%%[<>=]*}-1.0 a package" >>"$FAKE/installed"
        case $name in python3*) ln -s /bin/sh "$FAKE/bin/python3.${name#python3}" ;; esac
    done ;;
esac""",
    "pkg_info": """
[ "$1" = -qe ] || exec cat "$FAKE/installed"
case $2 in *'>='*) grep -q "^${2%%>=*}-" "$FAKE/installed" ;; *) false ;; esac""",
}


class Zone:
    """A directory with the commands of a zone."""

    def __init__(self, root: Path, shell: str) -> None:
        self.root, self.shell = root, shell
        (root / "bin").mkdir()
        for name, text in COMMANDS.items():
            (root / name).write_text(f"#!/bin/sh\n{text}\n")
            (root / name).chmod(0o755)
        self.write(state="ON   -\n", search=SEARCH, installed="bash-5.2 a shell\n", calls="")
        self.link = root / "libexec" / "python3"
        # seconds more are waited than SMF gives the service
        self.boot_limit = "-14"

    def write(self, **files: str) -> None:
        for name, text in files.items():
            (self.root / name).write_text(text)

    def run(self, script: Path, **values: str) -> subprocess.CompletedProcess[str]:
        text = script.read_text().replace("PATH=/usr/sbin", f"PATH={self.root}:/usr/sbin")
        text = text.replace("/opt/local/bin/python", f"{self.root}/bin/python")
        return subprocess.run(
            [self.shell, "-s"],
            input="".join(f"{k}='{v}'\n" for k, v in values.items()) + text,
            env={
                "FAKE": str(self.root),
                "HOME": str(self.root),
                "PATH": os.environ["PATH"],
                "BOOT_LIMIT": self.boot_limit,
            },
            capture_output=True,
            text=True,
            timeout=30,
        )

    def bootstrap(self, **values: str) -> subprocess.CompletedProcess[str]:
        defaults = {
            "boot_timeout": "1",
            "python": "",
            "packages": "pyNN-ipyparallel pyNN-numpy",
            "link": str(self.link),
            "boot_service": "svc:/pkgsrc/ipyparallel-boot:default",
            "boot_manifest": str(self.root / "boot.xml"),
            "check_mode": "",
        }
        return self.run(ROLES / "pkgsrc" / "files" / "bootstrap.sh", **(defaults | values))

    def interpreter(self, version: str) -> Path:
        return self.root / f"bin/python{version}"

    def calls(self) -> list[str]:
        return (self.root / "calls").read_text().splitlines()


@pytest.fixture(params=SHELLS)
def zone(request: pytest.FixtureRequest, tmp_path: Path) -> Zone:
    return Zone(tmp_path, request.param)


def test_everything_in_one_transaction(zone: Zone) -> None:
    done = zone.bootstrap(python="3.11")
    assert done.returncode == 0, done.stdout + done.stderr
    assert zone.calls()[-1] == "pkgin -y install python311 py311-ipyparallel py311-numpy"
    assert zone.link.readlink() == zone.interpreter("3.11")
    assert done.stdout.count("changed: ") == 4


def test_nothing_is_asked_of_the_repository_again(zone: Zone) -> None:
    zone.bootstrap(python="3.11")
    zone.write(calls="")
    done = zone.bootstrap(python="3.11")
    assert (done.returncode, done.stdout, zone.calls()) == (0, "", [])


def test_check_mode_installs_nothing(zone: Zone) -> None:
    done = zone.bootstrap(python="3.11", check_mode="yes")
    assert done.returncode == 0
    assert "changed: package py311-numpy installed" in done.stdout
    assert not any("install" in call for call in zone.calls())
    assert not zone.link.is_symlink()


@pytest.mark.parametrize(
    ("preferred", "chosen"), [("3.11", "3.11"), ("3.12", "3.13"), ("", "3.13")]
)
def test_the_preferred_python_or_the_newest(zone: Zone, preferred: str, chosen: str) -> None:
    zone.bootstrap(python=preferred)
    assert zone.link.readlink() == zone.interpreter(chosen)


def test_the_python_of_the_cluster_or_none(zone: Zone) -> None:
    done = zone.bootstrap(python="3.12", python_only="yes")
    assert done.returncode == 1
    assert "failed: The machines of this cluster are to run Python 3.12" in done.stdout
    assert (
        "failed: ipyparallel for other versions only (py3NN, NN:\nfailed: 311\nfailed: 313\n"
        in (done.stdout)
    )
    assert not any("install" in call for call in zone.calls())
    assert zone.bootstrap(python="3.11", python_only="yes").returncode == 0


def test_the_chosen_python_is_left_in_the_metadata(zone: Zone) -> None:
    zone.bootstrap(python="3.11", check_mode="yes")
    assert not (zone.root / "metadata").exists()
    zone.bootstrap(python="3.11")
    zone.bootstrap(python="3.11")
    assert (zone.root / "metadata").read_text() == "mdata-put ipython.python 3.11\n"


def test_the_python_of_a_zone_stays(zone: Zone) -> None:
    zone.bootstrap(python="3.11")
    zone.bootstrap(python="3.13")
    assert zone.link.readlink() == zone.interpreter("3.11")


def test_a_repository_that_was_never_asked(zone: Zone) -> None:
    zone.write(search="No results found\n", offered=SEARCH)
    assert zone.bootstrap().returncode == 0
    assert zone.calls()[1] == "pkgin -y update"


def test_a_repository_without_ipyparallel(zone: Zone) -> None:
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
    zone: Zone, offered: dict[str, tuple[str, ...]], preferred: str, chosen: str | None
) -> None:
    rows = [f"py{nn}-{name}-1.0;;x" for nn, names in offered.items() for name in names]
    zone.write(search="\n".join(rows) + "\n")
    done = zone.bootstrap(python=preferred, check_mode="yes")
    if chosen is None:
        assert (done.returncode, NOTHING in done.stdout) == (1, True)
    else:
        assert f"changed: package python{chosen.replace('.', '')} installed" in done.stdout


def test_a_pattern_instead_of_a_name(zone: Zone) -> None:
    done = zone.bootstrap(python="3.11", packages="pyNN-scipy>=1.10 git-base")
    assert done.returncode == 0, done.stdout
    assert zone.calls()[-1] == "pkgin -y install python311 py311-scipy>=1.10 git-base"
    done = zone.bootstrap(python="3.11", packages="pyNN-scipy>=1.10 git-base")
    assert (done.returncode, done.stdout) == (0, "")


def test_a_repository_that_answers_late(zone: Zone) -> None:
    zone.write(down="")
    done = zone.bootstrap(python="3.11", patience="20")
    assert done.returncode == 0, done.stdout
    assert sum("install" in call for call in zone.calls()) == 2


def test_a_repository_that_does_not_answer(zone: Zone) -> None:
    zone.write(down="")
    done = zone.bootstrap(python="3.11", patience="0")
    assert done.returncode == 1
    assert "failed: pkgin cannot read its package repository:" in done.stdout
    assert "Host not found" in done.stdout
    assert "Not installed" not in done.stdout and not zone.link.is_symlink()
    # and the next run goes on where this one stopped
    assert zone.bootstrap(python="3.11", patience="0").returncode == 0


def test_names_are_compared_whole(zone: Zone) -> None:
    zone.write(
        installed="py311-numpy-financial-1.0 x\npy311-ipyparallel-9.2.0nb1 x\npython311-3.11.7 x\n"
    )
    zone.interpreter("3.11").symlink_to("/bin/sh")
    zone.bootstrap(python="3.11")
    assert zone.calls()[-1] == "pkgin -y install py311-numpy"


def test_a_package_that_does_not_exist_is_named(zone: Zone) -> None:
    (zone.root / "pkgin").write_text(
        (zone.root / "pkgin").read_text().replace("*install*)", "*install*) exit 1 ;; *other*)")
    )
    done = zone.bootstrap(packages="nosuch")
    assert done.returncode == 1
    assert "failed: nosuch" in done.stdout


def test_a_user_script_that_failed(zone: Zone) -> None:
    zone.write(state="MNT  -\n")
    done = zone.bootstrap()
    assert done.returncode == 1
    assert "failed: The user-script of this machine failed" in done.stdout


@pytest.mark.parametrize("state", ["OFF  ON", "UN   -", "DIS  -"])
def test_a_user_script_that_does_not_end(zone: Zone, state: str) -> None:
    zone.write(state=f"{state}\n")
    done = zone.bootstrap()
    assert done.returncode == 1
    assert f"is still in state '{state}' after 1 s" in done.stdout


def test_a_boot_script_that_works_in_a_service_of_its_own_is_waited_for(zone: Zone) -> None:
    zone.write(**{"boot.xml": "", "boot_state": "ON   -\n"})
    assert zone.bootstrap().returncode == 0
    for state in ("OFF  ON", "DIS  -"):
        zone.write(boot_state=f"{state}\n")
        done = zone.bootstrap()
        assert done.returncode == 1
        expected = f"failed: svc:/pkgsrc/ipyparallel-boot:default is still in state '{state}' after"
        assert f"{expected} 1 s.\n" in done.stdout


def test_a_boot_script_that_failed_in_its_service(zone: Zone) -> None:
    zone.write(**{"boot.xml": "", "boot_state": "MNT  -\n"})
    done = zone.bootstrap()
    assert done.returncode == 1
    assert "failed: The boot script of this machine failed: svc:/pkgsrc/" in done.stdout
    assert "svcadm clear svc:/pkgsrc/ipyparallel-boot:default" in done.stdout


def test_a_comment_with_a_backslash_hides_no_package(zone: Zone) -> None:
    """echo cuts its text at \\c, and illumos' catalogue is not ours to choose."""
    zone.write(search=f"py310-zmq-27.3.0;;Bindings \\c\\n\n{SEARCH}")
    assert zone.bootstrap(python="3.11").returncode == 0
    assert zone.link.readlink() == zone.interpreter("3.11")


def account(zone: Zone, **values: str) -> subprocess.CompletedProcess[str]:
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


def test_account_says_what_it_would_make(zone: Zone) -> None:
    done = account(zone)
    assert done.returncode == 0
    assert done.stdout.count("changed: ") == 4
    assert not (zone.root / "home").exists()


def test_the_number_of_engines_of_a_machine_is_kept(zone: Zone) -> None:
    zone.write(**{"manifest.xml": '<instance name="controller">\n<instance name="engine">\n'})
    done = account(zone, engines="2")
    assert done.returncode == 1
    assert "failed: Keep engines_per_machine=1" in done.stdout


def test_what_a_failed_command_said_is_shown_whole(zone: Zone) -> None:
    r"""echo of dash, and of illumos' ksh93 (libast, _UNIV_DEFAULT "att"), would end at the \c."""
    (zone.root / "groupadd").write_text(
        "#!/bin/sh\nprintf '%s\\n' 'no \\class\\name: x' >&2; exit 9\n"
    )
    (zone.root / "groupadd").chmod(0o755)
    done = account(zone, check_mode="")
    assert done.returncode == 1
    assert "failed: no \\class\\name: x\n" in done.stdout
