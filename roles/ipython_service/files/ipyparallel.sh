#!/bin/sh
#
# Method of svc:/pkgsrc/ipyparallel: ipyparallel controller|engine|stop
#
# Everything it needs is in the property group config of its instance. The key of the
# cluster goes into files that only this user can read: an argument shows in ps, and the
# environment is inherited by every program that a computation starts.

SMF_EXIT_ERR_FATAL=95
SMF_EXIT_ERR_CONFIG=96

PYTHON=${IPYPARALLEL_PYTHON:-/opt/local/libexec/ipyparallel/python3}
SMF_INCLUDE=${IPYPARALLEL_SMF_INCLUDE:-/lib/svc/share/smf_include.sh}
PROGRAMS=${IPYPARALLEL_PROGRAMS:-/opt/local/libexec/ipyparallel}
# seconds for a repository that does not answer: svc.configd may be starting anew
REPOSITORY_PATIENCE=${IPYPARALLEL_REPOSITORY_PATIENCE:-20}

# echo would interpret backslashes, and cut the text at one with a c.
die() {
    status=$1; shift
    printf 'ipyparallel: %s\n' "$*" >&2
    exit "$status"
}

# Waits for the properties. Only what no waiting mends is a configuration error, which means
# maintenance at once, also under the wait model; the texts are those of illumos' svcprop.c. What
# svcprop prints besides them is kept from the log, which everybody can read.
fetch_config() {
    tries=0
    until config=$(svcprop -p config "$SMF_FMRI" 2>/dev/null); do
        reason=$(svcprop -p config "$SMF_FMRI" 2>&1 >/dev/null)
        case $reason in
        *'Permission denied'*)
            die $SMF_EXIT_ERR_CONFIG "user $(id -un) may not read the properties config/* of $SMF_FMRI;" \
                "is solaris.smf.read.ipyparallel granted to it in /etc/user_attr?" ;;
        *"Couldn't find"*)
            die $SMF_EXIT_ERR_CONFIG "$SMF_FMRI has no properties config/* ($reason);" \
                "import the manifest again: svccfg import /opt/local/lib/svc/manifest/ipyparallel.xml" ;;
        esac
        tries=$((tries + 1))
        [ "$tries" -le "$REPOSITORY_PATIENCE" ] ||
            die 1 "cannot read the properties config/* of $SMF_FMRI for $REPOSITORY_PATIENCE s: $reason"
        sleep 1
    done
}

# svcprop escapes with backslashes just as read without -r undoes them.
read_config() {
    fetch_config
    args='' exec_key='' ip='' port='' profile='' timeout='' url=''
    # shellcheck disable=SC2162
    while read name _ value; do
        [ "$value" = '""' ] && value=''
        case $name in
        config/args)     args=$value ;;
        config/exec_key) exec_key=$value ;;
        config/ip)       ip=$value ;;
        config/port)     port=$value ;;
        config/profile)  profile=$value ;;
        config/timeout)  timeout=$value ;;
        config/url)      url=$value ;;
        esac
    done <<END
$config
END
    [ -x "$PYTHON" ] || die $SMF_EXIT_ERR_CONFIG "no Python at $PYTHON: are the packages installed?"
    : "${profile:=default}" "${timeout:=60}"
    profile_dir=$IPYTHONDIR/profile_$profile
    security_dir=$profile_dir/security
}

# The last private address (RFC 1918), else the last shared one (RFC 6598), else the last one. That
# net1 is internal holds for CloudAPI's own choice of networks only. The module
# ipcontroller_metadata goes by the same rule.
own_address() {
    ifconfig -a | awk '
        $1 != "inet" { next }
        { split($2, address, "/"); split(address[1], n, ".") }
        n[1] == 127 || address[1] == "0.0.0.0" { next }
        { last = address[1] }
        n[1] == 10 || n[1] == 172 && n[2] >= 16 && n[2] <= 31 || n[1] == 192 && n[2] == 168 { private = last }
        n[1] == 100 && n[2] >= 64 && n[2] <= 127 { shared = last }
        END {
            if (shared != "") last = shared
            if (private != "") last = private
            if (last == "") exit 1
            print last
        }'
}

# SmartOS has had a soft limit of 1024 for descriptors, and ipyparallel does not raise it. A
# controller needs 107 and 6 more for every engine.
raise_descriptor_limit() {
    ulimit -n "$(ulimit -H -n)"
}

need_programs() {
    for name; do
        [ -r "$PROGRAMS/$name" ] ||
            die $SMF_EXIT_ERR_CONFIG "no program at $PROGRAMS/$name: run site.yml again"
    done
}

make_key() {
    [ -s "$1" ] || (
        umask 077
        mkdir -p "${1%/*}" && "$PYTHON" -I -S -c 'import secrets; print(secrets.token_hex(32), end="")' >"$1"
    ) || die $SMF_EXIT_ERR_FATAL "cannot write $1"
}

start_controller() {
    : "${port:=20000}"
    [ -n "$ip" ] || ip=$(own_address) ||
        die $SMF_EXIT_ERR_CONFIG "this machine has no address (ifconfig -a); set config/ip"
    need_programs heartbeat.py next_id.py
    file=$security_dir/ipcontroller-engine.json
    ports=$port-$((port + 17))
    if [ ! -e "$file" ]; then
        :
    elif grep -q "\"interface\": \"tcp://$ip\"" "$file" && grep -q "\"registration\": $port," "$file"
    then
        # Addresses, ports and key come from the files of the last run, all but the three
        # ports that only the controller itself uses.
        ports=$((port + 15))-$((port + 17))
        "$PYTHON" -I -S "$PROGRAMS/next_id.py" "$profile_dir/log/engines.json"
    else
        printf 'ipyparallel: the address is %s now: new connection files\n' "$ip:$port"
        rm -f "$security_dir"/ipcontroller-*.json "$profile_dir"/log/engines*.json
    fi
    # The key outlives the connection files. A boot script may have brought it.
    [ -e "$file" ] || make_key "$security_dir/ipcontroller.key"
    [ -e "$file" ] || args="--Session.keyfile=$security_dir/ipcontroller.key $args"
    raise_descriptor_limit
    set -f
    # shellcheck disable=SC2086
    "$PYTHON" -m ipyparallel.controller --profile="$profile" \
        --IPController.engine_ip="$ip" --IPController.client_ip=127.0.0.1 \
        --IPController.location="$ip" --ports="$ports" --restore $args &
    "$PYTHON" -I "$PROGRAMS/heartbeat.py" "$ip" $((port + 5)) $! "$timeout"
    beating=$?
    case $beating in
    0) exit 0 ;;
    2) die 1 "the controller ended before it was listening on $ip:$port" ;;
    esac
    kill $!
    case $beating in
    1) die 1 "the controller was not listening on $ip:$port within $timeout s" ;;
    3) die 1 "the controller is listening on $ip:$port, but its heart does not beat" ;;
    *) die 1 "nobody knows whether the controller is up: the probe ended with status $beating" ;;
    esac
}

start_engine() {
    host=${url#tcp://}
    base=${host##*:}
    host=${host%:*}
    # 08 is 8 to ksh93, and an error to others
    case $base in 0* | *[!0-9]*) base='' ;; esac
    [ -n "$host" ] && [ -n "$base" ] && [ "$url" = "tcp://$host:$base" ] ||
        die $SMF_EXIT_ERR_CONFIG "config/url is '$url'; set it to tcp://HOST:PORT of the controller"
    [ -n "$exec_key" ] ||
        die $SMF_EXIT_ERR_CONFIG "config/exec_key is empty; set it to the key of the controller"
    file=$security_dir/$instance.json
    umask 077
    mkdir -p "$security_dir" || die $SMF_EXIT_ERR_FATAL "cannot write to $IPYTHONDIR"
    # The controller's ports follow its registration port in this order (--ports).
    printf '{"interface":"tcp://%s","location":"%s","registration":%d,"control":%d,"mux":%d,"task":%d,"iopub":%d,"hb_ping":%d,"hb_pong":%d,"broadcast":[%d,%d],"key":"%s","pack":"json","unpack":"json","signature_scheme":"hmac-sha256"}\n' \
        "$host" "$host" "$base" $((base + 1)) $((base + 2)) $((base + 3)) $((base + 4)) \
        $((base + 5)) $((base + 6)) $((base + 7)) $((base + 8)) "$exec_key" >"$file.$$" &&
        mv "$file.$$" "$file" || die $SMF_EXIT_ERR_FATAL "cannot write $file"
    umask 022
    need_programs engine.py
    raise_descriptor_limit
    set -f
    # shellcheck disable=SC2086
    exec "$PYTHON" "$PROGRAMS/engine.py" --profile="$profile" \
        --IPEngine.url_file="$file" --timeout="$timeout" $args
}

# Returns whether the process ended within so many tenths of a second.
ended_within() {
    tenths=$1
    while kill -0 "$2" 2>/dev/null; do
        [ "$tenths" -gt 0 ] || return 1
        tenths=$((tenths - 1))
        sleep 0.1
    done
}

# The engine alone is signalled first: its nanny then tells the controller that it is gone.
# Signalling both would leave a dead id until the heartbeat gives up. One that does not listen,
# deep in somebody's computation, is killed: a stop method that takes too long means maintenance.
stop_engine() {
    pid=$(svcprop -p restarter/start_pid "$SMF_FMRI") && [ -n "$pid" ] || exit 0
    # the engine's first child; a pattern for its arguments would see but 79 characters of them
    nanny=$(pgrep -o -P "$pid")
    kill "$pid" 2>/dev/null
    ended_within 100 "$pid" || kill -9 "$pid"
    # it would try for 3 s to tell a controller that is gone as well
    [ -z "$nanny" ] || ended_within 10 "$nanny"
    end_contract "$(svcprop -p restarter/contract "$SMF_FMRI")"
    exit 0
}

# end_contract CONTRACT: end what a computation has left running. A process that ignores TERM would
# keep the contract until the time of the method is over, and that means maintenance. KILL is
# repeated, too: it goes from process to process, and may miss one that forks.
end_contract() {
    [ -n "$1" ] && [ -r "$SMF_INCLUDE" ] || return
    . "$SMF_INCLUDE"
    smf_kill_contract "$1" TERM 1 5 || smf_kill_contract "$1" KILL 1 20
}

[ -n "$SMF_FMRI" ] || die 99 "to be run by SMF: svcadm enable ipyparallel:engine"
instance=${SMF_FMRI##*:}
case $1 in
controller) read_config; start_controller ;;
engine)     read_config; start_engine ;;
stop)       stop_engine ;;
*)          die $SMF_EXIT_ERR_FATAL "usage: ipyparallel controller|engine|stop" ;;
esac
