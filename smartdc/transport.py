"""Requests to one CloudAPI: one pool of connections, retries, time-outs, limits.

Nothing else in the package speaks HTTP.
"""

from __future__ import annotations

import email.utils
import io
import json as jsonlib
import random
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter

from . import errors
from .auth import HttpSignature
from .budget import LIMIT, Budget, Trouble
from .errors import APIError, ProtocolError, RequestError, Unreachable, one_line
from .throttle import TokenBucket

JSON = Any
_IDEMPOTENT = frozenset({"GET", "HEAD", "PUT", "DELETE"})
_READING = frozenset({"GET", "HEAD"})
_RETRY_STATUS = frozenset({502, 503, 504})
_FEW = 2
_LOOPBACK = ("127.", "localhost", "::1")
_CHUNK = 65536


class Transport:
    """Thread safe.

    :param base_url: ``http://HOST[:PORT]`` or https, no trailing slash
    :param auth: signs the requests; None sends them unsigned
    :param verify: check TLS certificates; or the path of a CA bundle
    :param timeout: seconds for (connecting, waiting for data, a whole answer) of one request; less
        where ``patience`` ends earlier
    :param patience: seconds that a call may take, with all its repetitions
    :param retries: repetitions after each kind of trouble (throttled, refused, cut); default as
        many as ``patience`` leaves time for
    :param max_body: bytes of an answer
    :param verbose: print each request on stderr, or on the given stream
    :param sleep, clock: how time passes
    :param jitter: spreads the pauses; one with a seed makes them the same again
    """

    def __init__(
        self,
        base_url: str,
        *,
        auth: HttpSignature | None = None,
        verify: bool | str = True,
        headers: Mapping[str, str] | None = None,
        timeout: tuple[float, float, float] = (10.0, 30.0, 300.0),
        patience: float = LIMIT,
        retries: int | None = None,
        bucket: TokenBucket | None = None,
        pool_size: int = 10,
        max_body: int = 64 * 1024 * 1024,
        verbose: bool | IO[str] | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        jitter: random.Random | None = None,
    ) -> None:
        if patience <= 0:
            raise errors.UsageError(f"patience is {patience:g}", hint="give seconds, above 0")
        self.base_url = base_url
        self.auth = auth
        self.timeout, self.retries, self.patience = timeout, retries, patience
        self._sleep, self._clock = sleep, clock
        self._jitter = jitter or random.Random()
        self.bucket = bucket or TokenBucket()
        self.max_body = max_body
        self.verbose = verbose
        self._reached = False
        self.headers = dict(headers or {})
        self._adapter = HTTPAdapter(pool_connections=2, pool_maxsize=pool_size, pool_block=True)
        self._how = self._connection_settings(verify)

    def _connection_settings(self, verify: bool | str) -> dict[str, Any]:
        """Proxies and CA bundle of the environment, read once and not at every request."""
        host = urlsplit(self.base_url).hostname or ""
        found = requests.Session().merge_environment_settings(self.base_url, {}, True, verify, None)
        if host.startswith(_LOOPBACK):
            found["proxies"] = {}
        if verify is not True:
            found["verify"] = verify
        bundle = found["verify"]
        if isinstance(bundle, str) and not Path(bundle).exists():
            raise errors.ConfigError(
                f"there is no CA bundle {bundle}", hint="correct verify or REQUESTS_CA_BUNDLE"
            )
        if verify is False:
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        return dict(found)

    def close(self) -> None:
        """Close the connections; the next request opens one again."""
        self._adapter.close()

    def send(
        self,
        method: str,
        path: str,
        *,
        params: Any = None,
        json: object = None,
        headers: Mapping[str, str] | None = None,
        repeatable: bool | None = None,
    ) -> requests.Response:
        """One request with its repetitions; the answer's body is read.

        :param path: from the root, e.g. ``/my/machines``
        :param repeatable: may be sent twice; default by verb.  A POST is repeated only when
            nothing was done: throttled, refused with 503, or never connected
        :raises APIError: the server answered with an error
        :raises Unreachable: no answer
        :raises ProtocolError: the answer is not one of a CloudAPI
        """
        may_repeat = method in _IDEMPOTENT if repeatable is None else repeatable
        # the wait for the first token is no sign of trouble
        self.bucket.take()
        spent = Budget(self.patience, self._jitter, self._clock)
        lost = False
        while True:
            failure: RequestError
            try:
                response = self._once(method, path, params, json, headers, spent.left)
                if response.status_code < 400:
                    return response
                if method == "DELETE" and lost and response.status_code in (404, 410):
                    # the lost answer was to a DELETE that did its work
                    return response
                failure = self._refusal(response, method, path)
                if self._next_key(failure, response):
                    self.bucket.take()
                    continue
            except Unreachable as error:
                failure, lost = error, lost or error.ambiguous
            self._pause(failure, spent, may_repeat)
            self.bucket.take()
            if spent.over:
                raise _final(failure, spent, may_repeat)

    def _refusal(self, response: requests.Response, method: str, path: str) -> APIError:
        failure = errors.from_response(response, _error_body(response), method=method, path=path)
        failure.retry_after = _retry_after(response)
        if failure.status == 401 and self.auth is None:
            failure.hint = "give a key: key_id and, if need be, secret (SDC_KEY_ID, SDC_KEY_FILE)"
        return failure

    def _next_key(self, failure: APIError, response: requests.Response) -> bool:
        if failure.status != 401 or self.auth is None:
            return False
        return self.auth.refused(response.request.headers.get("Authorization"))

    def _pause(self, error: RequestError, spent: Budget, may_repeat: bool) -> None:
        """Wait before the next attempt; raise ``error`` when there is to be none."""
        trouble = _trouble(error)
        if trouble is None:
            raise _final(error, spent, may_repeat)
        number, limit = spent.count(trouble), self._limit(trouble)
        delay = None
        if (may_repeat or not error.ambiguous) and (limit is None or number <= limit):
            asked = error.retry_after if isinstance(error, APIError) else None
            delay = spent.pause(trouble, asked)
        if delay is None:
            raise _final(error, spent, may_repeat)
        if trouble == "throttled":
            self.bucket.drain()
        self._log(f"  again in {delay:.1f} s: {error.message}")
        self._sleep(delay)

    def _limit(self, trouble: Trouble) -> int | None:
        """The repetitions after this kind of trouble; None for as many as there is time for.

        A server that takes half a minute is not helped by more requests, and an address that never
        answered may be a wrong one.
        """
        if trouble == "timed out" or (trouble == "not connected" and not self._reached):
            return _FEW if self.retries is None else min(self.retries, _FEW)
        return self.retries

    def _once(
        self,
        method: str,
        path: str,
        params: Any,
        json: object,
        headers: Mapping[str, str] | None,
        left: float,
    ) -> requests.Response:
        began = time.monotonic()
        connecting, waiting, whole = (min(seconds, left) for seconds in self.timeout)
        # without requests.Session: half of the time of a call would be spent in it, and its
        # redirects, cookies and .netrc have no place in signed requests
        request = requests.PreparedRequest()
        try:
            request.prepare(
                method=method,
                url=self.base_url + path,
                headers={**self.headers, **(headers or {})},
                data=None if json is None else _encode(json),
                params=params,
                auth=self.auth,
            )
            if json is not None:
                request.headers.setdefault("Content-Type", "application/json")
            response = self._adapter.send(request, timeout=(connecting, waiting), **self._how)
            self._read(response, method, path, began, whole)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise self._broken(error, method, path, waiting) from None
        self._reached = True
        if self.verbose:
            took = (time.monotonic() - began) * 1000
            self._log(
                f"{method} {one_line(response.request.path_url, 300)} -> {response.status_code} "
                f"{len(response.content)} B {took:.0f} ms"
            )
        return response

    def _read(
        self, response: requests.Response, method: str, path: str, began: float, limit: float
    ) -> None:
        """Read the body within the limits of size and time, and give the connection back."""
        parts: list[bytes] = []
        size = 0
        try:
            while True:
                chunk = response.raw.read1(_CHUNK, decode_content=True)
                if not chunk:
                    break
                parts.append(chunk)
                size += len(chunk)
                if size > self.max_body:
                    raise ProtocolError(
                        f"the answer is larger than {self.max_body} bytes",
                        method=method,
                        path=path,
                        hint="if that is right, raise max_body",
                    )
                if time.monotonic() > began + limit:
                    raise errors.TimedOut(
                        f"the answer did not end within {limit:.3g} s",
                        method=method,
                        path=path,
                        ambiguous=method not in _READING,
                    )
        except BaseException:
            response.raw.close()
            raise
        finally:
            response.raw.release_conn()
        # requests reads ``content`` from here: the connection is already somebody else's
        response.raw = io.BytesIO(b"".join(parts))

    def _broken(self, error: Exception, method: str, path: str, waited: float) -> RequestError:
        if isinstance(error, RequestError):
            return error
        where = urlsplit(self.base_url).netloc
        kw: dict[str, Any] = {"method": method, "path": path}
        if isinstance(error, requests.exceptions.SSLError | urllib3.exceptions.SSLError):
            return errors.TLSError(f"{where}: {_reason(error)}", **kw)
        if isinstance(error, requests.exceptions.InvalidURL | requests.exceptions.InvalidSchema):
            return ProtocolError(f"{self.base_url}: {error}", **kw)
        if isinstance(
            error,
            requests.exceptions.ContentDecodingError
            | requests.exceptions.InvalidHeader
            | urllib3.exceptions.DecodeError,
        ):
            return ProtocolError(f"{where} sent an answer that cannot be decoded", **kw)
        if _never_connected(error):
            return errors.NeverConnected(f"cannot connect to {where}: {_reason(error)}", **kw)
        lost = method not in _READING
        if isinstance(error, requests.Timeout | urllib3.exceptions.TimeoutError | TimeoutError):
            return errors.TimedOut(
                f"{where} did not answer within {waited:.3g} s", ambiguous=lost, **kw
            )
        return errors.AnswerLost(
            f"{where} closed the connection: {_reason(error)}", ambiguous=lost, **kw
        )

    def _log(self, text: str) -> None:
        if self.verbose:
            stream = sys.stderr if self.verbose is True else self.verbose
            print(text, file=stream, flush=True)


def _trouble(error: RequestError) -> Trouble | None:
    """What kind of trouble it is, if it may pass."""
    if isinstance(error, errors.Throttled):
        return "throttled"
    if isinstance(error, errors.TLSError):
        return None
    if isinstance(error, errors.TimedOut):
        return "timed out"
    if isinstance(error, errors.NeverConnected):
        return "not connected"
    if isinstance(error, Unreachable):
        return "cut"
    refused = isinstance(error, APIError) and error.status in _RETRY_STATUS
    return "refused" if refused else None


def _final(error: RequestError, spent: Budget, may_repeat: bool) -> RequestError:
    """The error, with what was tried and what to do now."""
    if error.ambiguous and not may_repeat:
        error.hint = errors.LOOK_FIRST
    asked = error.retry_after if isinstance(error, APIError) else None
    later = f"the data center asks to wait {asked:.0f} s" if asked else ""
    error.hint = "; ".join(part for part in (spent.summary(), later, error.hint) if part)
    return error


def decode(response: requests.Response, expect: type | None = None) -> JSON:
    """The JSON of an answer, None for an empty one.

    :param expect: ``dict`` or ``list``; a list must hold objects
    :raises ProtocolError: not JSON, or another type
    """
    request = response.request
    kw: dict[str, Any] = {"method": request.method or "", "path": request.path_url}
    body = response.content
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if 300 <= response.status_code < 400 and expect is not None:
        target = one_line(response.headers.get("Location", ""), 120)
        raise ProtocolError(f"redirected to {target!r}", **kw)
    if not body and expect is None:
        return None
    if kind != "application/json":
        raise ProtocolError(f"answered {one_line(kind, 60) or 'no content'} instead of JSON", **kw)
    try:
        data = jsonlib.loads(body)
    except (ValueError, RecursionError):
        raise ProtocolError("answered something that is not JSON", **kw) from None
    if b"\\ud" in body.lower() and not _is_text(data):
        raise ProtocolError("answered text that is not Unicode", **kw)
    if expect is not None and not isinstance(data, expect):
        raise ProtocolError(f"answered {_kind(data)} instead of {_kind(expect())}", **kw)
    if expect is list and not all(isinstance(item, dict) for item in data):
        raise ProtocolError("answered a list of something else than objects", **kw)
    return data


def _is_text(data: JSON) -> bool:
    """Whether all text in it can be written down: JSON may escape halves of characters."""
    try:
        jsonlib.dumps(data, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _encode(data: object) -> bytes:
    try:
        return jsonlib.dumps(data, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise errors.UsageError(
            f"cannot be sent as JSON: {error}", hint="use text, numbers, booleans, lists and dicts"
        ) from None


def _kind(value: object) -> str:
    names: dict[type, str] = {dict: "an object", list: "a list", str: "a string"}
    return names.get(type(value), "a number or null")


def _error_body(response: requests.Response) -> object:
    try:
        return decode(response)
    except ProtocolError:
        return None


def _retry_after(response: requests.Response) -> float | None:
    """Seconds to wait, from Retry-After as a number or an HTTP date (RFC 9110, 10.2.3)."""
    text = response.headers.get("Retry-After", "").strip()
    if not text:
        return None
    try:
        seconds = float(text)
        return seconds if 0 <= seconds < 1e9 else None
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except (TypeError, ValueError, OverflowError):
        return None


def _chain(error: BaseException) -> list[BaseException]:
    """An exception and what it wraps: requests and urllib3 nest several of them."""
    found: list[BaseException] = []
    todo: list[object] = [error]
    while todo and len(found) < 20:
        item = todo.pop()
        if isinstance(item, BaseException) and item not in found:
            found.append(item)
            todo += [getattr(item, "reason", None), item.__cause__, *item.args]
    return found


def _never_connected(error: BaseException) -> bool:
    kinds = (
        requests.ConnectTimeout,
        urllib3.exceptions.NewConnectionError,
        urllib3.exceptions.ConnectTimeoutError,
    )
    return any(isinstance(item, kinds) for item in _chain(error))


def _reason(error: BaseException) -> str:
    """The innermost message: ``Connection refused`` instead of a page of object names."""
    chain = _chain(error)
    for item in chain:
        if isinstance(item, OSError) and item.strerror:
            return one_line(item.strerror, 160)
    deepest = [item for item in chain if item.args and isinstance(item.args[-1], str)]
    return one_line(deepest[-1].args[-1] if deepest else error, 160)
