# Waits until the machine has run its boot script, then brings in Python and the packages
# that are missing, in one transaction of pkgin.
#
# boot_timeout  seconds to wait for svc:/smartdc/mdata:execute
# python        Python version to prefer, such as 3.12 (the one of the user's machine)
# packages      package names; pyNN- stands for the Python version that was chosen
# link          where the interpreter is linked to, a name that does not change with its version
# check_mode    not empty: say what would change, change nothing

PATH=/usr/sbin:/usr/bin:/sbin:/bin:/opt/local/sbin:/opt/local/bin
export PATH

fail() {
    for line; do echo "failed: $line"; done
    exit 1
}

tail_of() {
    tail -n 8 "$1" 2>/dev/null | sed 's/^/    /'
}

fail_with_log() {
    echo "failed: $1"
    tail_of "$2" | sed 's/^/failed: /'
    shift 2
    fail "$@"
}

# The rules of svcs' columns STA and NSTA: ON means done, MNT means never, the rest patience.
wait_for_boot_script() {
    service=svc:/smartdc/mdata:execute
    deadline=$(($(date +%s) + boot_timeout))
    while :; do
        state=$(svcs -H -o STA,NSTA $service 2>&1) || fail "svcs does not know $service: $state"
        case $state in
        ON*-*) return ;;
        MNT*) fail_with_log "The user-script of this machine failed: $service is in maintenance." \
            /var/svc/log/smartdc-mdata:execute.log \
            "Correct machine_user_script and delete this machine (the next run makes a new one)," \
            "or repair it by hand and: svcadm clear $service" ;;
        esac
        [ "$(date +%s)" -lt "$deadline" ] || fail_with_log \
            "$service is still in state '$state' after $boot_timeout s." \
            /var/svc/log/smartdc-mdata:execute.log "Raise pkgsrc_boot_timeout if the script needs longer."
        sleep 0.2
    done
}

offered() {
    pkgin -p search '^py3[0-9]+-ipyparallel-[0-9]' 2>/dev/null |
        sed -n 's/^py\(3[0-9]*\)-ipyparallel-.*/\1/p' | sort -n
}

# The Python that is linked already, else the preferred one if the repository has
# ipyparallel for it, else the newest for which it has.
choose_python() {
    nn=$(readlink "$link" | sed -n 's/.*python\([0-9]*\)\.\([0-9]*\)$/\1\2/p')
    [ -z "$nn" ] || return
    versions=$(offered)
    if [ -z "$versions" ]; then
        # a machine that never asked its repository knows of no package
        log=$(pkgin -y update 2>&1) || fail "pkgin cannot read its package repository:" "$(echo "$log" | tail -n 3)" \
            "Look at /opt/local/etc/pkgin/repositories.conf on this machine."
        versions=$(offered)
    fi
    preferred=$(echo "$python" | tr -d .)
    for nn in $versions; do
        [ "$nn" = "$preferred" ] && return
    done
    [ -n "$nn" ] || fail "The package repository has no py3NN-ipyparallel (asked: pkgin search ipyparallel)." \
        "Choose a machine_image whose pkgsrc release has it."
}

missing() {
    installed=$(pkg_info 2>/dev/null | sed 's/ .*//')
    for name; do
        echo "$installed" | grep -q "^$name-[0-9][^-]*\$" || echo "$name"
    done
}

wait_for_boot_script
choose_python
interpreter=/opt/local/bin/python${nn%"${nn#?}"}.${nn#?}
# shellcheck disable=SC2086
set -- "python$nn" $(echo " $packages" | sed "s/ pyNN-/ py$nn-/g")
wanted=$(missing "$@")
for name in $wanted; do echo "changed: package $name installed"; done
if [ -n "$wanted" ] && [ -z "$check_mode" ]; then
    # shellcheck disable=SC2086
    log=$(pkgin -y install $wanted 2>&1) || pkgin_failed=yes
    left=$(missing "$@")
    # shellcheck disable=SC2086
    [ -z "$left" ] || fail "Not installed:" $left "pkgin said:" "$(echo "$log" | tail -n 5)" \
        "Correct the names (pkgin search NAME on this machine) or choose another machine_image."
    [ -z "$pkgin_failed" ] || fail "pkgin failed:" "$(echo "$log" | tail -n 5)"
fi
if [ "$(readlink "$link")" != "$interpreter" ]; then
    echo "changed: $link -> $interpreter"
    if [ -z "$check_mode" ]; then
        mkdir -p "${link%/*}" && ln -sf "$interpreter" "$link" || fail "Cannot link $link to $interpreter."
    fi
fi
