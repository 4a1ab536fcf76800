"""Action plugin: the answers of a data center beside those of the embedded one, as a report.

    - probe_report:
        probes: "{{ tables }}"
        answers: "{{ asked.answers }}"
        seconds: "{{ asked.seconds }}"
        values: {name: sdc-verify}           # texts of this account, and what stands for them
        expected: expected.json              # in the role's files/
        report: /somewhere/verify.md         # and verify.json, with all answers
        record: false                        # true: write `expected` instead
      register: report                       # differences, text, path

It runs on the machine of the user.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from smartdc.verify.blanks import Blanks
from smartdc.verify.report import differences, markdown

TITLE = "What this data center answers, and the embedded one does not"


class ActionModule(ActionBase):
    """See the module's documentation."""

    _VALID_ARGS = frozenset(
        ("probes", "answers", "seconds", "values", "expected", "report", "record")
    )
    _supports_check_mode = True

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        _, options = self.validate_argument_spec(
            {
                "probes": {"type": "list", "elements": "dict", "required": True},
                "answers": {"type": "dict", "required": True},
                "seconds": {"type": "dict", "default": {}},
                "values": {"type": "dict", "default": {}},
                "expected": {"type": "path", "required": True},
                "report": {"type": "path", "required": True},
                "record": {"type": "bool", "default": False},
            }
        )
        expected = Path(options["expected"])
        names = {text: word for word, text in options["values"].items() if isinstance(text, str)}
        found = Blanks(names).value(options["answers"])
        try:
            if options["record"]:
                _write(expected, _json(found), 0o644)
                return {**result, "changed": True, "path": str(expected)}
            known = json.loads(expected.read_text())
            text = markdown(TITLE, options["probes"], known, found, options["seconds"])
            report = Path(options["report"])
            _write(report, text, 0o600)
            _write(report.with_suffix(".json"), _json(found), 0o600)
        except OSError as error:
            raise AnsibleActionFail(f"{error.filename}: {error.strerror}") from error
        odd = dict.fromkeys(difference.probe for difference in differences(known, found))
        return {
            **result,
            "differences": list(odd),
            "probes": len(found),
            "text": text,
            "path": str(report),
        }


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _write(path: Path, text: str, mode: int) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(mode=mode)
    path.chmod(mode)
    path.write_text(text)
