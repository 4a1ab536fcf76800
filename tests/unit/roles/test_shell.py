"""All scripts that run in machines, against what illumos has and how its shell differs.

/bin/sh of illumos is ksh93 93u+ of 2012-08-01 (illumos, usr/src/contrib/ast); the embedded data
center runs the scripts on Linux, mostly by dash, where none of this would show.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from .shell_lint import Script, Word

ROOT = Path(__file__).resolve().parents[3]
TEMPLATE = ROOT / "roles/boot_script/templates/boot.sh.j2"
PARTS = sorted(ROOT.glob("roles/*/files/*.sh"))
FILES = [*PARTS, *sorted(ROOT.glob("plugins/callback/*.sh"))]

# command -> the flags that it has, and where that is written
ANY = None
SHELL = "POSIX shell, XCU 2.14 and 2.15; ksh93(1)"
AST = "illumos, contrib/ast/src/lib/libcmd"
ILLUMOS = "illumos, usr/src/cmd"
SMARTOS = "TritonDataCenter/mdata-client"
COMMANDS: dict[str, tuple[str | None, str]] = {
    **dict.fromkeys(
        (":", ".", "break", "continue", "exec", "exit", "return", "shift"), ("", SHELL)
    ),
    **dict.fromkeys(("exec", "export", "umask", "trap", "ulimit", "wait"), (ANY, SHELL)),
    "[": (ANY, SHELL),
    "echo": ("", SHELL),
    "kill": ("0123456789TERMKIL", SHELL),
    "printf": ("", SHELL),
    "read": ("r", SHELL),
    "set": ("-fx", SHELL),
    "sleep": ("", "ksh93(1): a builtin that takes fractions"),
    "awk": ("", f"{ILLUMOS}/awk: nawk"),
    "cat": ("", f"{AST}/cat.c"),
    "chmod": ("R", f"{ILLUMOS}/chmod"),
    "chown": ("R", f"{ILLUMOS}/chown"),
    "cmp": ("s", f"{AST}/cmp.c"),
    "date": ("", f"{ILLUMOS}/date; +%s: lib/libc/port/gen/strftime.c"),
    "grep": ("cqv", f"{ILLUMOS}/grep"),
    "groupadd": ("", f"{ILLUMOS}/oamuser/group"),
    "id": ("Ggnuarp", f"{ILLUMOS}/id/id.c"),
    "ifconfig": ("a", f"{ILLUMOS}/cmd-inet/usr.sbin/ifconfig"),
    "ln": ("sf", f"{ILLUMOS}/mv/mv.c"),
    "ls": ("ld", f"{ILLUMOS}/ls"),
    "mkdir": ("pm", f"{AST}/mkdir.c"),
    "mv": ("f", f"{ILLUMOS}/mv/mv.c"),
    "pargs": ("l", f"{ILLUMOS}/ptools/pargs"),
    "pgrep": ("Pnoux", f"{ILLUMOS}/pgrep/pgrep.c; its -f sees 79 characters"),
    "ps": ("ef", f"{ILLUMOS}/ps"),
    "rm": ("f", f"{ILLUMOS}/rm"),
    "sed": ("n", f"{ILLUMOS}/sed"),
    "sort": ("nu", f"{ILLUMOS}/sort"),
    "tail": ("n", f"{AST}/tail.c"),
    "tr": ("d", f"{ILLUMOS}/tr"),
    "useradd": ("gdsc", f"{ILLUMOS}/oamuser/user; no -r, no -M"),
    "smf_kill_contract": ("", f"{ILLUMOS}/svc/shell/smf_include.sh"),
    "svcadm": ("strd", "svcadm(8)"),
    "svccfg": ("sf", "svccfg(8)"),
    "svcprop": ("cfpqt", "svcprop(1)"),
    "svcs": ("Hoavpx", "svcs(1)"),
    **dict.fromkeys(("mdata-get", "mdata-put", "mdata-list", "mdata-delete"), ("", SMARTOS)),
    "pkg_info": ("qea", "pkg_info(1) of pkgsrc"),
    "pkgin": ("ypn", "pkgin(1)"),
}
OWN_PROGRAMS = {
    '"$interpreter"',
    '"$venv/bin/python3"',
    '"$PYTHON"',
    '"$python"',
    '"$file"',
    '"$@"',
}

# Variables that hold a number without leading zeros, and why they do.
NUMBERS = {
    "boot_timeout": "an option of type int",
    "patience": "an option of type int",
    "REPOSITORY_PATIENCE": "a constant of the method",
    "now": "date +%s",
    "deadline": "a sum of numbers",
    "limit": "a parameter that is a number, or a property of type count",
    "tenths": "a parameter that is a number",
    "tries": "counted",
    "port": "a property of type count, or its default",
    "base": "checked by start_engine",
    "1": "of done_or_failed: $?",
    "2": "of done_or_failed: $?",
}
PLAIN = re.compile(r'\d+|\$[#?]|"\$\(date \+%s\)"')


@pytest.fixture(params=FILES, ids=lambda path: str(path.relative_to(ROOT)))
def script(request: pytest.FixtureRequest) -> Script:
    return Script(request.param.read_text())


@pytest.fixture(params=["controller", "engine"])
def boot_script(request: pytest.FixtureRequest, boot_scripts: dict[str, Path]) -> str:
    return boot_scripts[request.param].read_text()


def unknown(script: Script) -> list[str]:
    """What of a script is in neither table."""
    found = []
    for command in script.commands:
        if command.name in script.functions or command.name in OWN_PROGRAMS:
            continue
        if command.name not in COMMANDS:
            found.append(command.name)
            continue
        flags = COMMANDS[command.name][0]
        for argument in command.arguments if flags is not None else ():
            if re.match(r"-.", argument) and set(argument[1:]) - set(flags or ""):
                found.append(f"{command.name} {argument}")
    return found


# holds() is in account.sh, which install.sh goes on from
CONTINUED = {"install.sh": "account.sh"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_commands_and_flags_that_illumos_has(path: Path) -> None:
    before = CONTINUED.get(path.name)
    text = path.with_name(before).read_text() if before else ""
    assert unknown(Script(text + path.read_text())) == []


def test_so_does_the_boot_script(boot_script: str) -> None:
    assert unknown(Script(boot_script)) == []


def test_what_illumos_lacks_is_found() -> None:
    text = """
    # readlink in a comment
    case $(readlink -f "$x") in
    readlink) grep -E x y | tail -c 3 ;;
    esac
    cat <<END
    $(timeout 5 true) head
END
    say() { xargs -0 <list; }
    for x in $(find .); do say "$(head -n 1)"; done
    """
    expected = ["readlink", "grep -E", "tail -c", "timeout", "xargs", "find", "head"]
    assert sorted(unknown(Script(text))) == sorted(expected)


@pytest.mark.skipif(not shutil.which("ksh93"), reason="ksh93 (Debian: ksh) is not installed")
@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_ksh93_reads_it(path: Path) -> None:
    assert complaints(path) == []


@pytest.mark.skipif(not shutil.which("ksh93"), reason="ksh93 (Debian: ksh) is not installed")
@pytest.mark.parametrize("role", ["controller", "engine"])
def test_ksh93_reads_the_boot_script(boot_scripts: dict[str, Path], role: str) -> None:
    assert complaints(boot_scripts[role]) == []


def complaints(path: Path) -> list[str]:
    """What `ksh93 -n` says, less advice on speed and on quotes over several lines."""
    done = subprocess.run(["ksh93", "-n", str(path)], capture_output=True, text=True, timeout=30)
    harmless = re.compile(r"is slower than|' quote may be missing")
    said = [line for line in done.stderr.splitlines() if not harmless.search(line)]
    return [*said, *([f"status {done.returncode}"] if done.returncode else [])]


def test_echo_is_for_texts_only(script: Script) -> None:
    """It interprets backslashes (illumos, contrib/ast/src/lib/libast/features/lib: "att")."""
    said = [c.arguments for c in script.commands if c.name == "echo"]
    assert [words for words in said if any("$" in word or "\\" in word for word in words)] == []


def test_no_function_of_the_boot_script_is_one_of_a_part() -> None:
    """93u+ ignores what a subshell redefines (ksh93u+m, NEWS, 2020-05-29)."""
    own = set(Script(re.sub(r"{[{%].*?[%}]}", "x", TEMPLATE.read_text())).functions)
    assert own
    for path in PARTS:
        assert not own & set(Script(path.read_text()).functions), path


def test_only_numbers_are_compared_as_numbers(script: Script) -> None:
    """`[ '' -eq 0 ]` and `[ abc -eq 0 ]` are true in ksh93."""
    compared = []
    for command in script.commands:
        for index, word in enumerate(command.arguments):
            if word in ("-eq", "-ne", "-lt", "-le", "-gt", "-ge"):
                compared += [command.arguments[index - 1], command.arguments[index + 1]]
    strange = [word for word in compared if not PLAIN.fullmatch(word)]
    assert {word.strip('"${}') for word in strange} <= NUMBERS.keys()


def test_only_numbers_are_calculated_with(script: Script) -> None:
    """08 is 8 in ksh93 and an error in other shells."""
    names = {
        name
        for text in script.arithmetic
        for name in re.findall(r"\b[A-Za-z_]\w*|(?<=\$)\d", re.sub(r"\$\(date \+%s\)", "0", text))
    }
    assert names <= NUMBERS.keys()


def test_what_is_split_undergoes_no_expansion_of_braces(script: Script) -> None:
    """ksh93 expands {a,b} and * in what an unquoted $x brings, unless set -f."""
    words: list[Word] = [word for command in script.commands for word in command.words]
    split = [x for word in [*words, *script.lists] for x in word.unquoted]
    # a status, a count, a process id, and the method's own constants
    split = [x for x in split if x not in ("$?", "$#", "$!") and not x.startswith("$SMF_EXIT_")]
    split = [x for x in split if not x.startswith("$((")]
    turned_off = any(c.name == "set" and "-f" in c.arguments for c in script.commands)
    assert turned_off or split == []


def test_no_signal_is_told_by_the_number_of_other_shells(script: Script) -> None:
    """A death by signal 9 is 265 in ksh93, 137 elsewhere."""
    compared = [c.arguments for c in script.commands if c.name == "["]
    numbers = {int(word) for words in compared for word in words if word.isdigit()}
    assert not numbers & set(range(129, 193))


# Where a write into the directory comes next, and fails with words of its own.
WRITES_NEXT = {"install.sh", "ipyparallel.sh"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_directory_is_made_for_sure(path: Path) -> None:
    """ksh93's own mkdir -p succeeds where a file of that name is (libcmd/mkdir.c)."""
    made = [c for c in Script(path.read_text()).commands if c.name == "mkdir"]
    believed = [c.arguments for c in made if "-p" in c.arguments and c.after == "||"]
    assert believed == [] or path.name in WRITES_NEXT
