"""Metadata and the user-script in real zones: at each boot, its log, its limit, maintenance."""

from __future__ import annotations

from embedded.center import eventually

from .conftest import NewZone, Zone

LOG = "/var/svc/log/smartdc-mdata:execute.log"
COUNTS = """#!/bin/sh
echo "path $PATH in $(pwd) as $(id -un)"
echo one >>/var/tmp/boots
mdata-put boots "$(wc -l </var/tmp/boots | tr -d ' ')"
"""


def test_the_user_script_runs_at_each_boot(new_zone: NewZone) -> None:
    zone = new_zone(metadata={"user-script": COUNTS, "user-data": "some"})
    zone.settle()
    assert zone.succeed("mdata-get boots") == "1\n"
    assert zone.succeed("cat /var/db/mdata-user-data") == "some\n"
    assert zone.run("ls /var/svc/provisioning")[0] != 0
    zone.succeed("ls /var/svc/provision_success")
    log = zone.succeed(f"cat {LOG}")
    assert "path /usr/sbin:/usr/bin in / as root" in log
    assert "+ /var/svc/mdata-user-script" in log
    assert 'Method "start" exited with status 0.' in log
    zone.machine.reboot()
    eventually(lambda: zone.run("cat /var/tmp/boots")[1] == "one\none\n", 60)
    zone.settle()
    assert zone.succeed("mdata-get boots") == "2\n"


def test_a_user_script_that_is_gone_does_not_run_again(new_zone: NewZone) -> None:
    zone = new_zone(metadata={"user-script": COUNTS})
    zone.settle()
    zone.succeed("mdata-delete user-script")
    zone.machine.reboot()
    eventually(lambda: zone.run("test ! -e /var/svc/mdata-user-script")[0] == 0, 60)
    zone.settle()
    assert zone.succeed("cat /var/tmp/boots") == "one\n"


def test_a_failing_user_script_means_maintenance(new_zone: NewZone) -> None:
    zone = new_zone(metadata={"user-script": "#!/bin/sh\necho no luck >&2\nexit 7\n"})
    zone.settle()
    assert zone.succeed("svcs -H -o sta smartdc/mdata:execute").strip() == "MNT"
    log = zone.succeed(f"cat {LOG}")
    assert "no luck" in log and "user-script failed with status 7" in log
    assert 'Method "start" exited with status 95.' in log
    # the machine itself is up all the same, as after a provision that went well
    assert zone.machine.status() == "running"
    repaired = "printf '#!/bin/sh\\ntrue\\n' >/var/svc/mdata-user-script"
    zone.succeed(f"{repaired}; svcadm clear smartdc/mdata:execute")
    eventually(lambda: zone.succeed("svcs -H -o sta smartdc/mdata:execute").strip() == "ON", 20)


def test_a_user_script_that_takes_too_long(zone: Zone) -> None:
    zone.settle()
    assert zone.succeed("svcprop -p start/timeout_seconds smartdc/mdata:execute") == "300\n"
    zone.succeed(
        "printf '#!/bin/sh\\nsleep 500\\n' >/var/svc/mdata-user-script;"
        "chmod 700 /var/svc/mdata-user-script;"
        "svccfg -s smartdc/mdata:execute setprop start/timeout_seconds = count: 1;"
        "svcadm refresh smartdc/mdata:execute; svcadm restart smartdc/mdata:execute"
    )
    eventually(lambda: zone.succeed("svcs -H -o sta smartdc/mdata:execute").strip() == "MNT", 30)
    assert "Method or service exit timed out.  Killing contract" in zone.succeed(f"cat {LOG}")
    assert zone.run("pgrep -x sleep")[0] != 0


def test_the_operators_script_runs_first_and_may_fail(zone: Zone) -> None:
    zone.settle()
    for name, status in (("operator", 3), ("user", 0)):
        script = f"/var/svc/mdata-{name}-script"
        zone.succeed(
            f"printf '#!/bin/sh\\necho {name} >>/var/tmp/ran\\nexit {status}\\n' >{script}; "
            f"chmod 700 {script}"
        )
    zone.succeed("touch /var/svc/provisioning; svcadm restart smartdc/mdata:execute")
    eventually(lambda: zone.run("cat /var/tmp/ran")[1] == "operator\nuser\n", 30)
    zone.settle()
    assert zone.succeed("svcs -H -o sta smartdc/mdata:execute").strip() == "ON"
    assert "operator-script failed with status 3" in zone.succeed(f"cat {LOG}")
    zone.succeed("test -e /var/svc/provision_success && test ! -e /var/svc/provisioning")
    # neither key is set, so that the next boot takes both files away
    zone.machine.reboot()
    eventually(lambda: zone.run("ls /var/svc/mdata-*-script")[0] != 0, 60)
    zone.settle()
    assert zone.succeed("cat /var/tmp/ran") == "operator\nuser\n"


def test_values_that_are_large_or_odd(new_zone: NewZone) -> None:
    zone = new_zone()
    encode = "/opt/local/gnu/bin/base64 -w0"
    zone.succeed(f"head -c 786432 /dev/urandom | {encode} >/var/tmp/big; wc -c </var/tmp/big")
    zone.succeed("mdata-put big </var/tmp/big")
    zone.succeed("mdata-get big | head -c 1048576 | cmp - /var/tmp/big")
    zone.succeed("printf 'gr\\303\\274n\\377' | mdata-put 'odd key'; mdata-put -- x || test $? = 3")
    found = zone.machine.get_metadata()
    assert found["odd key"] == "gr\u00fcn\ufffd"
    assert len(found["big"]) == 1 << 20
    # and what CloudAPI changes is there at once
    zone.machine.update_metadata(colour="red")
    assert zone.succeed("mdata-get colour") == "red\n"


def test_the_namespaces(new_zone: NewZone) -> None:
    zone = new_zone(metadata={"colour": "blue"}, tags={"role": "engine"})
    assert zone.succeed("mdata-get colour") == "blue\n"
    assert zone.succeed("mdata-get sdc:tags.role") == "engine\n"
    assert zone.succeed("mdata-get sdc:uuid") == f"{zone.machine.id}\n"
    assert zone.succeed("mdata-get sdc:nics.0.ip") == f"{zone.address}\n"
    assert zone.run("mdata-get nosuch") == (1, "No metadata for 'nosuch'\n")
    assert zone.run("mdata-put sdc:uuid x") == (2, 'Cannot update the "sdc" Namespace.\n')
    assert zone.run("mdata-get")[0] == 3
    assert "sdc:" not in zone.succeed("mdata-list")
    assert zone.run("echo -n '' | mdata-put colour")[0] == 0
    assert zone.run("mdata-get colour")[0] == 1
    # only root may ask
    assert zone.run("su nobody -s /bin/sh -c 'mdata-get sdc:uuid'")[0] != 0
