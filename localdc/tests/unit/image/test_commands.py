"""Commands of a zone take what those of illumos take: the scripts in front of the host's programs.

The judges are the getopt(3C) strings below usr/src/cmd of illumos, named at each test.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import localdc
from localdc.image import commands
from localdc.smartos.commands import pgrep


class Zone:
    """A /usr with the scripts, whose programs are those of this machine."""

    def __init__(self, directory: Path) -> None:
        self.usr = directory / "usr"
        library = str(Path(localdc.__file__).parent)
        commands.install(self.usr, Path("/usr"), sys.executable, library)
        for script in [*self.usr.glob("bin/*"), *self.usr.glob("sbin/*")]:
            # a zone has /usr where this has a directory
            text = script.read_text().replace(
                f"/usr/{commands.HOST_PROGRAMS}", f"{self.usr}/{commands.HOST_PROGRAMS}"
            )
            script.write_text(text)
        self.directory = directory / "work"
        self.directory.mkdir()

    def run(
        self, *words: str, stdin: str = "", env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        own = {**os.environ, "LC_ALL": "C"} if env is None else env
        return subprocess.run(
            words,
            env={**own, "PATH": f"{self.usr}/bin:{self.usr}/sbin:/usr/bin"},
            cwd=self.directory,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture(scope="module")
def zone(tmp_path_factory: pytest.TempPathFactory) -> Zone:
    return Zone(tmp_path_factory.mktemp("zone"))


@pytest.mark.parametrize(
    ("words", "option", "status"),
    [
        # grep/grep.c: getopt_long "+vwchHilLnrbse:f:qxEFIRA:B:C:o" and --label
        ("grep -P x", "P", 2),
        ("grep -cz x", "z", 2),
        ("grep --color x", "color", 2),
        ("egrep -a x", "a", 2),
        # useradd.c, groupadd.c
        ("useradd -r somebody", "r", 2),
        ("useradd -g other -M somebody", "M", 2),
        ("groupadd -f staff", "f", 2),
        # the others: cmd/NAME/NAME.c
        ("cat -A x", "A", 2),
        ("chmod --reference=x y", "reference=x", 2),
        ("chown -v root x", "v", 2),
        ("cp -u x y", "u", 2),
        ("cut -f1 --complement x", "complement", 2),
        ("date -d now", "d", 1),
        ("env -u HOME true", "u", 1),
        ("head -z x", "z", 1),
        ("hostname -f", "f", 1),
        ("id -z", "z", 1),
        ("ln -sr x y", "r", 2),
        ("ls -lZ", "Z", 2),
        ("ls --sort=size", "sort=size", 2),
        ("mkdir -pv x", "v", 2),
        ("mktemp --suffix=x", "suffix=x", 1),
        ("mv -t x y", "t", 2),
        ("rm -rfv x", "v", 2),
        ("sed -z s/x/y/ file", "z", 1),
        ("sed s/x/y/ --debug", "debug", 1),
        ("sort -V x", "V", 2),
        ("sort x -h", "h", 2),
        ("tail --lines 5", "lines", 1),
        ("tail -s 5 x", "s", 1),
        ("tee -p x", "p", 2),
        ("touch -h x", "h", 2),
        ("tr -t a b", "t", 1),
        ("uniq -w 3", "w", 2),
        ("xargs -r true", "r", 1),
        ("ps -C sshd", "C", 1),
    ],
)
def test_what_illumos_does_not_know_is_refused(
    zone: Zone, words: str, option: str, status: int
) -> None:
    done = zone.run(*words.split())
    first, *rest = done.stderr.splitlines()
    name = words.split()[0]
    assert first == f"{name}: illegal option -- {option}"
    assert rest[0].startswith(f"usage: {name} ")
    assert (done.returncode, done.stdout) == (status, "")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        # find/find.c: commands[]; ps/ps.c takes no operands; getent/getent.c: nss databases
        ("find . -printf %p", "find: bad option -printf"),
        ("find . -name x -quit", "find: bad option -quit"),
        ("ps ax", "ps: illegal argument -- ax"),
        ("getent ahostsv4 localhost", "Unknown database: ahostsv4"),
        ("getent -s files hosts", "getent: illegal option -- s"),
    ],
)
def test_other_things_that_illumos_does_not_know(zone: Zone, words: str, message: str) -> None:
    done = zone.run(*words.split())
    assert done.stderr.splitlines()[0] == message
    assert done.returncode == 1


@pytest.mark.parametrize(
    ("words", "stdin", "output"),
    [
        ("grep -c -e a -e b", "a\nb\nc\n", "2\n"),
        ("grep -cea", "a\nb\n", "1\n"),
        ("grep -n -A1 a -", "a\nb\n", "1:a\n2-b\n"),
        ("grep --label=here -H a", "a\n", "here:a\n"),
        ("sed -n s/a\\(.\\)/\\1/p", "ab\n", "b\n"),
        ("sed s/a/b/ -n -e p", "a\n", None),
        ("tail -n 2", "1\n2\n3\n", "2\n3\n"),
        ("tail -2", "1\n2\n3\n", "2\n3\n"),
        ("head -1", "1\n2\n", "1\n"),
        ("tr -d \n", "a\nb\n", "ab"),
        ("sort -n -u", "2\n1\n2\n", "1\n2\n"),
        ("sort - -u", "2\n2\n", "2\n"),
        ("cut -d: -f2", "a:b\n", "b\n"),
        ("awk -F : {print$2}", "a:b\n", "b\n"),
        ("awk -v x=1 {print$x}", "a b\n", "a\n"),
        ("xargs -n 1 echo -n", "a b", "ab"),
        ("date -u +%%", "", "%\n"),
        ("env -i X=1 sh -c echo$IFS$X", "", None),
        ("cat -", "x\n", "x\n"),
        ("uniq -c", "a\na\n", "      2 a\n"),
        ("find . -maxdepth 0 -name . -exec echo -printf ; -print", "", "-printf\n.\n"),
        ("getent passwd root", "", None),
    ],
)
def test_what_illumos_knows_works(zone: Zone, words: str, stdin: str, output: str | None) -> None:
    done = zone.run(*words.split(" "), stdin=stdin)
    if output is None:
        assert "illegal" not in done.stderr and "bad option" not in done.stderr
    else:
        assert (done.returncode, done.stdout, done.stderr) == (0, output, "")


def test_what_follows_an_operand_is_an_operand(zone: Zone) -> None:
    """getopt(3C) stops at the first operand, getopt_long of GNU does not."""
    assert zone.run("mkdir", "one", "-p").returncode == 0
    assert {path.name for path in zone.directory.iterdir()} >= {"one", "-p"}
    done = zone.run("rm", "one", "-r")
    assert done.returncode == 1
    assert (zone.directory / "one").is_dir()
    words = zone.run("env", "-i", "X=a b", "sh", "-c", 'echo "$X/$1"', "-", "c  d")
    assert words.stdout == "a b/c  d\n"


def test_what_they_start_gets_the_environment_as_it_is(zone: Zone) -> None:
    """exec(2): names that no shell takes, those of the scripts' own variables, and nothing else."""
    wanted = {
        **dict.fromkeys(("n", "word", "rest", "option", "skip", "left", "command"), "hello"),
        "a.b": "1",
        "BASH_FUNC_f%%": "() {  echo from f\n}",
        "LC_CTYPE": "C",
    }
    path = f"PATH={zone.usr}/bin:{zone.usr}/sbin:/usr/bin"
    printed = "\0".join([*(f"{name}={value}" for name, value in wanted.items()), path]) + "\0"
    for words in (["env"], ["xargs"], ["find", ".", "-maxdepth", "0", "-exec"]):
        tail = [";"] if words[0] == "find" else []
        program = [sys.executable, "-ISc", "print(open('/proc/self/environ').read(), end='')"]
        done = zone.run(*words, *program, *tail, env=wanted)
        assert sorted(done.stdout.split("\0")) == sorted(printed.split("\0")), words
    assert zone.run("env", "-i", "env").stdout == ""
    assert zone.run("env", "-i", "n=x", "a.b=y", "env").stdout == "n=x\na.b=y\n"
    shell = "f() { echo from f $1; }; export -f f; echo x | xargs -n 1 bash -c 'f $0'"
    assert zone.run("bash", "-c", shell).stdout == "from f x\n"
    # a signal that Python ignores: signal(7), SIGPIPE
    piped = zone.run("bash", "-c", "env yes | head -n 1; echo ${PIPESTATUS[0]}")
    assert (piped.stdout, piped.stderr) == (f"y\n{128 + signal.SIGPIPE}\n", "")


def test_awk_gets_the_environment_of_its_script(zone: Zone) -> None:
    names = ("n", "word", "rest", "option", "skip", "left", "shown", "status")
    program = "".join(f'print ENVIRON["{name}"];' for name in names)
    done = zone.run("awk", f"BEGIN {{{program}}}", env=dict.fromkeys(names, "hello"))
    assert done.stdout.split() == ["hello"] * len(names)


def test_the_time_of_a_command_grows_with_its_arguments(zone: Zone) -> None:
    """Tried with an operand that looks like an option: it must stay one."""

    def seconds(count: int) -> float:
        names = [f"{number}" for number in range(count)]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = zone.run("cat", "-b", "/dev/null", *names, "-b")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert done.stderr.endswith("-b: No such file or directory\n")
        assert len(done.stderr.splitlines()) == count + 1
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    few, many = min(seconds(1000) for _ in range(3)), min(seconds(8000) for _ in range(3))
    assert many < 24 * few, (few, many)


def test_symbolic_modes_that_look_like_options(zone: Zone) -> None:
    """chmod/chmod.c: main() tells them from -R and -f itself."""
    file = zone.directory / "file"
    file.touch(0o644)
    for before, mode, after in (
        (0o644, "-w", 0o444),
        (0o777, "-x,u+w", 0o666),
        (0o777, "-x,g-w", 0o646),
        (0o644, "-rw", 0o000),
        (0o644, "-w+x", 0o555),
    ):
        file.chmod(before)
        for words in ([mode, "file"], ["-f", mode, "file"], ["-R", "--", mode, "file"]):
            done = zone.run("chmod", *words)
            assert (done.returncode, done.stderr) == (0, ""), words
            assert file.stat().st_mode & 0o777 == after, words
            file.chmod(before)


def test_programs_that_no_zone_has_are_hidden() -> None:
    for name in ("readlink", "timeout"):
        assert f"bin/{name}" in commands.absent(Path("/usr"))


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    child = subprocess.Popen(["sleep", "1000", "0." + "0" * 100])
    yield child
    child.terminate()
    child.wait()


def test_ps_shows_79_characters_of_arguments(
    zone: Zone, process: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """sys/procfs.h: PRARGSZ 80, of which pr_psargs ends with a NUL; the terminal does not count."""
    monkeypatch.setenv("COLUMNS", "60")
    wanted = ("sleep 1000 0." + "0" * 100)[:79]
    assert zone.run("ps", "-o", "args=", "-p", str(process.pid)).stdout == f"{wanted}\n"
    for words in (["ps", "-f", "-p", str(process.pid)], ["ps", "-o", "pid,args"]):
        lines = zone.run(*words, "-p", str(process.pid)).stdout.splitlines()
        assert [line for line in lines if line.endswith(f" {wanted}")], lines
    assert zone.run("ps", "-p", "999999999").returncode == 1


@pytest.mark.parametrize(
    ("words", "output"),
    [
        ("-o args=", "{}\n"),
        ("-oargs=", "{}\n"),
        ("-o pid= -o args=", "{pid} {}\n"),
        ("-o pid=,args=", ",args=\n{pid}\n"),
        ("-o pid= -o args= -o ppid=", "{pid} {} {ppid}\n"),
        ("-o args=WORDS", "WORDS\n{}\n"),
        ("-o args= -o comm", "COMMAND\n{} sleep\n"),
        ("-o ppid= -o pid=", "{ppid} {pid}\n"),
    ],
)
def test_ps_cuts_arguments_where_they_begin(
    zone: Zone, process: subprocess.Popen[bytes], words: str, output: str
) -> None:
    """ps/ps.c, parse_format(): what follows `=`, commas included, is the header."""
    done = zone.run("ps", "-p", str(process.pid), *words.split())
    wanted = ("sleep 1000 0." + "0" * 100)[:79]
    text = output.format(wanted, pid=process.pid, ppid=os.getpid())
    squeezed = [line.split() for line in done.stdout.splitlines()]
    assert squeezed == [line.split() for line in text.splitlines()]


def test_no_line_of_ps_has_more_arguments_than_there_are(
    zone: Zone, process: subprocess.Popen[bytes]
) -> None:
    lines = zone.run("ps", "-eo", "args=").stdout.splitlines()
    assert ("sleep 1000 0." + "0" * 100)[:79] in lines
    assert max(map(len, lines)) <= 79


def test_formats_that_illumos_does_not_know(zone: Zone) -> None:
    """ps/ps.c: fname[]; those of the host show arguments uncut."""
    for name in ("cmd", "command", "euser", "args:200"):
        done = zone.run("ps", "-o", f"pid,{name}=")
        assert done.stderr.splitlines()[0] == f"ps: unknown output format: -o {name}"
        assert (done.returncode, done.stdout) == (1, "")


def run_pgrep(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    status = pgrep.main(list(words))
    shown = capsys.readouterr()
    return status, shown.out, shown.err


def test_pgrep_sees_79_characters(
    capsys: pytest.CaptureFixture[str], process: subprocess.Popen[bytes]
) -> None:
    """pgrep/pgrep.c matches pr_psargs."""
    parent, pid = str(os.getpid()), str(process.pid)
    assert run_pgrep(capsys, "pgrep", "-P", parent, "-f", "1000 0.0{66}") == (0, f"{pid}\n", "")
    assert run_pgrep(capsys, "pgrep", "-P", parent, "-f", "1000 0.0{67}") == (1, "", "")
    assert run_pgrep(capsys, "pgrep", "-x", "-P", parent, "sleep") == (0, f"{pid}\n", "")
    long = run_pgrep(capsys, "pgrep", "-fl", "-P", parent)[1]
    assert long == f"{process.pid:5d} sleep 1000 0.{'0' * 66}\n"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("pattern", "status"),
    [
        ("[[:alpha:]]*[[:blank:]]1[[:digit:]]{3}", 0),
        ("^[[:lower:]p-]+[[:space:]][^[:alpha:][:cntrl:]]+$", 0),
        ("^[[:upper:]]", 1),
        ("1000[[:punct:]]", 1),
        ("[[:punct:]]0", 0),
    ],
)
def test_character_classes_of_pgrep(
    capsys: pytest.CaptureFixture[str], process: subprocess.Popen[bytes], pattern: str, status: int
) -> None:
    """pgrep/pgrep.c: regcomp(3C) with REG_EXTENDED."""
    found = run_pgrep(capsys, "pgrep", "-P", str(os.getpid()), "-f", pattern)
    assert found == (status, "" if status else f"{process.pid}\n", "")


@pytest.mark.parametrize(
    ("words", "message", "status"),
    [
        ("pgrep [[:nothing:]]", "[[:nothing:]]: invalid character class", 2),
        ("pgrep", "No matching criteria specified", 2),
        ("pgrep -a x", "illegal option -- a", 2),
        ("pgrep -P", "missing argument -- P", 2),
        ("pgrep x y", "illegal argument -- y", 2),
        ("pgrep -n -o x", "-n and -o are mutually exclusive", 2),
        ("pgrep -u no-such-user", "invalid user name -- no-such-user", 2),
        ("pgrep -c x", "invalid argument for option 'c' -- x", 2),
        ("pgrep --full x", "illegal option -- -", 2),
        ("pkill -l x", "illegal option -- l", 2),
    ],
)
def test_messages_of_pgrep(
    capsys: pytest.CaptureFixture[str], words: str, message: str, status: int
) -> None:
    program = words.split()[0]
    found = run_pgrep(capsys, *words.split())
    assert found[0] == status
    assert found[2].splitlines()[0] == f"{program}: {message}"
    shows_usage = "invalid" not in message
    assert (f"Usage: {program} [" in found[2]) is shows_usage


def test_pkill_sends_the_signal_that_it_is_told(
    capsys: pytest.CaptureFixture[str], process: subprocess.Popen[bytes]
) -> None:
    parent = str(os.getpid())
    assert run_pgrep(capsys, "pkill", "-USR1", "-P", parent, "-x", "sleep") == (0, "", "")
    assert process.wait(10) == -10
    assert run_pgrep(capsys, "pkill", "-P", parent, "-x", "sleep") == (1, "", "")
