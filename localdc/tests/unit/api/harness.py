"""A data center under test, reached over a real socket."""

from __future__ import annotations

import asyncio

import requests

from embedded.served import Served
from localdc.api.catalogue import images
from localdc.api.engine.records_only import RecordsCompute
from localdc.api.http.app import create_app
from localdc.api.routes import ROUTES
from localdc.api.settings import AccountKey, DataCenterSettings

from .signer import Signer

BASE64 = images()[0].id
ADMIN = "let-me-in"


class Running(Served):
    """A data center with an account."""

    def __init__(self, path, key, compute=None, **settings):
        settings.setdefault("throttle", None)
        settings.setdefault("admin_token", ADMIN)
        settings.setdefault("keys", (AccountKey("first", key.line),))
        self.settings = DataCenterSettings(account="acme", **settings)
        self.compute = compute or RecordsCompute()
        self.key = key
        self.path = path
        self.session = requests.Session()
        self.session.auth = Signer(key)
        self.app = create_app(self.settings, path, self.compute, ROUTES)
        super().__init__(self.app)

    def stop(self):
        self.session.close()
        super().stop()

    def run(self, coroutine):
        """Run a coroutine in the data center's loop."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(20)

    @property
    def engine(self):
        return self.app.state.center.engine

    def settle(self):
        self.run(self.engine.settle())

    def call(self, method, path, **kwargs):
        return self.session.request(method, self.url + path, timeout=20, **kwargs)

    def get(self, path, **kwargs):
        return self.call("GET", path, **kwargs)

    def post(self, path, **kwargs):
        return self.call("POST", path, **kwargs)

    def put(self, path, **kwargs):
        return self.call("PUT", path, **kwargs)

    def delete(self, path, **kwargs):
        return self.call("DELETE", path, **kwargs)

    def create(self, name="web", settle=True, **body):
        body = {"name": name, "image": BASE64, "package": "sample-512M", **body}
        answer = self.post("/my/machines", json=body)
        assert answer.status_code == 201, answer.text
        if settle:
            self.settle()
        return answer.json()["id"]

    def machine(self, uuid):
        return self.get(f"/my/machines/{uuid}").json()

    def audit(self, uuid):
        return self.get(f"/my/machines/{uuid}/audit").json()

    def why(self, uuid):
        """What the operator sees of the last job's end; None = it succeeded."""
        return self.admin("GET", f"machines/{uuid}/jobs").json()[0]["reason"]

    def act(self, uuid, action, **body):
        answer = self.post(f"/my/machines/{uuid}", json={"action": action, **body})
        self.settle()
        return answer

    def admin(self, method, path, **kwargs):
        headers = {"Authorization": f"Bearer {ADMIN}"}
        return requests.request(
            method, f"{self.url}/--admin/{path}", headers=headers, timeout=20, **kwargs
        )

    def fault(self, **body):
        answer = self.admin("POST", "faults", json=body)
        assert answer.status_code == 201, answer.text
        return answer.json()


def error(answer):
    """status, code, message"""
    body = answer.json()
    return answer.status_code, body["code"], body["message"]
