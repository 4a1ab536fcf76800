"""How the examples reach the cluster: through the connection file that connect.yml writes."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import ipyparallel as ipp


def parser(description: str | None) -> argparse.ArgumentParser:
    """Return a command line parser that knows --cluster and --file."""
    result = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    result.add_argument("--cluster", default="ipython", help="name of the cluster (ipython)")
    result.add_argument("--file", type=Path, help="connection file ($IPP_CLIENT_FILE)")
    return result


def open_client(arguments: argparse.Namespace) -> ipp.Client:
    """Connect to the cluster that the parsed command line names; exit with advice if it fails."""
    root = Path(__file__).resolve().parent.parent
    default = root / ".cluster" / arguments.cluster / "ipcontroller-client.json"
    file = arguments.file or Path(os.environ.get("IPP_CLIENT_FILE", default))
    advice = f"ansible-playbook playbooks/connect.yml -e cluster={arguments.cluster}"
    if not file.exists():
        sys.exit(f"There is no connection file {file}. Write it with: {advice}")
    try:
        client = ipp.Client(str(file), timeout=20)
    except TimeoutError:
        sys.exit(f"The controller does not answer. Is the tunnel up? Open it again with: {advice}")
    if not client.ids:
        sys.exit("No engine is registered with the controller.")
    return client


def connect(description: str | None) -> ipp.Client:
    """Parse the command line and connect."""
    return open_client(parser(description).parse_args())
