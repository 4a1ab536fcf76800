"""A small XML tree with line numbers, read by expat, and XInclude as service bundles use it."""

# ruff: noqa: PTH118, PTH120, PTH123 (pathlib costs start-up time)
from __future__ import annotations

import os
from xml.parsers import expat

from ..model import SmfError

_INCLUDE = "xi:include"
_DEPTH_MAX = 16


class Node:
    """An element: name, attributes, children, character data, and where it stands."""

    __slots__ = ("attrs", "children", "file", "line", "name", "text")

    def __init__(self, name: str, attrs: dict[str, str], file: str = "", line: int = 0) -> None:
        self.name = name
        self.attrs = attrs
        self.children: list[Node] = []
        self.text = ""
        self.file = file
        self.line = line

    def all(self, name: str) -> list[Node]:
        """The children called `name`."""
        return [child for child in self.children if child.name == name]

    def first(self, name: str) -> Node | None:
        """The first child called `name`, or None."""
        for child in self.children:
            if child.name == name:
                return child
        return None


class Document:
    """The root element of a file and the system identifier of its DOCTYPE, if it has one."""

    __slots__ = ("root", "system_id")

    def __init__(self, root: Node, system_id: str | None) -> None:
        self.root = root
        self.system_id = system_id


def parse(text: bytes, file: str, depth: int = 0) -> Document:
    """Read a document; `file` names it in messages and is the base of relative includes.

    Raises SmfError (with position) where it is not well-formed or an include cannot be read.
    """
    parser = expat.ParserCreate()
    top = Node("", {})
    stack = [top]
    system: list[str | None] = []

    def start(name: str, attrs: dict[str, str]) -> None:
        node = Node(name, attrs, file, parser.CurrentLineNumber)
        stack[-1].children.append(node)
        stack.append(node)

    def end(_name: str) -> None:
        stack.pop()

    def data(chars: str) -> None:
        stack[-1].text += chars

    def doctype(_name: str, system_id: str | None, _public: str | None, _subset: bool) -> None:
        system.append(system_id)

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = data
    parser.StartDoctypeDeclHandler = doctype
    try:
        parser.Parse(text, True)
    except expat.ExpatError as error:
        message = expat.ErrorString(error.code)
        raise SmfError(f"{file}:{error.lineno}: parser error : {message}", "parse") from None
    root = top.children[0]
    _include(root, file, depth)
    return Document(root, system[0] if system else None)


def _include(node: Node, file: str, depth: int) -> None:
    children: list[Node] = []
    for child in node.children:
        if child.name != _INCLUDE:
            _include(child, file, depth)
            children.append(child)
            continue
        if depth >= _DEPTH_MAX:
            raise SmfError(f"{file}:{child.line}: xi:include is nested too deeply", "parse")
        href = child.attrs.get("href", "").removeprefix("file://")
        path = os.path.join(os.path.dirname(file), href)
        try:
            with open(path, "rb") as included:
                text = included.read()
            children.append(parse(text, path, depth + 1).root)
        except OSError as error:
            fallback = child.first("xi:fallback")
            if fallback is None:
                raise SmfError(
                    f"{file}:{child.line}: could not load {path}: {error.strerror}", "parse"
                ) from None
            children.extend(fallback.children)
    node.children = children


def _escape(text: str) -> str:
    for char, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("'", "&apos;"),
                         ("\n", "&#10;"), ("\t", "&#9;"), ("\r", "&#13;")):  # fmt: skip
        text = text.replace(char, entity)
    return text


def serialise(node: Node, depth: int = 0) -> str:
    """The element as indented text; `parse` gives the same tree again."""
    indent = "  " * depth
    attrs = "".join(f" {name}='{_escape(value)}'" for name, value in node.attrs.items())
    if node.children:
        inner = "".join(serialise(child, depth + 1) for child in node.children)
        return f"{indent}<{node.name}{attrs}>\n{inner}{indent}</{node.name}>\n"
    if node.text:
        return f"{indent}<{node.name}{attrs}>{_escape(node.text)}</{node.name}>\n"
    return f"{indent}<{node.name}{attrs}/>\n"
