"""Where an embedded data center keeps its files."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localdc import LocalDCError

SOCKET_PATH_LIMIT = 107
"""Bytes in sockaddr_un.sun_path without the final NUL, unix(7)."""


@dataclass(frozen=True, slots=True)
class StateDir:
    """The state directory (`root`, absolute) and the names in it.

    `packages` is the package store, which several data centers may share.
    """

    root: Path
    packages: Path

    @property
    def datacenter(self) -> Path:
        return self.root / "datacenter.json"

    @property
    def lock(self) -> Path:
        return self.root / "lock"

    @property
    def catalogue(self) -> Path:
        return self.root / "catalogue.json"

    @property
    def external_network(self) -> Path:
        """The subnet of the external network, since some start."""
        return self.root / "external_network"

    @property
    def lenient(self) -> Path:
        """In what the machines are generous, since the last start."""
        return self.root / "lenient"

    @property
    def python(self) -> Path:
        """The Python that machines are made for, where a start has chosen it."""
        return self.root / "python"

    @property
    def port(self) -> Path:
        return self.root / "port"

    @property
    def run(self) -> Path:
        return self.root / "run"

    @property
    def control(self) -> Path:
        return self.run / "control.sock"

    @property
    def process(self) -> Path:
        return self.run / "daemon.json"

    @property
    def usr(self) -> Path:
        return self.run / "usr"

    @property
    def log(self) -> Path:
        return self.root / "log" / "localdc.log"

    @property
    def zones(self) -> Path:
        return self.root / "zones"

    @property
    def volumes(self) -> Path:
        return self.root / "volumes"

    @property
    def key(self) -> Path:
        return self.root / "keys" / "id_rsa"

    @property
    def ssh_config(self) -> Path:
        """For people: the way to the machines and the account's key."""
        return self.root / "ssh_config"

    @property
    def ssh_route(self) -> Path:
        """For programs, which know the key: the way alone."""
        return self.root / "ssh_route"

    @property
    def user_ssh_config(self) -> Path:
        """The user's own ssh configuration, with the machines of the data center added."""
        return self.root / "user_ssh_config"

    @property
    def commands(self) -> Path:
        """A directory for PATH, with an `ssh` that reads `user_ssh_config`."""
        return self.root / "bin"

    @property
    def known_hosts(self) -> Path:
        return self.root / "known_hosts"

    @property
    def mode(self) -> Path:
        """What kind of machines the state directory holds: `zones` or `records`."""
        return self.root / "mode"

    @property
    def admin_token(self) -> Path:
        return self.root / "admin_token"

    @property
    def database(self) -> Path:
        return self.root / "cloudapi.db"

    @property
    def agent_socket(self) -> Path:
        """The ssh-agent's socket; clients cannot connect to a longer path."""
        path = self.run / "agent.sock"
        if len(os.fsencode(path)) <= SOCKET_PATH_LIMIT:
            return path
        digest = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"localdc-{digest}" / "agent.sock"

    def prepare(self) -> None:
        """Create the directories.

        Raises LocalDCError when the place cannot hold a data center.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            self.root.chmod(0o700)
            for directory in (
                self.run,
                self.log.parent,
                self.zones,
                self.key.parent,
                self.commands,
            ):
                directory.mkdir(exist_ok=True)
        except OSError as error:
            raise LocalDCError(
                f"Cannot use {self.root} as state directory: {error.strerror} "
                f"({error.filename}). Set LOCALDC_DIR to a directory you may write."
            ) from error


def resolve(env: Mapping[str, str] | None = None, cwd: Path | None = None) -> StateDir:
    """The state directory by LOCALDC_DIR and LOCALDC_PKGSRC, else below `cwd`."""
    env = os.environ if env is None else env
    cwd = Path.cwd() if cwd is None else cwd
    root = cwd / (env.get("LOCALDC_DIR") or ".localdc")
    root = Path(os.path.abspath(root))  # noqa: PTH100 - resolve() would follow symlinks
    packages = env.get("LOCALDC_PKGSRC")
    store = Path(os.path.abspath(cwd / packages)) if packages else root / "pkgsrc"  # noqa: PTH100
    return StateDir(root, store)


def write_atomically(path: Path, text: str, mode: int = 0o600, durable: bool = True) -> None:
    """Replace the content of `path`; a reader sees the old or the new text, whole.

    `durable` waits for the disk.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        if durable:
            file.flush()
            os.fsync(file.fileno())
    temporary.replace(path)


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in `path`; None when there is no such file or no such object."""
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def package_path() -> str:
    """PYTHONPATH for a process that runs elsewhere and must find this very package."""
    own = str(Path(__file__).parent.parent)
    others = os.environ.get("PYTHONPATH")
    return f"{own}{os.pathsep}{others}" if others else own
