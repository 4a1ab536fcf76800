"""Headers, versions, parameters and early errors."""

import base64
import hashlib
import re
import socket

import pytest
import requests

from .harness import BASE64, error


def test_ping_needs_no_signature(shared):
    answer = requests.get(f"{shared.url}/--ping", timeout=5)
    assert answer.json()["ping"] == "pong"
    assert answer.json()["cloudapi"]["versions"][0] == "9.0.0"
    assert answer.headers["Triton-Datacenter-Name"] == "localdc"


def test_headers_of_an_answer(shared):
    answer = shared.get("/my/packages")
    headers = answer.headers
    assert headers["Content-Type"] == "application/json"
    assert headers["Server"] == "cloudapi/9.20.0"
    assert headers["Api-Version"] == "9.0.0"
    assert re.fullmatch(r"[0-9a-f-]{36}", headers["Request-Id"])
    assert headers["Response-Time"].isdigit()
    assert headers["Date"].endswith(" GMT")
    assert headers["Access-Control-Allow-Origin"] == "*"
    assert headers["Connection"].lower() == "keep-alive"
    assert int(headers["Content-Length"]) == len(answer.content)
    digest = base64.b64encode(hashlib.md5(answer.content).digest()).decode()
    assert headers["Content-MD5"] == digest


def test_errors_after_the_body_have_all_headers_and_early_ones_do_not(shared):
    late = shared.get("/my/packages/none")
    assert late.status_code == 404
    assert "Request-Id" in late.headers and "Content-MD5" in late.headers
    early = shared.get("/my/nowhere/at/all")
    assert error(early) == (404, "ResourceNotFound", "/my/nowhere/at/all does not exist")
    assert "Server" not in early.headers and "Request-Id" not in early.headers


def test_unknown_route_comes_before_authentication(shared):
    assert requests.get(f"{shared.url}/my/nowhere/at/all", timeout=5).status_code == 404


def test_trailing_slash_is_forgiven(dc):
    assert dc.get("/my/").json()["login"] == "acme"
    assert dc.get("/my/machines/").json() == []


def test_method_not_allowed(shared):
    answer = shared.call("PATCH", "/my/keys")
    assert error(answer)[:2] == (405, "MethodNotAllowedError")
    assert answer.headers["Allow"] == "GET, HEAD, POST, PUT"
    assert shared.call("OPTIONS", "/my/keys").status_code == 405


def test_head_is_get_without_a_body(dc):
    dc.create()
    answer = dc.call("HEAD", "/my/machines")
    assert answer.status_code == 200
    assert answer.headers["x-resource-count"] == "1"
    assert answer.content == b""
    assert int(answer.headers["Content-Length"]) > 100


@pytest.mark.parametrize(
    "wanted, kind",
    [
        ("~9||~8", "zone-dataset"),
        ("8", "zone-dataset"),
        ("*", "zone-dataset"),
        ("~7.2", "smartmachine"),
        ("7.0", "smartmachine"),
        ("^7", "smartmachine"),
        (">=7 <8", "smartmachine"),
        ("~8||~7", "zone-dataset"),
    ],
)
def test_version_ranges(shared, wanted, kind):
    answer = shared.get(f"/my/images/{BASE64}", headers={"Accept-Version": wanted})
    assert answer.json()["type"] == kind
    assert answer.headers["Api-Version"] == "9.0.0"


def test_old_versions_see_less(dc):
    uuid = dc.create()
    old = {"X-Api-Version": "7.0"}
    assert "networks" not in dc.get(f"/my/machines/{uuid}", headers=old).json()
    assert "networks" not in dc.get("/my/machines", headers=old).json()[0]
    assert "owner" not in dc.get(f"/my/images/{BASE64}", headers=old).json()
    assert len(dc.get("/my/machines", headers={"Api-Version": "6.5"}).json()[0]["networks"]) == 2


@pytest.mark.parametrize("wanted", ["~6.5", "10", "<7", "nonsense", "8.junk"])
def test_unsupported_version(shared, wanted):
    answer = shared.get("/my/machines", headers={"Accept-Version": wanted})
    message = f"{wanted} is not supported by GET /my/machines"
    assert error(answer) == (400, "InvalidVersion", message)


def test_accept(dc):
    uuid = dc.create(**{"tag.role": "engine"})
    path = f"/my/machines/{uuid}/tags/role"
    assert dc.get(path).text == '"engine"'
    text = dc.get(path, headers={"Accept": "text/plain"})
    assert (text.text, text.headers["Content-Type"]) == ("engine", "text/plain")
    assert dc.get(path, headers={"Accept": "application/json, text/plain;q=0.5"}).json()
    refused = dc.get(path, headers={"Accept": "image/png"})
    assert error(refused)[:2] == (406, "NotAcceptableError")


def test_parameters_of_query_json_and_forms(dc):
    query = {"name": "query", "package": "sample-1G", "image": BASE64}
    assert dc.post("/my/machines", params=query).json()["name"] == "query"
    body = dc.post("/my/machines", params=query, json={"name": "body"})
    assert body.json()["name"] == "body" and body.json()["memory"] == 1024
    form = dc.post("/my/machines", data={**query, "name": "form", "tag.a": "1"})
    assert form.json()["tags"] == {"a": "1"}
    multipart = dc.post("/my/machines", params=query, files={"name": (None, "parts")})
    assert multipart.json()["name"] == "parts"


def test_empty_json_body_is_fine(dc):
    uuid = dc.create()
    answer = dc.post(
        f"/my/machines/{uuid}?action=stop", headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 202
    assert answer.content == b"" and "Content-Type" not in answer.headers


@pytest.mark.parametrize(
    "body", [b"{", b"[1]", b'{"a": NaN}', b'{"a": "\\ud800"}', b"\xff\xfe", b"[" * 50000]
)
def test_bad_json(shared, body):
    answer = shared.post("/my/keys", data=body, headers={"Content-Type": "application/json"})
    assert error(answer)[:2] == (400, "InvalidContent")
    assert answer.json()["message"].startswith("Invalid JSON: ")


def test_body_limits_and_types(shared):
    answer = shared.post("/my/keys", json={"key": "x" * 100_000})
    assert error(answer)[:2] == (413, "PayloadTooLargeError")
    odd = shared.post("/my/keys", data=b"<a/>", headers={"Content-Type": "application/xml"})
    assert error(odd)[:2] == (415, "UnsupportedMediaType")
    bad = shared.post("/my/keys", json={"key": "x"}, headers={"Content-MD5": "bm90IGl0"})
    assert error(bad)[:2] == (400, "BadDigest")


def test_body_of_a_get_is_ignored(shared):
    answer = shared.get("/my/packages", data=b"{", headers={"Content-Type": "application/json"})
    assert answer.status_code == 200


def test_connection_is_kept_for_the_next_request(shared):
    with socket.create_connection(("127.0.0.1", shared.port)) as conn:
        stream = conn.makefile("rb")
        for _ in range(2):
            conn.sendall(b"GET /--ping HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b"200" in stream.readline()
            length = 0
            while (line := stream.readline()) not in (b"\r\n", b""):
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            stream.read(length)


def test_every_call_without_a_signature_is_refused(shared):
    from localdc.api.routes import ROUTES

    for route in ROUTES:
        if route.access != "account":
            continue
        path = re.sub(r":[a-z]+", "x", route.pattern.replace(":account", "my"))
        answer = requests.request(route.method, shared.url + path, timeout=5)
        assert error(answer)[:2] == (401, "InvalidCredentials"), (route.method, path)


def test_answers_of_a_data_center_without_migrations(shared):
    assert error(shared.get("/my/migrations")) == (
        412,
        "PreconditionFailed",
        "User migration on this VM not allowed",
    )


def test_answers_for_what_there_is_not(dc):
    uuid = dc.create()
    assert error(dc.get(f"/my/machines/{uuid}/vnc"))[:2] == (400, "MachineHasNoVNCError")
    assert error(dc.get(f"/my/machines/{uuid}/disks"))[:2] == (409, "BrandNotSupported")
    assert error(dc.post("/my/images"))[:2] == (501, "NotAvailable")
    assert error(dc.get("/my/changefeed"))[:2] == (400, "UpgradeRequiredError")
