"""What commands of illumos take, in front of the host's, which take more.

Each entry is one program of the host behind a script that refuses what the
program of the same name in /usr/bin of illumos does not know: getopt(3C) says
`illegal option`, the usage follows, and the status is that program's.  The
tables are those of illumos of 2023-09, below usr/src/cmd and, for what is a
builtin of ksh93 there (cmp, cut, tee, uniq, wc), contrib/ast/src/lib/libcmd.
Options that mean something else to the host's program are refused as well.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

HOST_PROGRAMS = "lib/localdc/host"
"""Where the host's own programs are, below /usr of a zone."""


def words(*lines: str) -> tuple[str, ...]:
    return tuple(word for line in lines for word in line.split())


@dataclass(frozen=True, slots=True)
class Command:
    """The command line of one command.

    options: as getopt(3C) has them, `x:` with an argument and `x::` with one
    that may follow at once; long: options that begin with `--`; status: exit
    status of wrong usage; anywhere: options may follow operands; operands: what is
    one though it begins with a dash, as a pattern of the shell.
    """

    options: str
    usage: str
    status: int = 2
    long: tuple[str, ...] = ()
    anywhere: bool = False
    operands: str = ""
    directory: str = "bin"


_GREP = Command(
    "vwchHilLnrbse:f:qxEFIRA:B:C:o0123456789",
    "[-E|-F] [-bchHilLnoqrRsvx] [-A num] [-B num] [-C num|-num]\n"
    "             [--label=name] [-e pattern_list]... [-f pattern_file]...\n"
    "             [pattern_list] [file]...",
    long=("label",),
)
_LS_LONG = words(
    "all almost-all escape classify human-readable dereference dereference-command-line",
    "ignore-backups inode numeric-uid-gid no-group hide-control-chars reverse recursive size",
    "width block-size full-time si color file-type time-style",
)
TABLE = {
    "awk": Command("F:f:v:", "[-F fs][-v var=value][prog | -f progfile][file ...]"),
    "cat": Command("usvtebn", "[ -usvtebn ] [-|file] ..."),
    # chmod.c takes for a mode what looks like one: chmod -w file
    "chmod": Command(
        "Rf",
        "[-fR] <absolute-mode|symbolic-mode-list> file ...",
        operands="-[rwxXlstugoa]*",
    ),
    "chown": Command("hRfHLP", "[-fhR] owner[:group] file..."),
    "chgrp": Command("hRfHLP", "[-fhR] group file..."),
    "cmp": Command("bi:ln:s", "[-bls] [-i skip] [-n count] file1 file2 [skip1 [skip2]]"),
    "cp": Command("afHinLpPrR", "[-afip] f1 f2"),
    "cut": Command("b:c:d:f:ns", "-b list [-n] | -c list | -f list [-d delim] [-s] [file ...]"),
    "date": Command("uRr:", "[-u] [+format]", 1),
    "egrep": _GREP,
    "fgrep": _GREP,
    "grep": _GREP,
    "groupadd": Command("g:o", "[-g gid [-o]] group", directory="sbin"),
    "head": Command("qvn:c:0123456789", "[-q] [-v] [-n #] [-c #] [-#] [filename...]", 1),
    "hostname": Command("s", "[-s] [system_name]", 1),
    "id": Command("Ggunar", "[-ap] [user]", 1),
    "ln": Command("fins", "[-f] [-n] [-s] f1 [f2]"),
    "ls": Command(
        "aAbBcCdfFghHiklLmnopqrRsStuUw:x1",
        "-aAbBcCdeEfFghHiklLmnopqrRsStuUwxvV1@/%[c | v] [files]",
        long=_LS_LONG,
    ),
    "mkdir": Command("m:p", "[-m mode] [-p] dirname ..."),
    "mktemp": Command("dqtup:", "[-dqtu] [-p prefix_dir] [template]", 1),
    "mv": Command("fin", "[-fin] f1 f2"),
    "rm": Command("frRi", "[-fiRr] file ..."),
    "rmdir": Command("ps", "[-ps] dirname ..."),
    "sed": Command("Ee:f:i::nr", "[-Enr] [-i[extension]] script [file ...]", 1, anywhere=True),
    "sort": Command(
        "cmuo:T:dfiMnrbt:k:S:0123456789",
        "[-cmu] [-o output] [-T directory] [-S mem] [-dfiMnrb] [-t char] [-k keydef] [file ...]",
        anywhere=True,
    ),
    "tail": Command("Fc:fn:q0123456789", "[-F | -f | -r] [-q] [-b # | -c # | -n #] [file ...]", 1),
    "tee": Command("ai", "[-ai] [file ...]"),
    "touch": Command("acfmr:d:t:", "[-acm] [-r ref_file | -t time | -d date_time] file..."),
    "tr": Command("Ccds", "[-Ccsu] string1 string2", 1),
    "uname": Command("asnrpvmio", "[-snrvmapioX]", 1),
    "uniq": Command("cdf:s:u0123456789", "[-cdu] [-f fields] [-s char] [input [output]]"),
    "useradd": Command(
        "b:c:Dd:e:f:G:g:k:mos:u:",
        "[-u uid [-o] | -g group | -G group[[,group]...] | -d dir | -b base_dir |\n"
        "\t-s shell | -c comment | -m [-k skel_dir] | -f inactive | -e expire] login",
        directory="sbin",
    ),
    "wc": Command("cmlwL", "[-cmlwL] [file ...]"),
}
_MODULES = {"env": "starters", "find": "starters", "ps": "ps", "xargs": "starters"}
"""What no script of a shell can be; see localdc.smartos.commands."""
_GETENT = words(
    "passwd group shadow hosts ipnodes services protocols ethers networks netmasks project",
    "auth_attr exec_attr prof_attr user_attr netgroup",
)

ABSENT = words(
    # of coreutils; readlink, seq and stat came to SmartOS late (illumos-extra, coreutils)
    "b2sum base32 base64 basenc chcon dir dircolors md5sum nproc numfmt pinky printenv ptx",
    "readlink realpath runcon seq sha1sum sha224sum sha256sum sha384sum sha512sum shred shuf stat",
    "stdbuf timeout truncate tac users vdir whoami",
    # of procps, util-linux, debianutils and iproute2
    "free pidof pidwait skill slabtop sysctl tload top watch chrt fallocate findmnt flock ionice",
    "ipcmk lsblk lscpu lsipc lslocks lsmem lsns mountpoint namei nsenter prlimit runuser setpriv",
    "setsid taskset utmpdump whereis run-parts tempfile ip ss bridge rtacct nstat lnstat",
)
"""Programs of a Linux host that no zone has in /usr/bin; for some there is /opt/local/gnu/bin."""

_PYTHON = """\
#!{python} -IS
import sys
sys.path.insert(0, "{library}")
from smartos.command import run
from smartos.{module} import main
run({call})
"""
_HEAD = """\
#!{shell}
# {name} as illumos has it; written by localdc/image/commands.py
refuse() {{
	printf '%s\\n' "$1" >&2
	printf '%s\\n' {usage} >&2
	exit {status}
}}
"""
# Names begin with _lc_, because a shell exports what it found in its environment.
_PARSE = """\
_lc_n=0 _lc_skip= _lc_end=-- _lc_kept=
for _lc_word do
	_lc_rest=
	if [ -n "$_lc_skip" ]; then
		_lc_skip=
	else
		case $_lc_word in
		--) _lc_end= ;;
{operands}{long}		--*) refuse "{name}: illegal option -- ${{_lc_word#--}}" ;;
		-?*) _lc_rest=${{_lc_word#-}} ;;
		*) {operand};;
		esac
	fi
	while [ -n "$_lc_rest" ]; do
		_lc_option=${{_lc_rest%"${{_lc_rest#?}}"}}
		_lc_rest=${{_lc_rest#?}}
		case $_lc_option in
{cases}		*) refuse "{name}: illegal option -- $_lc_option" ;;
		esac
	done
{keep}	[ -n "$_lc_end" ] || break
done
"""
_KEEP = """\
	_lc_n=$((_lc_n + 1))
	eval "_lc_$_lc_n=\\$_lc_word"
	_lc_kept="$_lc_kept \\"\\$_lc_$_lc_n\\""
"""
# What follows an operand is an operand, whatever it looks like: the host's program is told so.
_OPERANDS = """\
shift $_lc_n
[ $# -gt 0 ] || _lc_end=
eval "set -- $_lc_kept $_lc_end \\"\\$@\\""
"""
_GETENT_BODY = """\
case ${{1-}} in
{known}) ;;
-*) refuse "getent: illegal option -- ${{1#-}}" ;;
'') refuse "getent: no database" ;;
*) refuse "Unknown database: $1" ;;
esac
"""


def python_script(python: str, library: str, module: str, call: str = "main") -> str:
    """A script that runs a module of localdc.smartos; python and library as a zone sees them."""
    return _PYTHON.format(python=python, library=library, module=module, call=call)


def install(usr: Path, host_usr: Path, python: str, library: str) -> None:
    """Put the scripts below `usr`, the upper layer, and copies of the host's programs beside them.

    Commands that the host lacks are left out.  `python` and `library`: see python_script.
    """
    shell = _inside(host_usr, host_usr / "bin/sh") or "/bin/sh"
    for name, directory, text in _scripts(shell, python, library):
        if (host_usr / directory / name).exists():
            keep(usr, host_usr / directory / name)
            _write(usr / directory / name, text)


def programs() -> list[str]:
    """Paths below /usr of the programs that are put behind a script."""
    return [f"{directory}/{name}" for name, directory, _ in _scripts("", "", "")]


def absent(host_usr: Path) -> list[str]:
    """What of ABSENT there is, as paths below /usr."""
    paths = [f"{directory}/{name}" for directory in ("bin", "sbin") for name in ABSENT]
    return [path for path in paths if (host_usr / path).exists()]


def keep(usr: Path, program: Path) -> None:
    """Copy a program of the host to where it can be run from whatever hides its own place."""
    target = usr / HOST_PROGRAMS / program.name
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(program, target)


def _inside(host_usr: Path, program: Path) -> str | None:
    """The path of what a link in the host's /usr leads to, as a zone sees it."""
    if not program.exists():
        return None
    return f"/usr/{os.path.relpath(program.resolve(), host_usr.resolve())}"


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def _scripts(shell: str, python: str, library: str) -> list[tuple[str, str, str]]:
    """Name, directory and text of every script."""
    scripts = [(name, c.directory, _script(shell, name, c)) for name, c in TABLE.items()]
    for name, module in _MODULES.items():
        call = f'lambda: main("/usr/{HOST_PROGRAMS}/{name}", sys.argv[1:])'
        text = python_script(python, library, f"commands.{module}", call)
        scripts.append((name, "bin", text))
    body = _GETENT_BODY.format(known=" | ".join(_GETENT))
    usage = "getent database [ key ... ]"
    scripts.append(("getent", "bin", _joined(shell, "getent", usage, 1, body)))
    return scripts


def _script(shell: str, name: str, command: Command) -> str:
    body = _PARSE.format(
        name=name,
        operands=f"\t\t{command.operands}) break ;;\n" if command.operands else "",
        long="".join(f"\t\t--{name} | --{name}=*) ;;\n" for name in command.long),
        cases=_cases(command),
        operand="" if command.anywhere else "break ",
        keep="" if command.anywhere else _KEEP,
    )
    if not command.anywhere:
        body += _OPERANDS
    return _joined(shell, name, f"{name} {command.usage}", command.status, body)


def _joined(shell: str, name: str, usage: str, status: int, body: str) -> str:
    head = _HEAD.format(shell=shell, name=name, usage=f"'usage: {usage}'", status=status)
    return f'{head}{body}exec /usr/{HOST_PROGRAMS}/{name} "$@"\n'


def _cases(command: Command) -> str:
    """The branches for the options that are known, by what follows them."""
    kinds: dict[str, str] = {"": "", ":": "", "::": ""}
    letters = command.options
    while letters:
        letter, rest = letters[0], letters[1:]
        letters = rest.lstrip(":")
        kinds[rest[: len(rest) - len(letters)]] += letter
    cases = ""
    for kind, action in (
        ("", ";;"),
        (":", '[ -n "$_lc_rest" ] || _lc_skip=yes; _lc_rest= ;;'),
        ("::", "_lc_rest= ;;"),
    ):
        if kinds[kind]:
            cases += f"\t\t[{kinds[kind]}]) {action}\n"
    return cases
