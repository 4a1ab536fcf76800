"""What the image takes from the host, and what it hides of it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

# A zone has the Python that pkgsrc installs, SMF instead of systemd, and pkgin
# instead of the host's package manager.
_HIDDEN_COMMANDS = re.compile(
    r"""(
      (.*-)?python[0-9.]*(-.*)? | pip[0-9.]* | pydoc[0-9.]* | 2to3[-0-9.]* | idle[-.0-9]*
      | py3compile | py3clean | py3versions | pygettext[0-9.]* | pdb[0-9.]*
      | conda | mamba | uv | uvx
      | apt | apt-.* | add-apt-repository | aptitude | dpkg | dpkg-.* | debconf.*
      | dnf.* | yum.* | rpm.* | zypper | pacman.* | snap | snapctl | flatpak
      | systemctl | systemd-.* | journalctl | loginctl | hostnamectl | timedatectl | localectl
      | networkctl | resolvectl | busctl | service | invoke-rc\.d | update-rc\.d | chkconfig
      | sudo.* | visudo | cvtsudoers | su-exec
    )""",
    re.VERBOSE,
)
_HIDDEN_LIBRARIES = re.compile(r"python[0-9.]*|pypy[0-9.]*")
_ROOT_LINKS = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
_COPIED = ("services", "protocols", "ld.so.cache", "ssl/openssl.cnf", "alternatives")
_REQUIRED = {
    "sbin/sshd": "openssh-server",
    "bin/ssh-keygen": "openssh-client",
    "bin/unshare": "util-linux",
    "bin/hostname": "hostname",
}


class ImageError(Exception):
    """The image cannot be made on this host; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Host:
    """The file system that zones borrow /usr from.

    `usr` and `etc` are settable for tests.
    """

    root: Path = Path("/")

    @property
    def usr(self) -> Path:
        """The lower layer of every zone's /usr."""
        return self.root / "usr"

    def check(self) -> None:
        """Raises ImageError naming every package that zones need and the host lacks."""
        missing = [package for name, package in _REQUIRED.items() if not (self.usr / name).exists()]
        if missing:
            packages = " ".join(sorted(missing))
            raise ImageError(
                f"zones need {packages} on this host; install with: apt-get install {packages}"
            )
        if not (self.root / "lib").is_symlink():
            raise ImageError(
                "zones need a merged /usr (/lib a symbolic link to usr/lib); "
                "on Debian and Ubuntu install the package usrmerge"
            )

    def root_links(self) -> dict[str, str]:
        """Links such as /bin -> usr/bin, as name and target."""
        links = {}
        for name in _ROOT_LINKS:
            path = self.root / name
            if path.is_symlink():
                links[name] = str(path.readlink())
        return links

    def hidden(self) -> list[str]:
        """Paths below /usr that a zone must not see."""
        names = [
            f"{directory}/{path.name}"
            for directory in ("bin", "sbin")
            for path in sorted((self.usr / directory).iterdir())
            if _HIDDEN_COMMANDS.fullmatch(path.name)
        ]
        names += [
            f"lib/{path.name}"
            for path in sorted((self.usr / "lib").iterdir())
            if _HIDDEN_LIBRARIES.fullmatch(path.name)
        ]
        if (self.usr / "local").exists():
            names.append("local")
        return names

    def copy_etc(self, target: Path) -> list[str]:
        """Copy what of /etc the programs in /usr rely on; returns the names copied."""
        copied = []
        for name in _COPIED:
            source = self.root / "etc" / name
            destination = target / name
            destination.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, destination, symlinks=True)
            elif source.is_file():
                shutil.copy(source, destination)
            else:
                continue
            copied.append(name)
        return copied

    @property
    def ksh93(self) -> Path | None:
        """The shell that /bin/sh is on illumos, where the host has it."""
        path = self.usr / "bin/ksh93"
        return path if path.exists() else None

    def fingerprint(self, programs: Iterable[Path] = ()) -> str:
        """Changes whenever a layer made for this host, with copies of `programs`, is outdated."""
        parts = [*self.hidden(), *(f"{k}={v}" for k, v in self.root_links().items())]
        parts.append(f"sh={self.ksh93}")
        copied = (self.root / "etc" / name for name in _COPIED)
        for path in (*copied, *programs):
            if path.exists():
                status = path.stat()
                parts.append(f"{path} {status.st_size} {status.st_mtime_ns}")
        return "\n".join(parts)
