"""Repositories: pkg_summary(5) files and the list of them in repositories.conf."""

# Started dozens of times in a play: pathlib and dataclasses cost more than the work.
# ruff: noqa: PTH118, PTH120, PTH123

from __future__ import annotations

import os

from . import versions

REPOSITORIES = "/opt/local/etc/pkgin/repositories.conf"
SUMMARY = "pkg_summary"


class RepositoryError(Exception):
    """A repository cannot be used; the message is what pkgin prints."""


class Package:
    """One stanza of a pkg_summary file.

    `location` is the directory with the package's files; `size` is in bytes.
    """

    __slots__ = (
        "comment",
        "depends",
        "fields",
        "location",
        "name",
        "pkgname",
        "repository",
        "size",
        "version",
    )

    def __init__(self, fields: dict[str, str], depends: list[str], repository: str) -> None:
        self.fields = fields
        self.depends = depends
        self.repository = repository
        self.pkgname = fields["PKGNAME"]
        self.name, self.version = versions.split(self.pkgname)
        self.comment = fields.get("COMMENT", "")
        self.size = int(fields.get("SIZE_PKG") or 0)
        self.location = location(repository, self.pkgname)


def parse(text: str, repository: str) -> list[Package]:
    """The packages of a pkg_summary file: `KEY=value` lines, a blank line between packages."""
    packages = []
    for stanza in text.split("\n\n"):
        fields: dict[str, str] = {}
        depends: list[str] = []
        for line in stanza.splitlines():
            key, _, value = line.partition("=")
            if key == "DEPENDS":
                depends.append(value)
            elif key:
                fields[key] = value
        if fields.get("PKGNAME"):
            packages.append(Package(fields, depends, repository))
    return packages


def configured(
    environment: dict[str, str] | os._Environ[str], path: str = REPOSITORIES
) -> list[str]:
    """The URLs of the repositories: PKG_REPOS, else the lines of repositories.conf.

    Raises RepositoryError when there is none.
    """
    urls = environment.get("PKG_REPOS", "").split()
    if not urls:
        try:
            with open(path) as file:
                lines = [line.partition("#")[0].strip() for line in file]
        except OSError:
            lines = []
        urls = [line for line in lines if line]
    if not urls:
        raise RepositoryError(
            f"{path} has no repositories or does not exist.\nNo PKG_REPOS variable to fallback to."
        )
    return [_expand(url) for url in urls]


def fetch(url: str) -> str:
    """The text of a repository's pkg_summary.

    Repositories of the embedded data center are directories; a zone has no
    way out, so every other URL is one that is down.
    Raises RepositoryError.
    """
    path = directory(url)
    if path is None:
        raise RepositoryError(f"Could not fetch {url}/{SUMMARY}.gz: Network is unreachable")
    try:
        with open(os.path.join(path, SUMMARY)) as file:
            return file.read()
    except OSError as error:
        raise RepositoryError(f"Could not fetch {url}/{SUMMARY}.gz: {error.strerror}") from None


def directory(url: str) -> str | None:
    """The directory behind a repository's URL, None where it is not on this machine."""
    if url.startswith("file://"):
        return url[len("file://") :].rstrip("/")
    return url.rstrip("/") if url.startswith("/") else None


def location(url: str, pkgname: str) -> str:
    """Where a repository's package is unpacked."""
    return os.path.join(os.path.dirname(directory(url) or "/nonexistent"), "packages", pkgname)


def _expand(url: str) -> str:
    machine = os.uname().machine
    return url.replace("$arch", machine).replace("$osrelease", "5.11").rstrip("/")
