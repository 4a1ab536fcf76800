"""The template that every zone root starts as a copy of."""

from __future__ import annotations

import shutil
from pathlib import Path

from localdc.smartos.smf.startd.seed import seed

FILES = Path(__file__).parent / "files"

_DIRECTORIES = {
    ".zonecontrol": 0o700,
    "dev": 0o755,
    "etc/svc/volatile": 0o755,
    "home": 0o755,
    "mnt": 0o755,
    "opt/.pkgsrc": 0o755,
    "opt/custom": 0o755,
    "opt/local/bin": 0o755,
    "opt/local/etc/pkgin": 0o755,
    "opt/local/lib/svc/manifest": 0o755,
    "opt/local/lib/svc/method": 0o755,
    "opt/local/sbin": 0o755,
    "opt/local/share": 0o755,
    "proc": 0o555,
    "root/.ssh": 0o700,
    "system/volatile": 0o755,
    "tmp": 0o1777,
    "usr": 0o755,
    "var/adm": 0o755,
    "var/cache": 0o755,
    "var/db/pkgin": 0o755,
    "var/empty": 0o755,
    "var/lib": 0o755,
    "var/log": 0o755,
    "var/mail": 0o755,
    "var/spool": 0o755,
    "var/ssh/authorized_keys": 0o755,
    "var/svc/log": 0o755,
    "var/svc/manifest/site": 0o755,
    "var/svc/profile": 0o755,
    "var/tmp": 0o1777,
}
_MODES = {
    "etc/shadow": 0o400,
    "etc/ssh/sshd_config": 0o600,
    "root": 0o700,
    "root/.ssh": 0o700,
    "var/ssh": 0o755,
}
_LINKS = {
    "etc/hosts": "./inet/hosts",
    "etc/localtime": "/usr/share/zoneinfo/UTC",
    "etc/mtab": "../proc/self/mounts",
    "opt/local/bin/pkgin": "/usr/lib/localdc/bin/pkgin",
    "opt/local/gnu": "/usr/lib/localdc/gnu",
    "opt/local/sbin/pkg_info": "/usr/lib/localdc/bin/pkg_info",
    "run": "system/volatile",
    "var/run": "../system/volatile",
}
# stored without the dot, which package builders tend to leave out
_DOTTED = ("etc/skel/profile", "root/profile")
REPOSITORIES = "opt/local/etc/pkgin/repositories.conf"
_PIP = """\
[global]
no-index = true
find-links = {wheels}
disable-pip-version-check = true
"""
_EMPTY = ("var/svc/provisioning", "var/log/authlog")


def repositories(url: str) -> str:
    """The text of pkgin's list of repositories."""
    return f"# one repository per line, the first that has a package wins\n{url}\n"


def build(
    target: Path,
    *,
    root_links: dict[str, str],
    borrowed: list[str],
    repository: str,
    manifests: list[Path],
) -> None:
    """Make the template at `target`.

    `borrowed` are names below /etc that the layer holds in
    /usr/lib/localdc/etc; `repository` is the URL of the package repository;
    `manifests` are imported into the service repository.
    """
    shutil.copytree(FILES, target)
    for name in _DOTTED:
        (target / name).rename(target / name.replace("/profile", "/.profile"))
    for name, mode in _DIRECTORIES.items():
        directory = target / name
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(mode)
    links = {**root_links, **_LINKS}
    links |= {f"etc/{name}": f"/usr/lib/localdc/etc/{name}" for name in borrowed}
    for name, destination in links.items():
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(destination)
    for name in _EMPTY:
        (target / name).touch()
    (target / REPOSITORIES).write_text(repositories(repository))
    # a zone has no way to the package index: pip gets what the store offers it
    wheels = repository.removesuffix("/All") + "/pip"
    (target / "etc/pip.conf").write_text(_PIP.format(wheels=wheels))
    for name, mode in _MODES.items():
        (target / name).chmod(mode)
    seed(manifests, target / "etc/svc/repository.db")
