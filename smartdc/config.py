"""Which data center, which account, which key: one precedence for everything.

Arguments win over ``TRITON_*``, these over ``SDC_*``, these over a profile of
the ``triton`` command, and that over the embedded data center of the current
directory.  A field that one source leaves open is filled by the next one, with
one exception: ``user`` goes with ``account``, ``key_file`` with ``key_id`` and
``insecure`` with ``url``, so they come from the source of their companion or
one above it.  Names and files: node-triton 7.17, README and lib/config.js.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from .client import Client
from .errors import ConfigError, NoDataCenter

EMBEDDED = "embedded"
_DESCRIPTION = "datacenter.json"
_COMPANION = {
    "user": "account",
    "roles": "account",
    "act_as": "account",
    "key_file": "key_id",
    "insecure": "url",
    "ssh_config": "url",
    "name": "url",
}
_CORE = ("url", "account", "key_id")
# what decides where a request goes, in whose name, and whether the server is trusted
_TELLING = (*_CORE, "user", "roles", "act_as", "key_file", "insecure")
_PROFILE_NAME = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9_.-]*")
_FALSE = frozenset({"", "0", "false", "no", "off"})
_TRUE = frozenset({"1", "true", "yes", "on"})


@dataclass(frozen=True)
class Settings:
    """Everything needed to talk to one data center as one account."""

    name: str
    url: str
    account: str
    key_id: str
    user: str | None = None
    key_file: str | None = None
    insecure: bool = False
    ssh_config: str | None = None
    source: str = "arguments"
    """``arguments``, ``environment``, ``profile NAME`` or ``embedded``: where all this is from;
    when there are several sources, what is from which: ``url from SDC_URL, …``."""
    roles: tuple[str, ...] = ()
    act_as: str | None = None
    embedded: bool = False
    timeout: float | None = None
    """Seconds for a call with its repetitions (``SDC_TIMEOUT``); None for the client's default."""

    def client_options(self) -> dict[str, Any]:
        """Arguments of :class:`Client`, its URL aside."""
        return {
            "login": self.act_as or self.account,
            "account": self.account,
            "user": self.user,
            "key_id": self.key_id,
            "secret": self.key_file,
            "verify": not self.insecure,
            "roles": self.roles,
            **({} if self.timeout is None else {"patience": self.timeout}),
        }

    def connect(self, **kw: Any) -> Client:
        """A :class:`Client` with these settings; ``kw`` goes to its constructor.

        :raises KeyNotFound, EncryptedKey, BadKey: no usable private key
        """
        return Client(self.url, **{**self.client_options(), **kw})


@dataclass(frozen=True)
class _Layer:
    """Settings from one source, with the name under which the user knows each."""

    source: str
    values: Mapping[str, Any]
    names: Mapping[str, str] = field(default_factory=dict)

    @property
    def has_core(self) -> bool:
        return any(self.values.get(key) for key in _CORE)


def state_directory(cwd: Path | None = None, env: Mapping[str, str] = os.environ) -> Path:
    """The directory of the embedded data center: ``LOCALDC_DIR``, or ``.localdc``.

    :param cwd: what a relative one is relative to; default the current directory
    """
    return (cwd or Path.cwd()) / (env.get("LOCALDC_DIR") or ".localdc")


def embedded_home(places: Sequence[Path], env: Mapping[str, str] = os.environ) -> Path:
    """Where the embedded data center is: the first of the places that has its directory.

    :param places: in order of preference
    :returns: the first place when none has it
    """
    return next((place for place in places if state_directory(place, env).is_dir()), places[0])


def resolve(
    profile: str | None = None,
    url: str | None = None,
    account: str | None = None,
    user: str | None = None,
    key_id: str | None = None,
    key_file: str | None = None,
    insecure: bool | None = None,
    env: Mapping[str, str] = os.environ,
    cwd: str | os.PathLike[str] | None = None,
) -> Settings:
    """The settings that apply here and now.

    :param profile: a profile of the ``triton`` command; ``env`` for the variables
        alone, ``embedded`` for the embedded data center alone
    :param cwd: where ``.localdc`` is looked for when ``LOCALDC_DIR`` is not set
    :raises NoDataCenter: nothing is configured and no embedded data center runs
    :raises ConfigError: a source is incomplete or unreadable; says which variable or file
    """
    given = {
        "url": url,
        "account": account,
        "user": user,
        "key_id": key_id,
        "key_file": key_file,
        "insecure": insecure,
    }
    arguments = _Layer("arguments", {k: v for k, v in given.items() if v not in (None, "")})
    layers = [arguments, *_layers(profile, env)]
    here = Path(cwd) if cwd is not None else Path.cwd()
    if not any(layer.has_core for layer in layers):
        layers.append(_embedded(env, here))
    settings = replace(_combine(layers), timeout=_timeout(env))
    # as after: eval "$(python -m localdc env)"
    if not settings.embedded and settings.url == _embedded_url(env, here):
        settings = replace(settings, embedded=True)
    return settings


def _layers(profile: str | None, env: Mapping[str, str]) -> list[_Layer]:
    if profile == EMBEDDED:
        return []
    environment = _environment(env)
    if profile == "env":
        return [environment]
    if profile:
        return [_profile(profile, env)]
    chosen = env.get("TRITON_PROFILE") or _current_profile(env)
    complete = all(environment.values.get(key) for key in _CORE)
    if chosen and chosen not in ("env", EMBEDDED) and not complete:
        return [environment, _profile(chosen, env)]
    return [environment]


def _combine(layers: list[_Layer]) -> Settings:
    found: dict[str, Any] = {}
    level: dict[str, int] = {}
    for depth, layer in enumerate(layers):
        for key, value in layer.values.items():
            if key not in found and value not in (None, "") and key not in _COMPANION:
                found[key], level[key] = value, depth
    missing = [key for key in _CORE if key not in found]
    if missing:
        raise _incomplete(missing, layers)
    for key, companion in _COMPANION.items():
        for depth, layer in enumerate(layers[: level[companion] + 1]):
            if layer.values.get(key) not in (None, ""):
                found[key] = layer.values[key]
                level[key] = depth
                break
    found["account"], found["user"] = _split_account(found["account"], found.get("user"))
    level.setdefault("user", level["account"])
    found["url"] = _checked_url(found["url"])
    origin = layers[level["url"]].source
    found.setdefault("name", origin.removeprefix("profile "))
    known = {key: found[key] for key in found if key in Settings.__dataclass_fields__}
    settled = {key: layers[level[key]] for key in _TELLING if found.get(key)}
    return Settings(source=_described(settled), embedded=origin == EMBEDDED, **known)


def _described(settled: Mapping[str, _Layer]) -> str:
    """The one source of all fields, or which field is from where."""
    sources = {layer.source for layer in settled.values()}
    if len(sources) == 1:
        return sources.pop()
    fields: dict[str, list[str]] = {}
    for key, layer in settled.items():
        fields.setdefault(layer.names.get(key, layer.source), []).append(key)
    return ", ".join(f"{', '.join(keys)} from {source}" for source, keys in fields.items())


def _incomplete(missing: list[str], layers: list[_Layer]) -> ConfigError:
    names = {"url": "SDC_URL", "account": "SDC_ACCOUNT", "key_id": "SDC_KEY_ID"}
    have = [
        layer.names.get(key, f"{key} ({layer.source})")
        for layer in layers
        for key in _CORE
        if layer.values.get(key)
    ]
    wanted = ", ".join(f"{names[key]} (or the argument {key})" for key in missing)
    return ConfigError(
        f"incomplete CloudAPI settings: {', '.join(have)} is set, but {wanted} is not",
        hint="set it, or unset the others to use the embedded data center",
    )


def _split_account(account: str, user: str | None) -> tuple[str, str | None]:
    """node-smartdc writes a sub-user as ``account/user`` in SDC_ACCOUNT."""
    login, slash, sub = account.partition("/")
    if not login or (slash and not sub):
        raise ConfigError(f"account {account!r} is neither LOGIN nor LOGIN/USER")
    return login, user or sub or None


def _checked_url(url: str) -> str:
    if not re.fullmatch(r"https?://[^\s/?#]+(?:/[^\s?#]*)?", url):
        raise ConfigError(f"{url!r} is not the URL of a CloudAPI", hint="write https://HOST[:PORT]")
    return url.rstrip("/")


def _flag(name: str, text: str) -> bool:
    if text.lower() in _TRUE | _FALSE:
        return text.lower() in _TRUE
    raise ConfigError(f"{name}={text!r} is neither true nor false", hint="use 1 or 0")


def _timeout(env: Mapping[str, str]) -> float | None:
    text = env.get("SDC_TIMEOUT")
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if 0 < seconds < 86400:
        return seconds
    raise ConfigError(f"SDC_TIMEOUT={text!r} is no number of seconds", hint="use for example 45")


def _environment(env: Mapping[str, str]) -> _Layer:
    values: dict[str, Any] = {}
    names: dict[str, str] = {}
    for key in ("url", "account", "user", "key_id", "key_file"):
        for prefix in ("TRITON_", "SDC_"):
            name = prefix + key.upper()
            if env.get(name):
                values[key], names[key] = env[name], name
                break
    for key, name in (("act_as", "TRITON_ACT_AS"), ("ssh_config", "SDC_SSH_CONFIG")):
        if env.get(name):
            values[key], names[key] = env[name], name
    for name in ("TRITON_ROLE", "SDC_ROLE"):
        if env.get(name):
            values["roles"] = tuple(r.strip() for r in env[name].split(",") if r.strip())
            names["roles"] = name
            break
    for name in ("TRITON_TLS_INSECURE", "SDC_TLS_INSECURE"):
        if env.get(name):
            values["insecure"], names["insecure"] = _flag(name, env[name]), name
            return _Layer("environment", values, names)
    for name in ("TRITON_TESTING", "SDC_TESTING"):
        if env.get(name):
            values["insecure"], names["insecure"] = True, name
            break
    return _Layer("environment", values, names)


def _config_dir(env: Mapping[str, str]) -> Path:
    if env.get("TRITONTEST_CLI_CONFIG_DIR"):
        return Path(env["TRITONTEST_CLI_CONFIG_DIR"])
    if env.get("XDG_CONFIG_HOME"):
        xdg = Path(env["XDG_CONFIG_HOME"]) / "triton"
        if xdg.is_dir():
            return xdg
    return Path(env["HOME"] if env.get("HOME") else Path.home()) / ".triton"


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"cannot read {path}: {error}", hint="correct or remove the file"
        ) from None
    if not isinstance(data, dict):
        raise ConfigError(f"{path} does not hold a JSON object", hint="correct or remove the file")
    return data


def _current_profile(env: Mapping[str, str]) -> str | None:
    config = _read_json(_config_dir(env) / "config.json") or {}
    name = config.get("profile")
    return name if isinstance(name, str) else None


def _profile(name: str, env: Mapping[str, str]) -> _Layer:
    directory = _config_dir(env)
    if name == "-":
        name = str((_read_json(directory / "config.json") or {}).get("oldProfile") or "-")
    if not _PROFILE_NAME.fullmatch(name):
        raise ConfigError(f"{name!r} is not the name of a profile")
    path = directory / "profiles.d" / f"{name}.json"
    data = _read_json(path)
    if data is None:
        known = sorted(p.stem for p in path.parent.glob("*.json"))
        raise ConfigError(
            f"there is no profile {name!r} ({path})",
            hint=f"known profiles: {', '.join(known)}" if known else "triton profile create",
        )
    missing = [key for key in ("url", "account", "keyId") if not isinstance(data.get(key), str)]
    if missing:
        raise ConfigError(f"{path} lacks {', '.join(missing)}", hint="correct the profile")
    roles = data.get("roles") or ()
    values = {
        "url": data["url"],
        "account": data["account"],
        "key_id": data["keyId"],
        "user": data.get("user"),
        "insecure": bool(data.get("insecure")),
        "roles": tuple(map(str, roles)) if isinstance(roles, list) else (),
        "act_as": data.get("actAsAccount"),
        "name": name,
    }
    return _Layer(f"profile {name}", values)


def _embedded_url(env: Mapping[str, str], cwd: Path) -> str | None:
    """Where the embedded data center of a directory is, or was; None without one."""
    try:
        data = _read_json(state_directory(cwd, env) / _DESCRIPTION) or {}
    except ConfigError:
        return None
    url = data.get("url")
    return url.rstrip("/") if isinstance(url, str) else None


def _embedded(env: Mapping[str, str], cwd: Path) -> _Layer:
    path = state_directory(cwd, env) / _DESCRIPTION
    state = path.parent
    data = _read_json(path)
    hint = (
        "start the embedded one (python -m localdc start), or set SDC_URL, SDC_ACCOUNT and "
        "SDC_KEY_ID, or make a profile (triton profile create)"
    )
    if data is None:
        raise NoDataCenter("no data center is configured and no embedded one runs here", hint=hint)
    if not _alive(data.get("pid")):
        raise NoDataCenter(f"the embedded data center of {state} does not run", hint=hint)
    missing = [key for key in _CORE if not isinstance(data.get(key), str)]
    if missing:
        raise ConfigError(f"{path} lacks {', '.join(missing)}", hint="python -m localdc start")
    keys = ("name", "url", "account", "key_id", "key_file", "ssh_config")
    return _Layer(EMBEDDED, {key: data[key] for key in keys if isinstance(data.get(key), str)})


def _alive(pid: object) -> bool:
    if not isinstance(pid, int) or pid <= 0:
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
