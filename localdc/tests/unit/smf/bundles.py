"""Makes service bundles from the grammar: every element and attribute, in random combinations."""

from __future__ import annotations

import random
import re
from xml.sax.saxutils import escape

from localdc.smartos.smf.bundle.dtd import ATTRIBUTES, DTD_PATH, MODELS
from localdc.smartos.smf.values import TYPES

Tree = tuple[str, object, str]
ODD = "a b;c&d<e>f\"g'h\tj\nk=ü€ %{x} \\ "
EXAMPLES = {
    "count": ["0", "18446744073709551615"], "integer": ["-5", "9223372036854775807"],
    "opaque": ["00ff", "abcd"], "host": ["node.example.org", "10.0.0.1", "fe80::1"],
    "hostname": ["node", "a-b.example"], "net_address": ["10.0.0.1", "fe80::1/64"],
    "net_address_v4": ["10.0.0.0/8"], "net_address_v6": ["::1"], "time": ["0", "12.000000005"],
    "astring": [ODD, ""], "ustring": ["ü", "x"], "boolean": ["true", "false"],
    "fmri": ["svc:/a/b:c", "lrc:/etc/rc2_d/x"], "uri": ["http://x/?a=b&c", "mailto:x@y"],
}  # fmt: skip


def model(text: str) -> Tree:
    """A content model of a DTD as (kind, parts or name, occurrence)."""
    tokens = re.findall(r"[A-Za-z0-9_:]+|[(),|?*+]", text)

    def occurrence() -> str:
        return tokens.pop(0) if tokens and tokens[0] in "?*+" else ""

    def item() -> Tree:
        if tokens[0] != "(":
            return ("name", tokens.pop(0), occurrence())
        tokens.pop(0)
        parts, kind = [item()], "all"
        while tokens[0] != ")":
            kind = "one" if tokens.pop(0) == "|" else "all"
            parts.append(item())
        tokens.pop(0)
        return (kind, parts, occurrence())

    return item()


class Element:
    def __init__(self, name: str) -> None:
        self.name = name
        self.attrs: dict[str, str] = {}
        self.children: list[Element] = []
        self.text = ""

    def walk(self) -> list[Element]:
        return [self, *(below for child in self.children for below in child.walk())]

    def xml(self) -> str:
        attrs = "".join(f" {name}={_quoted(value)}" for name, value in self.attrs.items())
        inner = escape(self.text) + "".join(child.xml() for child in self.children)
        return f"<{self.name}{attrs}>{inner}</{self.name}>\n"


def _quoted(text: str) -> str:
    return '"' + escape(text, {'"': "&quot;", "\n": "&#10;", "\t": "&#9;"}) + '"'


def text_of(root: Element, system: str = DTD_PATH) -> str:
    return f'<?xml version="1.0"?>\n<!DOCTYPE service_bundle SYSTEM "{system}">\n{root.xml()}'


class Maker:
    """Documents by chance; the same seed gives the same ones."""

    def __init__(self, seed: int, type: str = "manifest") -> None:
        self.random = random.Random(seed)
        self.type = type
        self.count = 0

    def bundle(self) -> Element:
        root = self.element("service_bundle", ())
        if not root.children:
            root.children.append(self.element("service", ("service_bundle",)))
        return root

    def unique(self, stem: str) -> str:
        self.count += 1
        return f"{stem}{self.count}"

    def element(self, name: str, above: tuple[str, ...]) -> Element:
        made = Element(name)
        self._attributes(made, above)
        content = MODELS[name]
        if content == "#":
            made.text = "," if name == "internal_separators" else "some words, ü & <more>"
        elif name in ("service_bundle",) and (above or self.random.random() < 0.8):
            made.children = [self.element("service", (*above, name)) for _n in range(2)]
        elif content:
            self._fill(made, model(content), (*above, name))
        if name == "property":
            self._typed(made)
        if name == "service":
            self._one_default(made)
        return made

    def _fill(self, made: Element, part: Tree, above: tuple[str, ...]) -> None:
        kind, body, occurs = part
        low, high = {"": (1, 1), "?": (0, 1), "*": (0, 2), "+": (1, 2)}[occurs]
        for _time in range(self.random.randint(low, high)):
            if kind == "name":
                if above[-1] == "service_bundle" and body == "service_bundle" and len(above) > 1:
                    continue
                made.children.append(self.element(str(body), above))
            elif kind == "one":
                self._fill(made, self.random.choice(body), above)  # type: ignore[arg-type]
            else:
                for below in body:  # type: ignore[attr-defined]
                    self._fill(made, below, above)

    def _typed(self, made: Element) -> None:
        """A property's type is that of its list, and its values are of that type."""
        if made.children:
            made.attrs["type"] = type = made.children[0].name.removesuffix("_list")
            for node in made.children[0].children:
                node.attrs["value"] = self.random.choice(EXAMPLES[type])

    @staticmethod
    def _one_default(made: Element) -> None:
        languages = [n for n in made.walk() if n.name == "loctext"]
        for number, node in enumerate(languages):
            # one text for each language
            node.attrs["xml:lang"] = ("C", "de", "en_US.UTF-8")[number % 3]

    def _attributes(self, made: Element, above: tuple[str, ...]) -> None:
        for key, allowed in ATTRIBUTES.get(made.name, {}).items():
            name = key.removeprefix("!")
            if not key.startswith("!") and self.random.random() < 0.3:
                continue
            if allowed is not None:
                made.attrs[name] = self.random.choice(allowed.split("|"))
            else:
                made.attrs[name] = self._value(made.name, name, above)
        if made.name == "pg_pattern" and not {"name", "type"} & set(made.attrs):
            # two patterns for everything would be the same one
            made.attrs["name"] = self.unique("n")
        if made.name == "propval":
            made.attrs["value"] = self.random.choice(EXAMPLES[made.attrs["type"]])

    def _value(self, element: str, name: str, above: tuple[str, ...]) -> str:
        fixed = {
            ("service_bundle", "type"): self.type, ("service_bundle", "name"): "made",
            ("service", "version"): "1", ("event", "value"): self.unique("event-"),
            ("exec_method", "timeout_seconds"): self.random.choice(["0", "-1", "60"]),
            ("exec_method", "exec"): ODD.strip(), ("envvar", "value"): ODD,
            ("value_node", "value"): ODD, ("paramval", "value"): ODD,
            ("doc_link", "uri"): "http://x/?a=b&c", ("manpage", "manpath"): "/opt/local/man",
            ("cardinality", "min"): "1", ("cardinality", "max"): "9", ("range", "min"): "-1",
            ("range", "max"): "9", ("loctext", "xml:lang"): "C",
            ("dependency", "type"): "service", ("property_group", "type"): "application",
            ("method_context", "working_directory"): ":home",
            ("method_credential", "user"): "nobody", ("value", "name"): self.unique("a.b "),
        }  # fmt: skip
        if (element, name) in fixed:
            return fixed[element, name]
        if element == "service_fmri":
            return self.unique("svc:/site/target") + self.random.choice(["", ":default"])
        if element == "service":
            return self.unique("site/made")
        return self.unique("n")


def broken(root: Element, chance: random.Random) -> Element:
    """The document with one thing changed that the grammar may or may not permit."""
    node = chance.choice(root.walk())
    how = chance.randrange(7)
    if how == 0 and node.attrs:
        del node.attrs[chance.choice(list(node.attrs))]
    elif how == 1 and len(node.children) > 1:
        chance.shuffle(node.children)
    elif how == 2 and node.attrs:
        node.attrs[chance.choice(list(node.attrs))] = "nonsense"
    elif how == 3:
        node.attrs[chance.choice(["name", "value", "type", "colour", "delete"])] = "x"
    elif how == 4 and node is not root:
        node.name = chance.choice(list(MODELS))
    elif how == 5 and node.children:
        node.children.append(chance.choice(node.children))
    elif node.children:
        del node.children[chance.randrange(len(node.children))]
    return root


assert set(EXAMPLES) == set(TYPES)
