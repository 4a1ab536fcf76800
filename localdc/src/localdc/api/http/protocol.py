"""From bytes to a verified call, and from an answer to bytes.

The order of the checks is CloudAPI's: route, version, Accept, Authorization's
syntax and date, body; then, with CloudAPI's own headers set, the signature, the
throttle and the handler.
"""

from __future__ import annotations

import base64
import hashlib
import logging
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from starlette.types import Receive, Scope, Send

from localdc.api.engine.datacenter import DataCenter
from localdc.api.engine.faults import Fault
from localdc.api.errors import (
    ApiError,
    bad_digest,
    internal,
    payload_too_large,
    throttled,
    unavailable,
)
from localdc.api.http import auth, httpsig, negotiate, params
from localdc.api.http.call import JSON, Answer, Call, Route, Router
from localdc.api.http.versions import NEWEST
from localdc.api.values import check_finite

log = logging.getLogger(__name__)

SERVER = "cloudapi/9.20.0"
# Key under which the application leaves the transport of a request.
TRANSPORT = "localdc.transport"

_CORS = {
    "access-control-allow-origin": "*",
    "access-control-allow-headers": "Accept, Accept-Version, Content-Length, Content-MD5, "
    "Content-Type, Date, Api-Version, Response-Time",
    "access-control-allow-methods": "GET, HEAD, POST",
    "access-control-expose-headers": "Api-Version, Request-Id, Response-Time",
}


class CutConnection(Exception):
    """A fault: the client gets no answer."""


class Dispatcher:
    """The ASGI application behind every path.

    center: called for each request, since the data center exists only once the
    application has started.
    """

    def __init__(self, router: Router, center: Callable[[], DataCenter]) -> None:
        self._router = router
        self._center = center

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._websocket(Request({**scope, "method": "GET"}, b""), receive, send)
            return
        if scope["type"] != "http":
            return
        request = Request(scope, await read_body(scope, receive))
        try:
            answer, early = self._serve(request)
        except CutConnection:
            _cut(scope)
            return
        await _send(send, request, answer, early)

    async def _websocket(self, request: Request, receive: Receive, send: Send) -> None:
        await receive()
        route, call = None, None

        def verify() -> Answer:
            nonlocal route, call
            route, call = self._verify(request)
            return Answer(101) if route.websocket else route.handler(call)

        answer, early = self._serve(request, verify)
        if call is None or answer.status != 101:
            await _send(send, request, answer, early, kind="websocket.http.response")
            return
        await send({"type": "websocket.accept"})
        await call.center.feed.serve(call.account.uuid, receive, send)

    def _serve(
        self, request: Request, handle: Callable[[], Answer] | None = None
    ) -> tuple[Answer, bool]:
        try:
            return handle() if handle else self._handle(request), False
        except ApiError as error:
            return _refusal(error), error.early
        except CutConnection:
            raise
        except Exception:
            log.exception("%s %s broke, request %s", request.method, request.path, request.id)
            message = f"internal error; the log of the data center has it as {request.id}"
            return _refusal(internal(message)), False

    def _handle(self, request: Request) -> Answer:
        route, call = self._verify(request)
        return _handle_with_faults(route, call)

    def _verify(self, request: Request) -> tuple[Route, Call]:
        center = self._center()
        headers = request.headers
        route, args = self._router.find(request.method, request.path)
        if route.access != "admin":
            center.requests[f"{request.method} {route.pattern}"] += 1
        version = negotiate.version_of(headers, request.method, request.path)
        as_text = negotiate.prefers_text(headers.get("accept"))
        signature = None
        if route.access == "account":
            now, max_skew = datetime.now(UTC), center.settings.max_clock_skew
            received = httpsig.Received(
                request.method, request.target, headers, request.http_version
            )
            signature = httpsig.parse_authorization(received, now, max_skew)
            httpsig.check_date(headers, now, max_skew)
            if not headers.get("authorization"):
                host = headers.get("host", "")
                signature = httpsig.parse_presigned(
                    request.query, request.method, host, request.path, now
                )
        body = request.checked_body()
        parameters = params.merged(request.query, headers.get("content-type", ""), body)
        if route.access == "account":
            account, user = auth.authenticate(center, signature, version)
            if not center.buckets.take(account.uuid):
                raise throttled(
                    "You have exceeded your request rate, try again in a moment",
                    status=center.buckets.status,
                )
            auth.authorize(account, args.get("account", "my"))
        else:
            account, user = ANYBODY, None
            if route.access == "admin":
                auth.check_admin(center, headers)
        check_finite(parameters)
        call = Call(
            center=center,
            method=request.method,
            path=request.path,
            args=args,
            params=parameters,
            headers=headers,
            version=version,
            account=account,
            caller=auth.caller(request.peer, signature),
            base_url=center.settings.url or f"http://{headers.get('host', 'localhost')}",
            as_text=as_text,
        )
        if user is not None:
            auth.authorize_user(call, route, user)
        if route.access == "account":
            auth.check_role_tag(call)
        return route, call


def _refusal(error: ApiError) -> Answer:
    answer = Answer.json(error.body(), error.status)
    answer.headers.update(error.headers)
    return answer


def _handle_with_faults(route: Route, call: Call) -> Answer:
    fault = _fault(call) if route.access == "account" else None
    if fault is None:
        return route.handler(call)
    if fault.kind == "unavailable":
        raise unavailable(fault.reason, fault.retry_after)
    if fault.kind == "throttle":
        raise throttled(fault.reason, fault.retry_after, call.center.buckets.status)
    if fault.kind == "cut_after":
        try:
            route.handler(call)
        except ApiError as error:
            log.info("cut_after struck a request that failed anyway: %s", error)
    raise CutConnection


def _fault(call: Call) -> Fault | None:
    faults = call.center.faults
    name, machine_id = None, call.args.get("machine")
    if faults.needs_machine():
        if machine_id is not None:
            machine = call.center.store.machines.get(machine_id)
            name = machine.name if machine else None
        elif call.path.rstrip("/").endswith("/machines") and call.method == "POST":
            name = str(call.params.get("name", ""))
    return faults.for_request(call.account.login, name, machine_id, call.method, call.path)


class Request:
    """What the server received; header names in lower case."""

    def __init__(self, scope: Scope, body: bytes | None) -> None:
        self.method: str = scope["method"]
        self.path: str = scope.get("raw_path", scope["path"].encode()).decode("latin-1")
        self.query: str = scope["query_string"].decode("latin-1")
        self.http_version: str = scope.get("http_version", "1.1")
        self.headers = _headers(scope["headers"])
        self.peer: str = scope["client"][0] if scope.get("client") else ""
        self.id = str(uuid.uuid4())
        self.began = time.perf_counter()
        self._body = body

    @property
    def target(self) -> str:
        """Path and query as they were sent."""
        return f"{self.path}?{self.query}" if self.query else self.path

    @property
    def keep_alive(self) -> bool:
        option = self.headers.get("connection", "").lower()
        return option != "close" and (self.http_version != "1.0" or option == "keep-alive")

    def checked_body(self) -> bytes:
        """The body; GET and HEAD have none.  Raises 413 and 400 BadDigest."""
        if self.method in ("GET", "HEAD"):
            return b""
        if self._body is None:
            raise payload_too_large(params.MAX_BODY)
        digest = self.headers.get("content-md5")
        if digest and self._body and digest != _md5(self._body):
            raise bad_digest()
        return self._body


# Of these the first counts (Node.js, lib/_http_incoming.js, matchKnownFields).
_ONCE = frozenset({
    *("age", "authorization", "content-length", "content-type", "etag", "expires", "from", "host"),
    *("if-modified-since", "if-unmodified-since", "last-modified", "location", "max-forwards"),
    *("proxy-authorization", "referer", "retry-after", "server", "user-agent"),
})  # fmt: skip


def _headers(lines: Iterable[tuple[bytes, bytes]]) -> Mapping[str, str]:
    """Names in lower case; what is there twice is joined, as CloudAPI sees it."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in lines:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        if name not in headers:
            headers[name] = value
        elif name not in _ONCE:
            headers[name] += f", {value}"
    return headers


ANYBODY: Any = None  # the account of calls that need none


async def read_body(scope: Scope, receive: Receive) -> bytes | None:
    """The body, or None when it is longer than CloudAPI takes (it is read to its end)."""
    chunks: list[bytes] = []
    length = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            break
        chunk = message.get("body", b"")
        length += len(chunk)
        if length <= params.MAX_BODY:
            chunks.append(chunk)
        if not message.get("more_body", False):
            break
    return b"".join(chunks) if length <= params.MAX_BODY else None


def _md5(body: bytes) -> str:
    return base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()


async def _send(
    send: Send, request: Request, answer: Answer, early: bool, kind: str = "http.response"
) -> None:
    headers = {
        "date": format_datetime(datetime.now(UTC), usegmt=True),
        "connection": "keep-alive" if request.keep_alive else "close",
    }
    if answer.body is not None:
        headers["content-type"] = answer.content_type
        headers["content-length"] = str(len(answer.body))
    if not early:
        headers.update(_CORS)
        headers["server"] = SERVER
        headers["api-version"] = NEWEST
        headers["request-id"] = request.id
        headers["response-time"] = str(int((time.perf_counter() - request.began) * 1000))
        if answer.body:
            headers["content-md5"] = _md5(answer.body)
    headers.update({name.lower(): value for name, value in answer.headers.items()})
    await send(
        {
            "type": f"{kind}.start",
            "status": answer.status,
            "headers": [(k.encode("latin-1"), v.encode("latin-1")) for k, v in headers.items()],
        }
    )
    body = b"" if request.method == "HEAD" else answer.body or b""
    await send({"type": f"{kind}.body", "body": body})


def _cut(scope: Scope) -> None:
    transport = scope.get(TRANSPORT)
    if transport is None:
        raise RuntimeError("this server does not show its transport, so it cannot be cut")
    transport.abort()


__all__ = ["JSON", "SERVER", "TRANSPORT", "CutConnection", "Dispatcher"]
