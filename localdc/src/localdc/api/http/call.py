"""A call as handlers see it, their answer, and the table that brings the two together."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from localdc.api.errors import method_not_allowed, not_found
from localdc.api.http.versions import Version
from localdc.api.model import Account
from localdc.api.store.documents import Record
from localdc.api.values import flag

if TYPE_CHECKING:
    from localdc.api.engine.datacenter import DataCenter

JSON = "application/json"


@dataclass(slots=True)
class Call:
    """One request, verified.

    args: the parts of the path that the route names, decoded.  params: query
    and body merged, the body winning; values from a query or a form are text,
    or a list when given more than once.  caller: for the audit.  roles: what a sub-user
    acts in; None = the account itself acts.
    """

    center: DataCenter
    method: str
    path: str
    args: Mapping[str, str]
    params: dict[str, Any]
    headers: Mapping[str, str]
    version: Version
    account: Account
    caller: Mapping[str, Any]
    base_url: str
    as_text: bool = False
    roles: list[Record] | None = None

    def flag(self, name: str) -> bool:
        """Whether the call asks for something; raises 409 where it is neither true nor false."""
        return flag(self.params, name)


@dataclass(slots=True)
class Answer:
    """What goes back; body None = no body at all."""

    status: int
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = JSON

    @classmethod
    def json(cls, value: object, status: int = 200, **headers: str) -> Answer:
        """Headers are given with `_` for `-`."""
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        return cls(status, json.dumps(value, separators=(",", ":")).encode(), named)

    @classmethod
    def text_or_json(cls, call: Call, value: str) -> Answer:
        """A single text: bare for clients that prefer text/plain."""
        if call.as_text:
            return cls(200, value.encode(), content_type="text/plain")
        return cls.json(value)


Handler = Callable[[Call], Answer]


@dataclass(frozen=True, slots=True)
class Route:
    """`pattern` like `/:account/keys/:key`; access: account, admin or public.

    websocket: the handler only answers those who do not ask for one.
    """

    method: str
    pattern: str
    handler: Handler
    access: str = "account"
    websocket: bool = False


class Router:
    """Finds the route of a path, one trailing slash ignored.

    HEAD works wherever GET does.  A word of a pattern beats a parameter.
    """

    def __init__(self, routes: Iterable[Route]) -> None:
        self._patterns: dict[int, dict[tuple[str, ...], dict[str, Route]]] = {}
        for route in routes:
            words = tuple(route.pattern.strip("/").split("/"))
            methods = self._patterns.setdefault(len(words), {}).setdefault(words, {})
            if route.method in methods:
                raise ValueError(f"{route.method} {route.pattern} is routed twice")
            methods[route.method] = route
            if route.method == "GET":
                methods.setdefault("HEAD", route)
        for length, patterns in self._patterns.items():
            # Words sort before parameters: "/--ping" must not be an account.
            ordered = sorted(patterns, key=lambda words: [word.startswith(":") for word in words])
            self._patterns[length] = {words: patterns[words] for words in ordered}

    def find(self, method: str, raw_path: str) -> tuple[Route, dict[str, str]]:
        """Raises 404 for an unknown path, 405 with `Allow` for an unknown method."""
        trimmed = raw_path[:-1] if raw_path.endswith("/") else raw_path
        parts = [unquote(part) for part in trimmed.removeprefix("/").split("/")]
        allowed: set[str] = set()
        for words, methods in self._patterns.get(len(parts), {}).items():
            args = _match(words, parts)
            if args is None:
                continue
            if method in methods:
                return methods[method], args
            allowed |= methods.keys()
        if allowed:
            raise method_not_allowed(method, allowed)
        raise not_found(f"{unquote(raw_path)} does not exist", early=True)


def _match(words: tuple[str, ...], parts: list[str]) -> dict[str, str] | None:
    args = {}
    for word, part in zip(words, parts, strict=True):
        if word.startswith(":"):
            if not part:
                return None
            args[word[1:]] = part
        elif word != part:
            return None
    return args
