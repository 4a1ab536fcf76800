"""A data center as a process of its own, to be killed: PORT STORE KEYFILE PROVISION_SECONDS."""

import sys
from pathlib import Path

import uvicorn

from localdc.api.engine.records_only import RecordsCompute
from localdc.api.http.app import create_app, server_config
from localdc.api.routes import ROUTES
from localdc.api.settings import AccountKey, DataCenterSettings

port, store, key, seconds = sys.argv[1:]
settings = DataCenterSettings(
    account="acme", keys=(AccountKey("first", Path(key).read_text()),), throttle=None
)
app = create_app(settings, Path(store), RecordsCompute(float(seconds)), ROUTES)
uvicorn.Server(server_config(app, host="127.0.0.1", port=int(port))).run()
