# Boot script's part for engines: address and key of the controller from the metadata of this
# machine, and the services enabled. Waits for metadata that come after the machine.
# The key is in a variable of this shell, which no other program sees, and in pipes.
#
# instances  names of the instances
# patience   seconds to wait for the metadata
# python     the interpreter that the role pkgsrc has linked

PATH=/usr/sbin:/usr/bin:/sbin:/bin
export PATH

fail() {
    printf 'failed: %s\n' "$@"
    exit 1
}

fetch() {
    url=$(mdata-get ipython.url 2>/dev/null) || { missing=ipython.url; return 1; }
    key=$(mdata-get ipython.key 2>/dev/null) || { missing=ipython.key; return 1; }
}

wait_for_metadata() {
    deadline=
    until fetch; do
        now=$(date +%s)
        : "${deadline:=$((now + patience))}"
        [ "$now" -lt "$deadline" ] || fail "No metadata $missing after $patience s." \
            "Set it (triton instance metadata update ID $missing=VALUE) and: svcadm clear ipyparallel-boot"
        sleep 1
    done
}

# The name that the container name service gives the controller may not be known yet, or not to the
# resolvers of this machine. An engine asks again at every start, so it is no reason to stop.
say_if_unknown() {
    host=${url#tcp://}
    host=${host%:*}
    "$python" -I -S -c 'import socket, sys; socket.getaddrinfo(sys.argv[1], None)' "$host" 2>/dev/null ||
        printf 'warning: %s\n' "the name of the controller, $host, does not resolve here; where it never does" \
            "(see /etc/resolv.conf), run again with controller_address=later or an address"
}

# configured INSTANCE: whether it has this address and key. Reading undoes svcprop's backslashes.
configured() {
    present_url='' present_key=''
    # shellcheck disable=SC2162
    while read name _ value; do
        case $name in
        config/url) present_url=$value ;;
        config/exec_key) present_key=$value ;;
        esac
    done <<END
$(svcprop -c -t -p config/url -p config/exec_key "$1" 2>/dev/null)
END
    [ "$url" = "$present_url" ] && [ "$key" = "$present_key" ]
}

# configure INSTANCE: give it address and key, unless it has them. One that is disabled, as all are
# at the first boot, gets them unasked.
configure() {
    state=$(svcs -H -o sta "$1")
    [ "$state" = DIS ] || ! configured "$1" || return
    {
        printf 'select %s\n' "$1"
        printf 'setprop config/url = astring: "%s"\n' "$url"
        printf 'setprop config/exec_key = astring: "%s"\nrefresh\n' "$key"
    } | svccfg -f - || fail "svccfg cannot configure $1."
    printf 'changed: %s\n' "$1"
    [ "$state" = DIS ] || svcadm restart "$1"
}

set -f
wait_for_metadata
say_if_unknown
for instance in $instances; do
    configure "svc:/pkgsrc/ipyparallel:$instance"
    log=$(svcadm enable "svc:/pkgsrc/ipyparallel:$instance" 2>&1) ||
        fail "svcadm cannot enable the instance $instance:" "$log"
done
