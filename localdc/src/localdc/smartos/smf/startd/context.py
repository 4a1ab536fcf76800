"""Method context (smf_method(7)): as whom, where and with which environment a method runs.

Follows restarter_get_method_context() of librestart: every property is looked up by itself, in
the property group of the method first and in ``method_context`` where that lacks it. The exception
is who the method runs as: ``use_profile`` decides, and groups below the one that has it count.
"""

from __future__ import annotations

import os
from errno import EINVAL, ENOENT

from ..model import SmfError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pwd import struct_passwd as Passwd

    from ..model import Property, PropertyGroup

SHARED = "method_context"
_DEFAULT, _HOME = ":default", ":home"
# that one of these is set is enough for the defaults of smf_method(7) instead of those of init
_USED = (
    "environment", "use_profile", "working_directory", "corefile_pattern", "project",
    "resource_pool",
)  # fmt: skip


class Context:
    """What a method gets; ``uid`` is None where it runs as svc.startd does."""

    __slots__ = ("directory", "environment", "gid", "groups", "uid", "user")

    def __init__(self) -> None:
        self.uid: int | None = None
        self.gid = 0
        # supplementary groups; None for those that the system says the user is in
        self.groups: list[int] | None = []
        # the name that these are looked up by, None where the user id has none
        self.user: str | None = None
        self.directory = "/"
        self.environment: tuple[str, ...] = ()


def resolve(
    name: str, command: str, method: PropertyGroup, shared: PropertyGroup | None
) -> Context:
    """The context of method `name`, which runs `command`.

    Raises SmfError with the line for the log where the properties make none.
    """
    context = Context()
    if shared is None and not any(key in method.props for key in _USED):
        return context
    groups = [method] if shared is None else [method, shared]
    environment = _find("environment", groups)
    if environment is not None:
        if environment.type != "astring":
            raise SmfError("Invalid method environment.")
        context.environment = environment.values
    deciding = next((group for group in groups if "use_profile" in group.props), None)
    if deciding is not None:
        where = name if deciding is method else SHARED
        if deciding.props["use_profile"].type != "boolean":
            raise SmfError(f'"use_profile" property is not boolean in property group "{where}".')
        who = groups[groups.index(deciding) :]
        if _single("use_profile", who) == "true":
            _no_profile(who, command)
        _ids(context, who)
    directory = _single("working_directory", groups)
    if directory in (None, _DEFAULT, _HOME):
        directory = _home(context)
    context.directory = directory or "/"
    return context


def _find(name: str, groups: list[PropertyGroup]) -> Property | None:
    return next((group.props[name] for group in groups if name in group.props), None)


def _single(name: str, groups: list[PropertyGroup]) -> str | None:
    """The value of a property that may have only one."""
    prop = _find(name, groups)
    if prop is None:
        return None
    if len(prop.values) != 1:
        what = "multiple values" if prop.values else "no values"
        raise SmfError(f'"{name}" property has {what}.')
    return prop.values[0]


def _text(name: str, groups: list[PropertyGroup]) -> str | None:
    """The value of a string property; groups where it is no single string are passed over."""
    for group in groups:
        prop = group.props.get(name)
        if prop is not None and prop.type == "astring" and len(prop.values) == 1:
            return prop.values[0]
    return None


def _no_profile(groups: list[PropertyGroup], command: str) -> None:
    profile = _text("profile", groups)
    if profile is None:
        raise SmfError(
            'Method context requires a profile, but the  "profile" property could not be read.'
            " scf_error is entity not found"
        )
    # a zone of this data center has no exec_attr(5), so it has no profile either
    program = command.split()[0] if command.split() else ""
    raise SmfError(f'Could not find the execution profile "{profile}", command {program}.')


def _ids(context: Context, groups: list[PropertyGroup]) -> None:
    user = _text("user", groups)
    if user is None:
        raise SmfError('Could not get "user" property.')
    context.uid, entry = _user(user)
    context.user = entry.pw_name if entry is not None else None
    group = _text("group", groups) or _DEFAULT
    if group != _DEFAULT:
        gid = _group(group)
        if gid is None:
            raise SmfError(f'Could not interpret "group" property value "{group}".')
        context.gid = gid
    elif entry is None:
        raise SmfError(f'No passwd entry for uid "{context.uid}".')
    else:
        context.gid = entry.pw_gid
    text = _text("supp_groups", groups)
    if text is None or text == _DEFAULT:
        context.groups = None
        return
    found = [_group(word) for word in text.replace(",", " ").split()]
    if None in found:
        raise SmfError(
            f'Could not interpret supplemental groups ("supp_groups") property value "{text}".'
        )
    context.groups = [gid for gid in found if gid is not None]


def _user(user: str) -> tuple[int, Passwd | None]:
    import pwd

    if user[:1].isdigit():
        if not user.isdigit():
            raise SmfError(f'Could not interpret "user" property value "{user}", error {EINVAL}.')
        return int(user), _entry(int(user))
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        raise SmfError(
            f'Could not interpret "user" property value "{user}", error {ENOENT}.'
        ) from None
    return entry.pw_uid, entry


def _entry(uid: int) -> Passwd | None:
    import pwd

    try:
        return pwd.getpwuid(uid)
    except KeyError:
        return None


def _group(name: str) -> int | None:
    if name[:1].isdigit():
        return int(name) if name.isdigit() else None
    import grp

    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        return None


def _home(context: Context) -> str:
    entry = _entry(os.getuid() if context.uid is None else context.uid)
    if entry is None:
        raise SmfError("Could not get passwd entry.")
    return entry.pw_dir
