"""The change feed."""

import base64
import json
import os
import socket

import requests

from .signer import Key, Signer


class Socket:
    """A websocket client, no more than the test needs."""

    def __init__(self, dc, signer=None):
        url = f"{dc.url}/my/changefeed"
        signed = (signer or Signer(dc.key))(requests.Request("GET", url).prepare()).headers
        lines = [f"{name}: {value}" for name, value in signed.items()]
        lines += ["Host: localhost", "Connection: Upgrade", "Upgrade: websocket"]
        key = base64.b64encode(os.urandom(16)).decode()
        lines += [f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13"]
        self.socket = socket.create_connection(("127.0.0.1", dc.port), timeout=5)
        self.socket.sendall(
            ("GET /my/changefeed HTTP/1.1\r\n" + "\r\n".join(lines) + "\r\n\r\n").encode()
        )
        self.file = self.socket.makefile("rb")
        self.status = int(self.file.readline().split()[1])
        while self.file.readline().strip():
            pass

    def send(self, value):
        data = json.dumps(value).encode()
        assert len(data) < 126
        self.socket.sendall(bytes([0x81, 0x80 | len(data), 0, 0, 0, 0]) + data)

    def receive(self):
        head = self.file.read(2)
        length = head[1]
        if length == 126:
            length = int.from_bytes(self.file.read(2), "big")
        return head[0] & 15, self.file.read(length)


def test_change_feed(dc):
    uuid = dc.create()
    feed = Socket(dc)
    assert feed.status == 101
    feed.send({"resource": "vm", "subResources": ["tags", "state"], "vms": [uuid]})
    dc.create("other")
    dc.post(f"/my/machines/{uuid}/tags", json={"a": "b"})
    kind, text = feed.receive()
    news = json.loads(text)
    assert kind == 1 and news["changedResourceId"] == uuid
    assert news["changeKind"] == {"resource": "vm", "subResources": ["tags"]}
    assert news["resourceObject"]["tags"] == {"a": "b"} and news["published"].isdigit()
    dc.act(uuid, "stop")
    assert [json.loads(feed.receive()[1])["resourceState"] for _ in "12"] == ["stopping", "stopped"]
    for wanted in (["weather"], [["state"]], [], "state"):
        bad = Socket(dc)
        bad.send({"resource": "vm", "subResources": wanted})
        assert bad.receive()[0] == 8
    assert Socket(dc, Signer(Key("rsa"))).status == 401
