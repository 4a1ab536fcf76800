"""A data center to be killed, and clients that remember what was acknowledged."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import requests

from embedded.free_ports import free_block

from .harness import BASE64
from .signer import Signer


class Victim:
    """The data center process, killed and started again on the same state."""

    def __init__(self, directory, key):
        self.store = directory / "dc.db"
        self.key_file = directory / "key.pub"
        self.key_file.write_text(key.line)
        self.port = free_block(1)
        self.url = f"http://127.0.0.1:{self.port}"
        self.signer = Signer(key)
        self.log = directory / "log"

    def start(self, provision_seconds):
        command = [
            sys.executable,
            str(Path(__file__).with_name("daemon.py")),
            str(self.port),
            str(self.store),
            str(self.key_file),
            str(provision_seconds),
        ]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stderr=log)
        # against a start that hangs; a busy machine needs a while for one that does not
        deadline = time.monotonic() + 120
        while True:
            try:
                return requests.get(f"{self.url}/--ping", timeout=5).raise_for_status()
            except requests.ConnectionError:
                assert self.process.poll() is None, self.log.read_text()
                assert time.monotonic() < deadline, self.log.read_text()
                time.sleep(0.02)

    def kill(self):
        self.process.kill()
        self.process.wait()


class Client(threading.Thread):
    """Creates machines, tags and deletes some, and remembers what was acknowledged."""

    def __init__(self, victim, names, dice):
        super().__init__()
        self.victim, self.names, self.dice = victim, names, dice
        self.created, self.tagged, self.deleted, self.asked = {}, {}, set(), set()
        self.nics, self.snapshots, self.rules, self.volumes = set(), set(), {}, {}
        self.error = None

    def run(self):
        try:
            self.work()
        except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
            return  # the data center died
        except Exception as error:
            self.error = error

    def work(self):
        session = requests.Session()
        session.auth = self.victim.signer
        base = f"{self.victim.url}/my/machines"
        for name in self.names:
            body = {"name": name, "image": BASE64, "package": "sample-512M"}
            answer = session.post(base, json=body, timeout=30)
            assert answer.status_code == 201, answer.text
            uuid = answer.json()["id"]
            self.created[name] = uuid
            choice = self.dice.random()
            if choice < 0.4:
                tag = str(self.dice.random())
                answer = session.post(f"{base}/{uuid}/tags", json={"t": tag}, timeout=30)
                assert answer.status_code == 200, answer.text
                self.tagged[uuid] = tag
            elif choice < 0.6:
                self.asked.add(uuid)
                answer = session.delete(f"{base}/{uuid}", timeout=30)
                if answer.status_code == 204:
                    self.deleted.add(uuid)
                else:
                    assert answer.json()["code"] == "UnallocatedVM"
                    self.asked.discard(uuid)
            else:
                self.extend(session, name, uuid)

    def extend(self, session, name, uuid):
        """Something that is not the machine itself; what is acknowledged must stay."""
        url = self.victim.url
        kind = self.dice.choice(["nic", "snapshot", "rule", "volume"])
        if kind == "rule":
            rule = f"FROM any TO vm {uuid} ALLOW tcp PORT 80"
            answer = session.post(f"{url}/my/fwrules", json={"rule": rule}, timeout=30)
            assert answer.status_code == 201, answer.text
            self.rules[answer.json()["id"]] = rule
        elif kind == "volume":
            body = {"name": name, "type": "tritonnfs"}
            answer = session.post(f"{url}/my/volumes", json=body, timeout=30)
            assert answer.status_code == 201, answer.text
            self.volumes[name] = answer.json()["id"]
        else:
            body = {"network": self.victim.fabric} if kind == "nic" else {"name": "s"}
            answer = session.post(f"{url}/my/machines/{uuid}/{kind}s", json=body, timeout=30)
            if answer.status_code == 201:
                (self.nics if kind == "nic" else self.snapshots).add(uuid)
            else:
                assert answer.json()["code"] == "UnallocatedVM", answer.text
