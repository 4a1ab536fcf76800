# Boot script's part for engines: address and key of the controller from the metadata of this
# machine, and the services enabled. Waits for metadata that come after the machine.
# The key passes through pipes only; a variable or an argument could be seen.
#
# instances  names of the instances
# patience   seconds to wait for the metadata

PATH=/usr/sbin:/usr/bin:/sbin:/bin
export PATH

fail() {
    for line; do echo "failed: $line"; done
    exit 1
}

wait_for_metadata() {
    deadline=$(($(date +%s) + patience))
    for key in ipython.url ipython.key; do
        until mdata-get $key >/dev/null 2>&1; do
            [ "$(date +%s)" -lt "$deadline" ] || fail "No metadata $key after $patience s." \
                "Set it (triton instance metadata update ID $key=VALUE) and: svcadm clear mdata:execute"
            sleep 1
        done
    done
}

# configure INSTANCE: give it address and key, unless it has them.
configure() {
    wanted=$({ mdata-get ipython.url; mdata-get ipython.key; } | cksum)
    present=$({ svcprop -c -p config/url "$1"; svcprop -c -p config/exec_key "$1"; } 2>/dev/null | cksum)
    [ "$wanted" != "$present" ] || return 0
    {
        echo "select $1"
        printf 'setprop config/url = astring: "%s"\n' "$(mdata-get ipython.url)"
        printf 'setprop config/exec_key = astring: "'
        mdata-get ipython.key | tr -d '\n'
        printf '"\nrefresh\n'
    } | svccfg -f - || fail "svccfg cannot configure $1."
    echo "changed: $1"
    [ "$(svcs -H -o sta "$1")" = DIS ] || svcadm restart "$1"
}

wait_for_metadata
for instance in $instances; do
    configure "svc:/pkgsrc/ipyparallel:$instance"
    log=$(svcadm enable "svc:/pkgsrc/ipyparallel:$instance" 2>&1) ||
        fail "svcadm cannot enable the instance $instance:" "$log"
done
