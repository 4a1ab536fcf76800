"""Which signatures count: the embedded CloudAPI beside npm's http-signature, request by request.

Both are sent the same bytes.
"""

from __future__ import annotations

import base64
import http.client
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, padding, rsa

from embedded.clients.http_signature import sign, verifier
from embedded.clients.install import Clients
from embedded.served import Served
from localdc.api.engine.records_only import RecordsCompute
from localdc.api.http.app import create_app
from localdc.api.routes import ROUTES
from localdc.api.settings import AccountKey, DataCenterSettings

PATH = "/acme/machines?limit=1"
KEY_ID = "/acme/keys/rsa"
TARGET = "(request-target)"
FAR = 100_000
MAKERS: dict[str, Callable[[], Any]] = {
    "rsa": lambda: rsa.generate_private_key(65537, 2048),
    "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "p521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
    "dsa": lambda: dsa.generate_private_key(1024),
}
ALGORITHMS = [
    *(("rsa", f"rsa-sha{size}") for size in (1, 256, 512)),
    *((kind, f"ecdsa-sha{size}") for kind in ("p256", "p384", "p521") for size in (256, 512)),
    *(("ed25519", "ed25519-sha512"), ("dsa", "dsa-sha1"), ("dsa", "dsa-sha256")),
]


@dataclass(frozen=True)
class Sent:
    """A request: header lines in the order in which they go out."""

    headers: Sequence[tuple[str, str]]
    method: str = "GET"
    path: str = PATH

    def status(self, url: str) -> int:
        connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=20)
        connection.putrequest(self.method, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in [("Host", "cloudapi.example"), *self.headers]:
            connection.putheader(name, value.encode("latin-1"))
        connection.endheaders()
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer.status


@dataclass(frozen=True)
class Judges:
    """The two servers, and the keys that both know."""

    ours: str
    theirs: str
    keys: dict[str, Any]

    def agree(self, sent: Sent) -> bool:
        """Whether both accept a request, or both refuse it; then what they say of it."""
        ours, theirs = sent.status(self.ours), sent.status(self.theirs)
        assert {ours, theirs} <= {200, 400, 401}
        # 0.9 is tried after a 400, finds something to verify now and then, and it fails
        assert (ours == 200) == (theirs == 200), f"embedded {ours}, http-signature {theirs}: {sent}"
        return ours == 200


@pytest.fixture(scope="module")
def judges(clients: Clients, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judges]:
    keys = {kind: make() for kind, make in MAKERS.items()}
    lines = {
        kind: key.public_key()
        .public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
        .decode()
        for kind, key in keys.items()
    }
    settings = DataCenterSettings(
        account="acme",
        keys=tuple(AccountKey(kind, line) for kind, line in lines.items()),
        throttle=None,
    )
    state = tmp_path_factory.mktemp("signatures") / "state.db"
    served = Served(create_app(settings, Path(state), RecordsCompute(), ROUTES))
    try:
        with verifier(clients, {f"/acme/keys/{kind}": line for kind, line in lines.items()}) as url:
            yield Judges(served.url, url, keys)
    finally:
        served.stop()


def pem(key: Any) -> str:
    form = serialization.PrivateFormat.PKCS8
    return str(
        key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()
    )


@pytest.mark.parametrize("names", [None, [TARGET, "date"], ["host", "x-date", "date"]])
@pytest.mark.parametrize(("kind", "algorithm"), ALGORITHMS)
def test_what_http_signature_signs(
    judges: Judges, clients: Clients, kind: str, algorithm: str, names: list[str] | None
) -> None:
    options = {
        "key": pem(judges.keys[kind]),
        "keyId": f"/acme/keys/{kind}",
        "algorithm": algorithm,
        **({"headers": names} if names else {}),
    }
    headers = {"Host": "cloudapi.example"}
    if names and "x-date" in names:
        headers["X-Date"] = formatdate(usegmt=True)
    wanted = {"method": "GET", "path": PATH, "headers": headers, "options": options}
    (signed,) = sign(clients, [wanted])
    sent = Sent([(name, value) for name, value in signed.items() if name != "Host"])
    assert judges.agree(sent)
    # the same signature under another key, and with another path
    other = "p256" if kind != "p256" else "rsa"
    authorization = signed["Authorization"].replace(f"keys/{kind}", f"keys/{other}")
    forged = [(n, v) for n, v in sent.headers if n != "Authorization"]
    assert not judges.agree(Sent([*forged, ("Authorization", authorization)]))
    assert judges.agree(replace(sent, path="/acme/keys")) == (TARGET not in (names or ()))


@pytest.mark.parametrize(
    ("names", "expires_in", "accepted"),
    [
        (["(created)", "date"], None, True),
        (["(expires)", "date"], None, True),
        (["(created)", "(expires)", TARGET, "date"], 600, True),
        (["(expires)", "date"], -250, True),
        (["(expires)", "date"], -400, False),
        (["(created)", "(expires)"], None, False),
        (["(keyid)", "(algorithm)", "(opaque)", "date"], None, True),
    ],
)
def test_what_newer_drafts_sign(
    judges: Judges,
    clients: Clients,
    names: list[str],
    expires_in: int | None,
    accepted: bool,
) -> None:
    options: dict[str, Any] = {"key": pem(judges.keys["ed25519"]), "keyId": "/acme/keys/ed25519"}
    options |= {"headers": names, "algorithm": "ed25519-sha512"}
    if "(opaque)" in names:
        options["opaque"] = "in all letters ="
    if expires_in is not None:
        options["expiresIn"] = expires_in
    wanted = {"method": "GET", "path": PATH, "headers": {}, "options": options}
    (signed,) = sign(clients, [wanted])
    assert judges.agree(Sent(list(signed.items()))) == accepted


def date(offset: float = 0) -> str:
    return formatdate(time.time() + offset, usegmt=True)


def made(key: Any, text: bytes) -> str:
    return base64.b64encode(key.sign(text, padding.PKCS1v15(), hashes.SHA256())).decode()


def written(
    judges: Judges,
    names: Sequence[str] | None,
    headers: Sequence[tuple[str, str]] | None = None,
    parameters: str = "",
    end: str = "",
    lines: Sequence[str] = (),
) -> Sent:
    """A request signed here, by the book, whatever then stands in it.

    parameters, end: before the signature's parameter and after it; lines: what is signed of that.
    """
    headers = [("Date", date())] if headers is None else headers
    known = {name.lower(): value for name, value in reversed(headers)}
    known["host"] = "cloudapi.example"
    special = {line.partition(":")[0]: line for line in lines}
    special[TARGET] = f"{TARGET}: get {PATH}"
    special["request-line"] = f"GET {PATH} HTTP/1.1"
    signed = [special.get(n) or f"{n}: {known.get(n, '')}" for n in names or ["date"]]
    signature = made(judges.keys["rsa"], "\n".join(signed).encode())
    listed = f'headers="{" ".join(names)}",' if names is not None else ""
    text = (
        f'Signature keyId="{KEY_ID}",algorithm="rsa-sha256",{listed}{parameters}'
        f'signature="{signature}"{end}'
    )
    return Sent([*headers, ("Authorization", text)])


FRESH, STALE = 0, -FAR
COMBINATIONS = [
    (age, x_age, names)
    for age in (None, FRESH, STALE)
    for x_age in (None, FRESH, STALE)
    for names in (
        *(None, ["date"], ["x-date"], ["date", "x-date"], [TARGET, "date"], [TARGET, "x-date"]),
        *([TARGET], ["host"], ["request-line", "date"], ["request-line", "x-date"]),
    )
]


@pytest.mark.parametrize(("age", "x_age", "names"), COMBINATIONS)
def test_dates(judges: Judges, age: int | None, x_age: int | None, names: list[str] | None) -> None:
    """Each combination of Date and X-Date, fresh, stale or missing, signed or not."""
    headers = [] if age is None else [("Date", date(age))]
    headers += [] if x_age is None else [("X-Date", date(x_age))]
    counts = "date" if x_age is None else "x-date"
    sent = written(judges, names if names else [counts], headers)
    if names is None:
        sent = replace(
            sent,
            headers=[(n, v.replace(f'headers="{counts}",', "")) for n, v in sent.headers],
        )
    present = {name.lower() for name, _ in headers}
    asked = set(names or [counts]) - {TARGET, "host", "request-line"}
    fine = counts in asked and asked <= present and (age if x_age is None else x_age) == FRESH
    if fine and age == STALE:
        # http-signature looks at X-Date alone, and then restify's dateParser at Date
        assert (sent.status(judges.ours), sent.status(judges.theirs)) == (400, 200)
        return
    assert judges.agree(sent) == fine


def test_a_fresh_date_that_is_not_signed_renews_no_stale_one(judges: Judges) -> None:
    """Who has read a request cannot send it again with an X-Date of his own."""
    old = written(judges, [TARGET, "date"])
    assert judges.agree(old)
    again = Sent([*old.headers, ("X-Date", date())])
    assert not judges.agree(again)
    stale = written(judges, [TARGET, "date"], [("Date", date(STALE))])
    assert not judges.agree(stale)
    assert not judges.agree(Sent([*stale.headers, ("X-Date", date())]))


def seconds(offset: float) -> str:
    return str(int(time.time() + offset))


@pytest.mark.parametrize(
    ("parameter", "value", "accepted"),
    [
        ("expires", "1", False),
        ("expires", "0", True),  # no time at all, to JavaScript
        ("expires", '"1"', False),
        ("expires", '""', True),
        ("expires", '"soon"', True),
        ("expires", '"0x10"', False),
        ("expires", '" 1e3 "', False),
        ("expires", "9" * 30, True),
        ("expires", "9" * 400, True),
        ("expires", '"-Infinity"', False),
        ("expires", "-1", False),
        ("expires", "1.5", False),
        ("expires", lambda: seconds(-290), True),
        ("expires", lambda: seconds(-310), False),
        ("expires", lambda: seconds(60), True),
        ("created", "1", True),
        ("created", '"1e99"', False),
        ("created", '"Infinity"', False),
        ("created", '"never"', True),
        ("created", "9" * 30, False),
        ("created", lambda: seconds(290), True),
        ("created", lambda: seconds(310), False),
        ("created", lambda: f'"{seconds(310)}"', False),
        ("Expires", "1", True),
        ("EXPIRES", '"1"', True),
        ("opaque", '"anything"', True),
    ],
)
@pytest.mark.parametrize("signed", [True, False])
def test_times_in_parameters(
    judges: Judges,
    parameter: str,
    value: str | Callable[[], str],
    accepted: bool,
    signed: bool,
) -> None:
    """They count whether they are signed or not, and as JavaScript reads them."""
    text = value if isinstance(value, str) else value()
    name = f"({parameter})"
    if signed and name not in ("(created)", "(expires)"):
        # only what is written in small letters has a line of its own
        name, accepted = name.lower(), False
        if parameter == "opaque":
            accepted = True
    line = text.strip('"') if text.startswith('"') else javascript(text)
    names = ["date", name] if signed else ["date"]
    sent = written(judges, names, parameters=f"{parameter}={text},", lines=[f"{name}: {line}"])
    assert judges.agree(sent) == accepted


def javascript(number: str) -> str:
    return {30: "1e+30", 400: "Infinity"}.get(len(number), number)


@pytest.mark.parametrize("name", ["(created)", "(expires)"])
@pytest.mark.parametrize("where", ["nowhere", "at the end", "at the end, with a comma"])
def test_times_that_are_not_given(judges: Judges, name: str, where: str) -> None:
    """A line `(created): undefined` is what http-signature verifies then."""
    number = seconds(0)
    end = {"nowhere": "", "at the end": f",{name.strip('()')}={number}"}.get(
        where, f",{name.strip('()')}={number},"
    )
    said = number if end.endswith(",") else "undefined"
    assert judges.agree(written(judges, ["date", name], end=end, lines=[f"{name}: {said}"]))
    other = "undefined" if said == number else number
    assert not judges.agree(written(judges, ["date", name], end=end, lines=[f"{name}: {other}"]))


ODD = {
    "a name in capitals": lambda text: text.replace("keyId", "keyid"),
    "a space after a comma": lambda text: text.replace(",", ", "),
    "no quotes": lambda text: text.replace('"rsa-sha256"', "rsa-sha256"),
    "a comma at the end": lambda text: text + ",",
    "a name at the end": lambda text: text + ",and",
    "a name and = at the end": lambda text: text + ",and=",
    "a value that does not end": lambda text: text + ',and="more',
    "a semicolon": lambda text: text.replace(",", ";"),
    "two commas": lambda text: text.replace(",", ",,", 1),
    "something after a quote": lambda text: text + "x",
    "two spaces": lambda text: text.replace(" ", "  ", 1),
    "two spaces between names": lambda text: text.replace('target) date"', 'target)  date"'),
    "names in capitals": lambda text: text.replace('target) date"', 'target) DATE"'),
    "a parameter twice": lambda text: text.replace("keyId", f'keyId="{KEY_ID}",keyId'),
    "two keys": lambda text: text.replace("keyId", 'keyId="/acme/keys/p256",keyId'),
    "the other key last": lambda text: text + ',keyId="/acme/keys/p256"',
    "a parameter nobody knows": lambda text: text.replace("keyId", 'what="ever",keyId'),
    "a number nobody knows": lambda text: text.replace("keyId", "what=5,keyId"),
    "an algorithm in capitals": lambda text: text.replace("rsa-sha256", "RSA-SHA256"),
    "another hash": lambda text: text.replace("rsa-sha256", "rsa-sha512"),
    # on CloudAPI's list, and unknown to what it verifies with
    "SHA-384": lambda text: text.replace("rsa-sha256", "rsa-sha384"),
    "another kind": lambda text: text.replace("rsa-sha256", "ecdsa-sha256"),
    "hmac": lambda text: text.replace("rsa-sha256", "hmac-sha256"),
    "hs2019": lambda text: text.replace("rsa-sha256", "hs2019"),
    "no algorithm": lambda text: text.replace('algorithm="rsa-sha256",', ""),
    "an empty algorithm": lambda text: text.replace("rsa-sha256", ""),
    "a number for an algorithm": lambda text: text.replace('"rsa-sha256"', "256"),
    "a number for a key": lambda text: text.replace(f'"{KEY_ID}"', "1"),
    "a number for names": lambda text: text.replace('headers="(request-target) date"', "headers=5"),
    "the scheme alone": lambda text: "Signature",
    "a scheme in small letters": lambda text: text.replace("Signature", "signature"),
    "no signature": lambda text: text.partition(",signature")[0],
    "an empty signature": lambda text: text.partition(",signature")[0] + ',signature=""',
    "a signature that is not base64": lambda text: text.replace('signature="', 'signature="%%'),
    "half a signature": lambda text: text[:-180] + '"',
    "no padding": lambda text: text.replace('=="', '"'),
    "base64 for URLs": lambda text: (
        text.partition("signature=")[0]
        + "signature="
        + text.partition("signature=")[2].translate(str.maketrans("+/", "-_"))
    ),
    "blanks in base64": lambda text: text[:-20] + "  " + text[-20:],
    "more after the padding": lambda text: text[:-1] + 'AAAA"',
}  # fmt: skip
FINE = {
    *("a comma at the end", "a name at the end", "a name and = at the end"),
    *("a value that does not end", "names in capitals", "a parameter twice", "two keys"),
    *("a parameter nobody knows", "a number nobody knows", "an algorithm in capitals"),
    *("a signature that is not base64", "no padding", "base64 for URLs", "blanks in base64"),
    "more after the padding",
}


@pytest.mark.parametrize("how", ODD)
def test_headers_of_odd_forms(judges: Judges, how: str) -> None:
    sent = written(judges, [TARGET, "date"])
    *others, (name, text) = sent.headers
    changed = ODD[how](text)
    assert changed != text
    assert judges.agree(Sent([*others, (name, changed)])) == (how in FINE)


@pytest.mark.parametrize(
    ("name", "values", "said", "accepted"),
    [
        ("x-thing", ["a", "b"], "a, b", True),
        ("x-thing", ["a", "b"], "b", False),
        ("x-thing", ["a", "b"], "a", False),
        ("user-agent", ["a", "b"], "a", True),
        ("user-agent", ["a", "b"], "b", False),
        ("x-thing", [""], "", True),
        ("x-thing", [], "", False),
        ("x-thing", ["caf\xe9"], "caf\xe9", True),
    ],
)
def test_headers_that_are_there_twice(
    judges: Judges, name: str, values: list[str], said: str, accepted: bool
) -> None:
    headers = [("Date", date()), *((name, value) for value in values)]
    sent = written(judges, ["date", name], headers, lines=[f"{name}: {said}"])
    assert judges.agree(sent) == accepted


@pytest.mark.parametrize(
    ("text", "accepted"),
    [
        (lambda: date().replace("GMT", "UTC"), True),
        (lambda: date().replace("GMT", "+0000"), True),
        (lambda: date().partition(", ")[2], True),
        (lambda: date(-FAR).replace("GMT", "UTC"), False),
        (lambda: datetime.now(UTC).isoformat(), True),
        (lambda: datetime.fromtimestamp(time.time() - FAR, UTC).isoformat(), False),
        (lambda: f"{date()}, {date()}", True),
        (lambda: date(290), True),
        (lambda: date(-290), True),
        (lambda: date(310), False),
        (lambda: date(-310), False),
    ],
)
def test_how_a_date_is_written(judges: Judges, text: Callable[[], str], accepted: bool) -> None:
    assert judges.agree(written(judges, ["date"], [("Date", text())])) == accepted


def test_a_date_that_nobody_can_read_is_refused(judges: Judges) -> None:
    """The one difference: http-signature takes it for one of this moment, for ever."""
    sent = written(judges, ["date"], [("Date", "yesterday")])
    assert (sent.status(judges.ours), sent.status(judges.theirs)) == (400, 200)
