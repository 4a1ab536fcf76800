"""Who may, by which signature."""

import time
from email.utils import formatdate
from urllib.parse import quote

import pytest
import requests

from localdc.api.settings import AccountKey

from .harness import BASE64, error
from .signer import Key, Signer


def get(dc, signer, path="/my/machines?limit=1"):
    return requests.get(dc.url + path, auth=signer, timeout=10)


@pytest.fixture(scope="module")
def keys():
    return {
        kind: Key(kind) for kind in ("rsa", "p256", "p384", "p521", "ed25519", "dsa1024", "dsa2048")
    }


@pytest.fixture
def many(start, keys):
    return start(keys=tuple(AccountKey(kind, key.line) for kind, key in keys.items()))


@pytest.mark.parametrize(
    "kind, algorithm",
    [
        ("rsa", "rsa-sha1"),
        ("rsa", "rsa-sha256"),
        ("rsa", "RSA-SHA512"),
        ("p256", "ecdsa-sha256"),
        ("p521", "ecdsa-sha512"),
        ("ed25519", "ed25519-sha512"),
        ("dsa1024", "dsa-sha1"),
        ("dsa2048", "dsa-sha1"),
        ("dsa2048", "dsa-sha256"),
    ],
)
@pytest.mark.parametrize(
    "signed", ["date", "(request-target) date", "request-line date", "host date"]
)
def test_modern_signatures(many, keys, kind, algorithm, signed):
    signer = Signer(keys[kind], algorithm=algorithm.lower(), signed=signed)
    signer.algorithm = algorithm.lower()
    assert get(many, signer).status_code == 200


def test_algorithm_in_any_case(shared, key):
    class Loud(Signer):
        def __call__(self, request):
            request = super().__call__(request)
            header = request.headers["Authorization"]
            request.headers["Authorization"] = header.replace("rsa-sha256", "RSA-SHA256")
            return request

    assert get(shared, Loud(key)).status_code == 200


@pytest.mark.parametrize("algorithm", ["rsa-sha1", "rsa-sha256", "rsa-sha512"])
def test_old_signatures(shared, key, algorithm):
    assert get(shared, Signer(key, algorithm=algorithm, signed=None)).status_code == 200


@pytest.mark.parametrize("kind", ["dsa1024", "dsa2048"])
def test_old_signatures_of_dsa_keys_are_with_sha1(many, keys, kind):
    assert get(many, Signer(keys[kind], algorithm="dsa-sha1", signed=None)).status_code == 200
    answer = get(many, Signer(keys[kind], algorithm="dsa-sha256", signed=None))
    assert error(answer)[:2] == (400, "InvalidHeader")


def test_dsa_signature_must_be_of_that_key_and_kind(many, keys):
    one, other = keys["dsa1024"], keys["dsa2048"]
    for key, named, algorithm in (
        (other, one, "dsa-sha256"),
        (one, other, "dsa-sha256"),
        (one, keys["rsa"], "dsa-sha1"),
        (keys["rsa"], one, "rsa-sha256"),
    ):
        signer = Signer(key, key_id=f"/acme/keys/{named.md5}", algorithm=algorithm)
        assert error(get(many, signer))[:2] == (401, "InvalidCredentials")


def test_headers_left_out_means_date(shared, key):
    date = formatdate(usegmt=True)
    signature = key.sign("rsa-sha256", f"date: {date}")
    header = (
        f'Signature keyId="/acme/keys/{key.md5}",algorithm="rsa-sha256",signature="{signature}"'
    )
    answer = requests.get(
        f"{shared.url}/my", headers={"Date": date, "Authorization": header}, timeout=5
    )
    assert answer.json()["login"] == "acme"


def test_key_ids(shared, key):
    uuid = shared.get("/my").json()["id"]
    for key_id in ("first", key.md5, f"MD5:{key.md5}", key.sha256):
        assert get(shared, Signer(key, key_id=f"/acme/keys/{key_id}")).status_code == 200
    assert get(shared, Signer(key, key_id=f"/{uuid}/keys/first")).status_code == 200


def test_go_writes_utc(shared, key):
    date = time.strftime("%a, %d %b %Y %H:%M:%S UTC", time.gmtime())
    assert get(shared, Signer(key, date=date)).status_code == 200


@pytest.mark.parametrize(
    "key_id", ["/nobody/keys/first", "/acme/keys/other", "/my/keys/first", "/acme/users/u/keys/k"]
)
def test_unknown_signer(shared, key, key_id):
    assert error(get(shared, Signer(key, key_id=key_id))) == (
        401,
        "InvalidCredentials",
        "Invalid authorization credentials supplied",
    )


@pytest.mark.parametrize("key_id", ["first", "/acme/first", "/acme/keys/", "//keys/x"])
def test_bad_shape_of_key_id(shared, key, key_id):
    answer = get(shared, Signer(key, key_id=key_id))
    message = f"Invalid KeyId {key_id} in authorization header"
    assert error(answer) == (401, "InvalidCredentials", message)


def test_wrong_key_and_forged_signature(shared, key):
    other = Key("ed25519")
    signer = Signer(other, key_id="/acme/keys/first", algorithm="ed25519-sha512")
    assert get(shared, signer).status_code == 401
    stranger = Signer(Key("rsa"), key_id="/acme/keys/first")
    assert get(shared, stranger).status_code == 401


def test_signature_covers_the_path(shared, key):
    prepared = requests.Request(
        "GET", f"{shared.url}/my/keys", auth=Signer(key, signed="(request-target) date")
    ).prepare()
    prepared.url = f"{shared.url}/my/machines"
    assert requests.Session().send(prepared).status_code == 401


def test_no_signature(shared):
    message = "You must make authenticated requests to use CloudAPI"
    for headers in ({}, {"Authorization": "Basic YTpi"}):
        answer = requests.get(f"{shared.url}/my", headers=headers, timeout=5)
        assert error(answer) == (401, "InvalidCredentials", message)


@pytest.mark.parametrize("offset", [-1200, 1200])
def test_clock_skew(shared, key, offset):
    date = formatdate(time.time() + offset, usegmt=True)
    status, code, message = error(get(shared, Signer(key, date=date)))
    assert (status, code) == (400, "InvalidHeader")
    assert message.startswith("Authorization header invalid: clock skew of 1")
    assert message.endswith("s was greater than 300s")
    unsigned = requests.get(f"{shared.url}/my", headers={"Date": date}, timeout=5)
    # restify's dateParser looks for old ones only
    refusal = (400, "RequestExpired") if offset < 0 else (401, "InvalidCredentials")
    assert error(unsigned)[:2] == refusal


@pytest.mark.parametrize(
    "header",
    [
        "Signature",
        'signature keyId="/acme/keys/first",algorithm="rsa-sha256",signature="eA=="',
        'Signature algorithm="rsa-sha256",signature="eA=="',
        'Signature keyId="/acme/keys/first",signature="eA=="',
        'Signature keyId="/acme/keys/first",algorithm="rsa-sha256"',
        'Signature keyId="/acme/keys/first",algorithm="hmac-sha256",signature="eA=="',
        'Signature keyId="/acme/keys/first",algorithm="ecdsa-sha384",signature="eA=="',
        'Signature keyId="/acme/keys/first",algorithm="ecdsa-sha256" eA==',
        "Signature keyId=/acme/keys/first,algorithm=rsa-sha256 eA==",
        'Signature keyId="/acme/keys/first",algorithm="rsa-sha256",headers="host",signature="eA=="',
        'Signature keyId="/acme/keys/first",algorithm="rsa-sha256",headers="nope date",'
        'signature="eA=="',
    ],
)
def test_unreadable_header(shared, header):
    headers = {"Authorization": header, "Date": formatdate(usegmt=True)}
    answer = requests.get(f"{shared.url}/my", headers=headers, timeout=5)
    assert error(answer)[:2] == (400, "InvalidHeader")
    assert "Request-Id" not in answer.headers


def test_date_must_be_there_and_readable(shared, key):
    assert error(get(shared, Signer(key, date="yesterday")))[:2] == (400, "InvalidHeader")
    header = Signer(key)(requests.Request("GET", f"{shared.url}/my").prepare()).headers[
        "Authorization"
    ]
    answer = requests.get(f"{shared.url}/my", headers={"Authorization": header}, timeout=5)
    assert error(answer)[:2] == (400, "InvalidHeader")


def test_other_accounts_are_closed(shared):
    assert error(shared.get("/somebody/machines")) == (
        403,
        "NotAuthorized",
        "You do not have permission to access somebody",
    )
    assert shared.get("/acme/machines").status_code == 200


def test_disabled_account(start, tmp_path, key):
    dc, path = start(), "accounts/acme/disabled"
    uuid = dc.create("web")
    other = Key("ed25519")
    dc.admin("POST", "accounts", json={"login": "other", "key": other.line})
    assert dc.admin("GET", path).json() == {"disabled": False}
    assert dc.admin("PUT", path, json={"disabled": True}).json() == {"disabled": True}
    refusal = (403, "NotAuthorized", "Account or user is disabled")
    assert error(dc.get("/my/machines")) == refusal
    assert error(dc.delete(f"/my/machines/{uuid}")) == refusal
    assert error(fetch(dc, presigned(dc, key))) == refusal
    # only who holds the key learns of it, and only this account is concerned
    assert get(dc, Signer(Key("rsa"), key_id="/acme/keys/first")).status_code == 401
    stranger = Signer(other, login="other", algorithm="ed25519-sha512")
    assert get(dc, stranger).status_code == 200
    dc.stop()
    again = start()
    assert error(again.get("/my")) == refusal
    assert again.admin("PUT", path, json={"disabled": False}).json() == {"disabled": False}
    again.settle()
    assert again.machine(uuid)["state"] == "running"


def test_disabling_needs_an_account_and_a_truth(shared):
    for body in ({}, {"disabled": "true"}, {"disabled": None}):
        answer = shared.admin("PUT", "accounts/acme/disabled", json=body)
        assert error(answer) == (409, "InvalidArgument", "disabled must be true or false")
    answer = shared.admin("PUT", "accounts/nobody/disabled", json={"disabled": True})
    assert error(answer) == (404, "ResourceNotFound", "account nobody not found")
    assert shared.get("/my").status_code == 200


def test_there_are_no_roles_to_tag_with(shared):
    before = shared.get("/my/keys").json()
    for path, body in (
        ("/my/machines", {"image": BASE64, "package": "sample-512M"}),
        ("/my/keys", {"key": Key("ed25519").line}),
    ):
        answer = shared.post(path, json=body, headers={"Role-Tag": "ops, dev"})
        status, code, message = error(answer)
        assert (status, code) == (409, "InvalidArgument") and "role ops does not exist" in message
    assert shared.get("/my/machines").json() == []
    assert shared.get("/my/keys").json() == before


def test_as_role_does_not_concern_the_account_itself(shared):
    assert shared.get("/my/machines?as-role=ops").json() == []


def test_throttle(start):
    from localdc.api.settings import Throttle

    dc = start(throttle=Throttle(burst=5, rate=2.0))
    began = time.monotonic()
    served = 0
    while (answer := dc.get("/my/limits")).status_code == 200:
        served += 1
        assert served <= 5 + 2.0 * (time.monotonic() - began)
    assert served >= 5
    assert error(answer)[:2] == (429, "RequestThrottled")
    assert requests.get(f"{dc.url}/--ping", timeout=5).status_code == 200
    time.sleep(0.6)
    assert dc.get("/my/limits").status_code == 200


def presigned(dc, key, path="/acme/machines", method=None, lifetime=60, host=None, **more):
    """Path and query of a URL that its signer may hand to somebody else."""
    given = {
        "algorithm": "rsa-sha256",
        "expires": str(int(time.time()) + lifetime),
        "keyId": f"/acme/keys/{key.md5}",
        **({"method": method} if method else {}),
        **more,
    }
    query = "&".join(f"{k}={quote(v, safe='')}" for k, v in sorted(given.items()))
    text = "\n".join((method or "GET", host or f"127.0.0.1:{dc.port}", path, query))
    signature = quote(key.sign("rsa-sha256", text), safe="")
    return f"{path}?{query}&signature={signature}"


def fetch(dc, target, method="GET"):
    return requests.request(method, dc.url + target, timeout=5)


def test_presigned_urls(shared, key):
    assert fetch(shared, presigned(shared, key)).status_code == 200
    assert fetch(shared, presigned(shared, key, state="running")).json() == []
    both = presigned(shared, key, method="GET,HEAD")
    assert fetch(shared, both, "HEAD").status_code == fetch(shared, both).status_code == 200


def test_presigned_urls_that_open_nothing(shared, key):
    def refused(target, method="GET"):
        return error(fetch(shared, target, method))[:2]

    good = presigned(shared, key)
    assert refused(good + "&limit=1") == (401, "InvalidCredentials")
    assert refused(good.replace("/acme/machines", "/acme/keys")) == (401, "InvalidCredentials")
    assert refused(good, "POST") == (401, "InvalidCredentials")
    assert refused(presigned(shared, Key("rsa"))) == (401, "InvalidCredentials")
    assert refused(presigned(shared, key, host="elsewhere")) == (401, "InvalidCredentials")
    expired = error(fetch(shared, presigned(shared, key, lifetime=-1)))
    assert expired == (401, "InvalidCredentials", "The pre-signed URL has expired")
    assert refused(presigned(shared, key, expires="soon")) == (400, "InvalidHeader")
    assert refused(presigned(shared, key, algorithm="hmac-sha1")) == (400, "InvalidHeader")
