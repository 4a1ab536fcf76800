"""A data center to be killed, and clients that remember what it acknowledged."""

import os
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import requests

from embedded.free_ports import free_block

from .harness import BASE64
from .signer import Key, Signer

SOURCES = Path(__file__).parents[3] / "src"
"""The tree that these tests belong to."""
FIRST, NEXT = "sample-512M", "sample-1G"
RENAMED = "-renamed"


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
        self.networks = []

    def start(self, provision_seconds, commit_delay=0):
        """commit_delay: seconds by which commits come too late, a fault."""
        words = (self.port, self.store, self.key_file, provision_seconds, commit_delay)
        program = Path(__file__).with_name("daemon.py")
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, program, *map(str, words)],
                env={**os.environ, "PYTHONPATH": str(SOURCES)},
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        with self.process.stdout as said:
            source = Path(said.readline().strip())
        assert source == SOURCES / "localdc" / "__init__.py", self.log.read_text()
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

    def session(self):
        session = requests.Session()
        session.auth = self.signer
        return session

    def make_networks(self):
        """Two networks on a fabric: `networks`, the first for further NICs of machines."""
        session, vlans = self.session(), f"{self.url}/my/fabrics/default/vlans"
        answer = session.post(vlans, json={"vlan_id": 3, "name": "three"}, timeout=30)
        assert answer.status_code == 201, answer.text
        for name, net in (("lab", "192.168.0"), ("attic", "192.168.8")):
            first = net.rpartition(".")[2]
            body = {"name": name, "subnet": f"{net}.0/22", "provision_start_ip": f"{net}.5"}
            body["provision_end_ip"] = f"192.168.{int(first) + 3}.250"
            answer = session.post(f"{vlans}/3/networks", json=body, timeout=30)
            assert answer.status_code == 201, answer.text
            self.networks.append(answer.json()["id"])

    def settled(self):
        """All machines by id, once none of them is on its way to a state."""
        session, deadline = self.session(), time.monotonic() + 60
        while True:
            machines = session.get(f"{self.url}/my/machines?tombstone=1", timeout=30).json()
            if all(m["state"] in ("running", "deleted") for m in machines):
                return {m["id"]: m for m in machines}
            assert time.monotonic() < deadline, Counter(m["state"] for m in machines)
            time.sleep(0.1)


class Ledger:
    """What may be read of each thing, a pair of a word and an id.

    One value, when it was acknowledged; several, when an answer is missing.
    """

    def __init__(self):
        self.possible = {}
        self.config_lock = threading.Lock()

    def is_now(self, thing, value):
        self.possible[thing] = {value}

    def may_become(self, thing, value):
        self.possible[thing] = self.possible.get(thing, {None}) | {value}

    def new_machine(self, uuid, name):
        for word, value in (
            ("state", "running"),
            ("name", name),
            ("package", FIRST),
            ("tag", None),
            ("metadata", None),
            ("nic", False),
            ("snapshots", ()),
        ):
            self.is_now((word, uuid), value)

    def names(self):
        """The name that each machine was made with, by uuid."""
        return {
            uuid: next(iter(possible)).removesuffix(RENAMED)
            for (word, uuid), possible in self.possible.items()
            if word == "name"
        }

    def lost(self, found):
        """Each thing that is not what it may be, with what was found and what it may be."""
        return {
            thing: (found.value(thing), possible)
            for thing, possible in self.possible.items()
            if found.value(thing) not in possible
        }


class Found:
    """What a data center shows after it all."""

    def __init__(self, victim):
        self._url, self._session = f"{victim.url}/my", victim.session()
        self._fabric = victim.networks[0]
        self.machines = victim.settled()
        self.rules = {rule["id"]: rule["enabled"] for rule in self._get("fwrules")}
        self.volumes = {volume["name"]: volume for volume in self._get("volumes")}
        self._keys = {key["name"]: key["fingerprint"] for key in self._get("keys")}
        self._config = self._get("config")

    def _get(self, path):
        answer = self._session.get(f"{self._url}/{path}", timeout=30)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def value(self, thing):
        """None for what there is not."""
        word, which = thing
        if word in ("rule", "volume", "key", "config"):
            return {
                "rule": self.rules.get,
                "volume": lambda name: self.volumes.get(name, {}).get("id"),
                "key": self._keys.get,
                "config": self._config.get,
            }[word](which)
        machine = self.machines.get(which)
        if machine is None:
            return None
        if word == "snapshots":
            return tuple(
                (one["name"], one["state"]) for one in self._get(f"machines/{which}/snapshots")
            )
        return {
            "tag": machine["tags"].get("t"),
            "metadata": machine["metadata"].get("note"),
            "nic": self._fabric in machine["networks"],
        }.get(word, machine.get(word))


class Client:
    """Asks for changes, and writes down what may have come of each."""

    def __init__(self, victim, ledger, dice):
        self.victim, self.ledger, self.dice = victim, ledger, dice
        self.session = victim.session()

    def _ask(self, method, path, body=None):
        url = f"{self.victim.url}/my/{path}"
        answer = self.session.request(method, url, json=body, timeout=30)
        if answer.status_code == 409:
            assert answer.json()["code"] == "UnallocatedVM", answer.text
        else:
            answer.raise_for_status()
        return answer

    def _change(self, thing, value, method, path, body=None):
        """A change of one thing, which may have happened from now on, and has from the answer."""
        before = self.ledger.possible.get(thing, {None})
        self.ledger.may_become(thing, value)
        answer = self._ask(method, path, body)
        self.ledger.possible[thing] = {value} if answer.ok else before

    def create(self, name):
        body = {"name": name, "image": BASE64, "package": FIRST}
        uuid = self._ask("POST", "machines", body).json()["id"]
        self.ledger.new_machine(uuid, name)
        return uuid

    def tag(self, uuid, name):
        value = str(self.dice.random())
        self._change(("tag", uuid), value, "POST", f"machines/{uuid}/tags", {"t": value})

    def metadata(self, uuid, name):
        value = str(self.dice.random())
        path = f"machines/{uuid}/metadata"
        self._change(("metadata", uuid), value, "POST", path, {"note": value})

    def rename(self, uuid, name):
        new = name + RENAMED
        body = {"action": "rename", "name": new}
        self._change(("name", uuid), new, "POST", f"machines/{uuid}", body)

    def resize(self, uuid, name):
        body = {"action": "resize", "package": NEXT}
        self._change(("package", uuid), NEXT, "POST", f"machines/{uuid}", body)

    def delete(self, uuid, name):
        self._change(("state", uuid), "deleted", "DELETE", f"machines/{uuid}")

    def nic(self, uuid, name):
        body = {"network": self.victim.networks[0]}
        self._change(("nic", uuid), True, "POST", f"machines/{uuid}/nics", body)

    def snapshot(self, uuid, name):
        made = (("s", "created"),)
        path = f"machines/{uuid}/snapshots"
        self._change(("snapshots", uuid), made, "POST", path, {"name": "s"})

    def rule(self, uuid, name):
        body = {"rule": f"FROM any TO vm {uuid} ALLOW tcp PORT 80"}
        rule = self._ask("POST", "fwrules", body).json()["id"]
        self.ledger.is_now(("rule", rule), False)
        if self.dice.random() < 0.7:
            self._change(("rule", rule), True, "POST", f"fwrules/{rule}/enable")
        else:
            self._change(("rule", rule), None, "DELETE", f"fwrules/{rule}")

    def volume(self, uuid, name):
        made = self._ask("POST", "volumes", {"name": name, "type": "tritonnfs"}).json()
        self.ledger.is_now(("volume", name), made["id"])

    def key(self, uuid, name):
        key = Key("ed25519")
        body = {"name": name, "key": key.line}
        self._change(("key", name), key.md5, "POST", "keys", body)
        if self.dice.random() < 0.3:
            self._change(("key", name), None, "DELETE", f"keys/{name}")

    def config(self, uuid, name):
        # one for all clients
        with self.ledger.config_lock:
            possible = self.ledger.possible.get(("config", "default_network"), set())
            one, other = self.victim.networks
            wanted = other if one in possible else one
            body = {"default_network": wanted}
            self._change(("config", "default_network"), wanted, "PUT", "config", body)


CHANGES = (
    *(Client.tag, Client.metadata, Client.rename, Client.resize, Client.delete, Client.nic),
    *(Client.snapshot, Client.rule, Client.volume, Client.key, Client.config),
)
"""Everything that a client does with a machine or beside it, once it is made."""


class Visitor(threading.Thread):
    """Makes machines, and does something else for each, until the data center dies."""

    def __init__(self, victim, ledger, names, dice):
        super().__init__()
        self.client, self.names, self.dice = Client(victim, ledger, dice), names, dice
        self.error = None

    def run(self):
        try:
            for name in self.names:
                uuid = self.client.create(name)
                self.dice.choice(CHANGES)(self.client, uuid, name)
        except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
            return  # the data center died
        except Exception as error:
            self.error = error
