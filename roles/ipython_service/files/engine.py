"""Program of an engine: ipyparallel's own, with what child processes print sent to the client.

ipykernel takes what is written to the descriptors 1 and 2 only on Linux and macOS (iostream.py,
OutStream), so on SmartOS the output of ``os.system``, ``subprocess``, C and Fortran would end in
the log of the service.
"""

from __future__ import annotations

import faulthandler
import os
import sys
from typing import Any

from ipykernel.iostream import OutStream
from ipyparallel.engine import app
from traitlets import default


class DescriptorStream(OutStream):
    """A standard stream of an engine that takes what is written to its descriptor on any system."""

    def __init__(self, session: Any, pub_thread: Any, name: str, **options: Any) -> None:
        options["watchfd"] = "force"
        super().__init__(session, pub_thread, name, **options)  # type: ignore[no-untyped-call]


class IPEngine(app.IPEngine):  # type: ignore[misc]
    """ipyparallel's engine, with another class for its standard streams."""

    @default("out_stream_factory")
    def _out_stream_factory(self) -> type[OutStream]:
        return DescriptorStream


if __name__ == "__main__":
    # as with python -m: users import their own modules from the working directory
    sys.path[0] = os.getcwd()  # noqa: PTH109 - a text, as sys.path has it
    # SMF does not log by which signal a wait service died; past the streams that go to clients,
    # which nobody passes on any more by then
    faulthandler.enable(os.dup(2))
    IPEngine.launch_instance()
