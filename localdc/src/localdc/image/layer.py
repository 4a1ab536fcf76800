"""The read-only layer that goes over the host's /usr, and the template of zone roots.

    STATE/layer/HASH/usr/        upper one of two read-only overlay layers
    STATE/layer/HASH/template/   what `create_root` copies

The hash covers everything the layer is made from, so a layer is never
changed, and a new version of localdc or of the host gets a new one.
"""

from __future__ import annotations

import compileall
import hashlib
import os
import py_compile
import shutil
import stat
import tempfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from localdc.image import commands, template
from localdc.image.host import Host, ImageError
from localdc.pkgsrc.store import Store

IMAGE = Path(__file__).parent
SMARTOS = IMAGE.parent / "smartos"
LIBRARY = "/usr/lib/localdc/lib"
PRIVATE_PYTHON = "/usr/lib/localdc/python"
STORE_IN_ZONE = "/opt/.pkgsrc"

_HALTING = ("halt", "reboot", "poweroff", "shutdown", "init")
# command -> (directory, module of smartos, further names)
_COMMANDS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "svcs": ("bin", "smf.commands.client", ("svcprop",)),
    "svcadm": (
        "sbin",
        "smf.commands.client",
        ("svccfg", "halt", "reboot", "poweroff", "shutdown", "init"),
    ),
    "mdata-get": ("sbin", "mdata.commands", ("mdata-put", "mdata-list", "mdata-delete")),
    "ifconfig": ("sbin", "commands.ifconfig", ()),
    "ipadm": ("sbin", "commands.ipadm", ()),
    "pgrep": ("bin", "commands.pgrep", ("pkill",)),
    "pkgin": ("lib/localdc/bin", "pkgsrc.pkgin", ()),
    "pkg_info": ("lib/localdc/bin", "pkgsrc.pkg_info", ()),
    "mdata-fetch": ("lib/svc/method", "mdata.fetch", ()),
}
_STARTD = """\
import sys
sys.path.insert(0, "{library}")
from smartos.smf.startd.startd import main
sys.exit(main())
"""
_MANIFEST_DIRECTORIES = {
    "filesystem.xml": "system/filesystem",
    "identity.xml": "system",
    "mdata.xml": "system",
    "milestone.xml": "milestone",
    "network.xml": "network",
    "ssh.xml": "network",
}
_GNU = commands.words(
    "awk base64 cat cp date egrep fgrep find grep head id ls mktemp mv readlink rm sed seq",
    "sha256sum sort stat tail tar timeout touch truncate xargs",
)


@dataclass(frozen=True, slots=True)
class Layer:
    """Everything zones have in common.

    `usr` is the upper one of two read-only overlay layers, the host's /usr
    being the lower (`lowerdir=usr:/usr`); `template` is the zone root that
    `create_root` copies.  `python` is the interpreter and `startd` the script
    that pid 1 executes, both as paths inside a zone.  `store` must be
    bind-mounted at `/opt/.pkgsrc` before either can run.
    """

    usr: Path
    template: Path
    python: str
    startd: str
    store: Path


def build_layer(
    state: Path, store: Store, host: Host | None = None, lenient: Collection[str] = ()
) -> Layer:
    """Make, or find, the layer below `state`/layer, and remove older ones.

    Must not run while zones of `state` are up.  `lenient`: see localdc.daemon.options.
    Raises ImageError when the host lacks something (sshd, a merged /usr).
    """
    host = host or Host()
    host.check()
    directory = state / "layer" / _fingerprint(store, host, lenient)
    if not directory.is_dir():
        directory.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".new-", dir=directory.parent) as scratch:
            made = Path(scratch, "layer")
            _build(made, store, host, lenient)
            made.rename(directory)
    for other in directory.parent.iterdir():
        if other != directory:
            shutil.rmtree(other, ignore_errors=True)
    python = f"{PRIVATE_PYTHON}/bin/python{store.python_version}"
    return Layer(
        directory / "usr", directory / "template", python, f"{LIBRARY}/startd.py", store.root
    )


def _fingerprint(store: Store, host: Host, lenient: Collection[str]) -> str:
    digest = hashlib.sha256()
    kept = [host.usr / path for path in (*commands.programs(), *(f"bin/{name}" for name in _GNU))]
    for words in (
        (store.tag, store.python_package, store.repository, *sorted(lenient)),
        (host.fingerprint(kept), *commands.absent(host.usr)),
    ):
        digest.update(f"{' '.join(words)}\n".encode())
    for source in (IMAGE, SMARTOS):
        for path in sorted(source.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(f"{path.relative_to(source)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _build(directory: Path, store: Store, host: Host, lenient: Collection[str]) -> None:
    usr = directory / "usr"
    usr.mkdir(parents=True)
    python = f"{PRIVATE_PYTHON}/bin/python{store.python_version}"
    _hide(usr, host.hidden())
    if "commands" not in lenient:
        _hide(usr, commands.absent(host.usr))
        commands.install(usr, host.usr, python, LIBRARY)
    if "shell" not in lenient and host.ksh93 is not None:
        (usr / "bin").mkdir(exist_ok=True)
        (usr / "bin/sh").symlink_to(host.ksh93.name)
    _install_python(usr, store)
    _install_smartos(usr, python)
    if "python" in lenient:
        shutil.rmtree(usr / LIBRARY.removeprefix("/usr/") / "smartos/python")
    _install_services(usr, store)
    copied = host.copy_etc(usr / "lib/localdc/etc")
    _link_gnu(usr, host)
    template.build(
        directory / "template",
        root_links=host.root_links(),
        borrowed=copied,
        repository=f"file://{STORE_IN_ZONE}/{store.repository}/All",
        manifests=sorted((usr / "lib/svc/manifest").rglob("*.xml")),
    )


def _hide(usr: Path, names: list[str]) -> None:
    """Make overlay whiteouts: character devices 0:0, which need no privilege to create."""
    for name in names:
        path = usr / name
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.mknod(path, stat.S_IFCHR, os.makedev(0, 0))
        except OSError as error:
            raise ImageError(
                f"{usr.parent} is on a file system that cannot hold overlay whiteouts "
                f"({error.strerror}); set LOCALDC_DIR to a directory on ext4, xfs or btrfs"
            ) from None


def _install_python(usr: Path, store: Store) -> None:
    package = f"{STORE_IN_ZONE}/{store.tag}/packages/{store.python_package}"
    link = usr / PRIVATE_PYTHON.removeprefix("/usr/")
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(package)
    # an executable may look for its libraries in a directory no zone has;
    # the loader falls back to the system's, whose own libpython must not win
    # (also those of Pythons that older machines have)
    others = sorted(store.root.glob("*/packages/python[0-9]*"))
    for tree in (store.directory / "packages" / store.python_package, *others):
        place = f"{STORE_IN_ZONE}/{tree.relative_to(store.root)}"
        for library in sorted(tree.glob("lib*/*.so*")):
            for directory in _library_directories():
                target = usr / directory / library.name
                target.parent.mkdir(parents=True, exist_ok=True)
                if not target.is_symlink():
                    target.symlink_to(f"{place}/{library.relative_to(tree)}")


def _library_directories() -> list[str]:
    triplet = f"{os.uname().machine}-linux-gnu"
    return [f"lib/{triplet}" if Path("/usr/lib", triplet).is_dir() else "lib64"]


def _install_smartos(usr: Path, python: str) -> None:
    library = usr / LIBRARY.removeprefix("/usr/")
    shutil.copytree(SMARTOS, library / "smartos", ignore=shutil.ignore_patterns("__pycache__"))
    (library / "startd.py").write_text(_STARTD.format(library=LIBRARY))
    compiled = compileall.compile_dir(
        library,
        quiet=1,
        stripdir=str(library),
        prependdir=LIBRARY,
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )
    if not compiled:
        raise ImageError(f"the zone's commands in {SMARTOS} do not compile")
    for name, (directory, module, aliases) in _COMMANDS.items():
        script = commands.python_script(python, LIBRARY, module)
        for command in (name, *aliases):
            _write(usr / directory / command, script, 0o755)


def _install_services(usr: Path, store: Store) -> None:
    for path in sorted((IMAGE / "methods").iterdir()):
        _write(usr / "lib/svc/method" / path.name, path.read_text(), 0o755)
    for path in sorted((IMAGE / "manifests").glob("*.xml")):
        directory = _MANIFEST_DIRECTORIES[path.name]
        _write(usr / "lib/svc/manifest" / directory / path.name, path.read_text(), 0o444)
    for path in sorted((IMAGE / "share").iterdir()):
        _write(usr / "lib/svc/share" / path.name, path.read_text(), 0o444)
    for path in sorted((IMAGE / "bin").iterdir()):
        _write(usr / "bin" / path.name, path.read_text(), 0o755)
    python = f"python{store.python_version}"
    for path in sorted((IMAGE / "ssh").iterdir()):
        text = path.read_text().replace("@PYTHON@", python)
        _write(usr / "lib/localdc/ssh" / path.name, text, 0o755)


def _link_gnu(usr: Path, host: Host) -> None:
    """The GNU tools under the path where pkgsrc's are on SmartOS."""
    directory = usr / "lib/localdc/gnu/bin"
    directory.mkdir(parents=True)
    for name in _GNU:
        if (host.usr / "bin" / name).exists():
            commands.keep(usr, host.usr / "bin" / name)
            (directory / name).symlink_to(f"/usr/{commands.HOST_PROGRAMS}/{name}")


def _write(path: Path, text: str, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
