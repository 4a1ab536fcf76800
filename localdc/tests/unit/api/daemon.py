"""A data center as a process of its own, to be killed.

Arguments: PORT STORE KEYFILE PROVISION_SECONDS COMMIT_DELAY.  It prints where its localdc is from.
A COMMIT_DELAY in seconds is a fault: answers go out before what they tell of is committed.
"""

import asyncio
import sys
from contextlib import contextmanager
from pathlib import Path

import uvicorn

import localdc
from localdc.api.engine.records_only import RecordsCompute
from localdc.api.http.app import create_app, server_config
from localdc.api.routes import ROUTES
from localdc.api.settings import AccountKey, DataCenterSettings
from localdc.api.store import Store

port, store, key, seconds, delay = sys.argv[1:]


@contextmanager
def late_transaction(self):
    """A transaction that leaves its commit to a timer; those before the commit join it."""
    if not self.db.in_transaction:
        self.db.execute("BEGIN IMMEDIATE")
        asyncio.get_running_loop().call_later(float(delay), self.db.execute, "COMMIT")
    self.db.execute("SAVEPOINT request")
    try:
        yield
    except BaseException:
        self.db.execute("ROLLBACK TO request")
        raise
    finally:
        self.db.execute("RELEASE request")


if float(delay):
    Store.transaction = late_transaction
settings = DataCenterSettings(
    account="acme", keys=(AccountKey("first", Path(key).read_text()),), throttle=None
)
print(localdc.__file__, flush=True)
app = create_app(settings, Path(store), RecordsCompute(float(seconds)), ROUTES)
uvicorn.Server(server_config(app, host="127.0.0.1", port=int(port))).run()
