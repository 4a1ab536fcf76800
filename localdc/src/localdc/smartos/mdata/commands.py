"""mdata-get(8), mdata-put(8), mdata-list(8) and mdata-delete(8).

Messages and exit codes are those of TritonDataCenter/mdata-client: 0 done,
1 no such key, 2 error, 3 usage.
"""

from __future__ import annotations

import os
import sys

from . import protocol

OK, NOT_FOUND, ERROR, USAGE = 0, 1, 2, 3
_ARGUMENTS = {
    "mdata-get": "<keyname>",
    "mdata-put": "<keyname> [ <value> ]",
    "mdata-list": "",
    "mdata-delete": "<keyname>",
}


def main(argv: list[str] | None = None, path: str = protocol.SOCKET_PATH) -> int:
    """Run the command that `argv[0]` names; returns its exit status."""
    argv = sys.argv if argv is None else argv
    command, arguments = argv[0].rpartition("/")[2], argv[1:]
    if command == "mdata-put" and len(arguments) == 1 and not os.isatty(0):
        arguments.append(sys.stdin.buffer.read().decode("utf-8", "surrogateescape"))
    arguments = [_text(argument) for argument in arguments]
    if len(arguments) != {"mdata-list": 0, "mdata-put": 2}.get(command, 1):
        print(f"Usage: {command} {_ARGUMENTS[command]}".rstrip(), file=sys.stderr)
        return USAGE
    try:
        client = protocol.Client(path)
        reply = client.request(command.removeprefix("mdata-"), *arguments)
    except (OSError, protocol.ProtocolError) as error:
        print(f"{command}: {error}", file=sys.stderr)
        return ERROR
    return _answer(arguments, reply)


def _text(argument: str) -> str:
    """Metadata is text: the agent of SmartOS makes U+FFFD of what is no UTF-8."""
    return argument.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _answer(arguments: list[str], reply: dict[str, object]) -> int:
    if reply.get("status") == "notfound":
        print(f"No metadata for '{arguments[0]}'", file=sys.stderr)
        return NOT_FOUND
    if reply.get("status") != "ok":
        print(reply.get("message", "the metadata agent refused"), file=sys.stderr)
        return ERROR
    value, keys = reply.get("value"), reply.get("keys")
    if isinstance(value, str):
        sys.stdout.write(value if value.endswith("\n") else f"{value}\n")
    if isinstance(keys, list):
        sys.stdout.writelines(f"{key}\n" for key in keys)
    return OK
