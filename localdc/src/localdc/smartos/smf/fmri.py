"""Names of services and instances: FMRIs, their abbreviations and patterns (smf(7), svcs(1))."""

from __future__ import annotations

from .model import SmfError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

SCHEME = "svc:/"
RESTARTER = "svc:/system/svc/restarter:default"
# repcache_protocol.h: names up to 119 characters, values up to 4095 bytes
NAME_MAX = 119
# by hand: most commands check a name, and importing re takes as long as all the rest of them
_LETTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
_IDENT = _LETTERS | frozenset("0123456789_-")
_DOMAIN = _IDENT | {"."}


def valid_name(name: str) -> bool:
    """Is this a legal name of an instance, a property group or a property (uu_ident.c)?"""
    if len(name) > NAME_MAX:
        return False
    domain, comma, ident = name.rpartition(",")
    # domains of property groups may hold dashes, as in "problem-diagnosed,swfma"
    return _word(ident, _IDENT) and (not comma or _word(domain, _DOMAIN))


def _word(text: str, characters: frozenset[str]) -> bool:
    return bool(text) and text[0] in _LETTERS and characters.issuperset(text)


def valid_service(name: str) -> bool:
    """Is this a legal service name, such as ``network/ssh``?"""
    return len(name) <= NAME_MAX and all(map(valid_name, name.split("/")))


def is_glob(pattern: str) -> bool:
    """Does the pattern hold characters of fnmatch(7)?"""
    return any(char in pattern for char in "*?[")


def glob(text: str, pattern: str) -> bool:
    """Does `text` match the whole `pattern` of fnmatch(7)?"""
    from fnmatch import fnmatchcase

    return fnmatchcase(text, pattern)


def split(fmri: str) -> tuple[str, str | None]:
    """``svc:/a/b:c`` as (``a/b``, ``c``); the instance of a service FMRI is None."""
    body = fmri.removeprefix("svc:").lstrip("/")
    if body.startswith("localhost/") and fmri.startswith("svc://"):
        body = body.removeprefix("localhost/")
    service, colon, instance = body.partition(":")
    return service, instance if colon else None


def service_of(fmri: str) -> str:
    """The service FMRI of an instance FMRI."""
    return SCHEME + split(fmri)[0]


def instance_name(fmri: str) -> str:
    """The last part of an instance FMRI."""
    return split(fmri)[1] or ""


def short(fmri: str) -> str:
    """The FMRI as svc.startd's own log abbreviates it: ``network/ssh:default``."""
    return fmri.removeprefix(SCHEME)


def log_name(fmri: str) -> str:
    """File name of the log of an instance: ``site-x:default.log``."""
    return short(fmri).replace("/", "-") + ".log"


def normalise(fmri: str) -> str:
    """A full FMRI in its usual spelling (``svc:///a:b`` and ``svc://localhost/a:b`` as well).

    Raises SmfError for anything that is not a service or instance FMRI.
    """
    service, instance = split(fmri)
    if not fmri.startswith("svc:") or not valid_service(service):
        raise SmfError(f'FMRI "{fmri}" is invalid.')
    if instance is None:
        return SCHEME + service
    if not valid_name(instance):
        raise SmfError(f'FMRI "{fmri}" is invalid.')
    return f"{SCHEME}{service}:{instance}"


def matches(pattern: str, fmri: str) -> bool:
    """Does an abbreviation, a pattern or a full FMRI name the instance (or service) `fmri`?

    Abbreviations are whole trailing components: ``smtp``, ``network/smtp``, ``smtp:sendmail``,
    ``:sendmail`` and ``sendmail`` name ``svc:/network/smtp:sendmail``, ``network`` does not.
    """
    if is_glob(pattern):
        return glob(fmri, pattern if pattern.startswith("svc:") else SCHEME + pattern.lstrip("/"))
    service, instance = split(fmri)
    if pattern.startswith("svc:"):
        wanted, wanted_instance = split(pattern)
        return wanted == service and wanted_instance in (None, instance)
    wanted, colon, wanted_instance = pattern.strip("/").partition(":")
    if colon:
        return wanted_instance == instance and (not wanted or _suffix(wanted, service))
    return _suffix(wanted, service) or (instance is not None and wanted == instance)


def _suffix(wanted: str, service: str) -> bool:
    return bool(wanted) and (service == wanted or service.endswith("/" + wanted))


def select(pattern: str, fmris: Iterable[str]) -> list[str]:
    """The instances (or services) among `fmris` that `pattern` names, in their order."""
    return [fmri for fmri in fmris if matches(pattern, fmri)]


def file_of(fmri: str) -> str:
    """The path of a ``file:`` FMRI."""
    path = fmri.removeprefix("file://localhost").removeprefix("file://").removeprefix("file:")
    return path or "/"
