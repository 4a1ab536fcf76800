# Waits until the machine has run its boot script, then brings in Python and the packages
# that are missing, in one transaction of pkgin, and what is wanted from the Python package
# index in one of pip, into a virtual environment that sees the packages of pkgsrc.
#
# boot_timeout  seconds to wait for svc:/smartdc/mdata:execute; empty in the boot script itself
# boot_service  service that a boot script goes on in (role boot_script)
# boot_manifest its manifest, which only machines that configure themselves have
# patience      seconds to try again for, while the package repository cannot be reached
# python        Python version to prefer, such as 3.12 (the one of the user's machine)
# python_only   not empty: fail where the repository has no ipyparallel for that version
# packages      package names; pyNN- stands for the Python version that was chosen
# pip_packages  requirements for pip
# unmet         program that prints those of the requirements that its environment does not meet
# ipyparallel   requirement for pip where the repository has no ipyparallel
# link          where the interpreter is linked to, a name that does not change with its version
# check_mode    not empty: say what would change, change nothing

PATH=/usr/sbin:/usr/bin:/sbin:/bin:/opt/local/sbin:/opt/local/bin
export PATH

fail() {
    for text; do printf '%s\n' "$text" | sed 's/^/failed: /'; done
    exit 1
}

# fail_with_log SERVICE TEXT ADVICE...: the end of its log in between.
fail_with_log() {
    file=${1#svc:/}
    printf 'failed: %s\n' "$2"
    tail -n 8 "/var/svc/log/${file%%/*}-${file#*/}.log" 2>/dev/null | sed 's/^/failed:     /'
    shift 2
    fail "$@"
}

# wait_for SERVICE SECONDS ADVICE...
# The rules of svcs' columns STA and NSTA: ON means done, MNT means never, the rest patience.
wait_for() {
    service=$1 limit=$2
    shift 2
    deadline=$(($(date +%s) + limit))
    while :; do
        state=$(svcs -H -o STA,NSTA "$service" 2>&1) || fail "svcs does not know $service: $state"
        case $state in
        ON*-*) return ;;
        MNT*) fail_with_log "$service" "$@" ;;
        esac
        [ "$(date +%s)" -lt "$deadline" ] || fail_with_log "$service" \
            "$service is still in state '$state' after $limit s." \
            "If it only needs longer, run again with a higher pkgsrc_boot_timeout or boot_script_timeout."
        sleep 0.2
    done
}

wait_for_boot_script() {
    execute=svc:/smartdc/mdata:execute
    wait_for "$execute" "$boot_timeout" \
        "The user-script of this machine failed: $execute is in maintenance." \
        "Correct machine_user_script and delete this machine (the next run makes a new one)," \
        "or repair it by hand and: svcadm clear $execute"
    [ -e "$boot_manifest" ] || return 0
    limit=$(svcprop -p start/timeout_seconds "$boot_service") || fail "There is $boot_manifest, but no $boot_service."
    # SMF kills it when its time is up
    wait_for "$boot_service" "$((limit + 15))" \
        "The boot script of this machine failed: $boot_service is in maintenance." \
        "Mend what its log says. What the script itself has wrong, such as a package's name, is corrected" \
        "by the next run and a reboot of the machine; for the rest: svcadm clear $boot_service"
}

# Those of the catalogue's Python versions for which it has all these packages.
offered() {
    for nn in $pythons; do
        for name; do
            case "$nl$catalogue" in *"${nl}py$nn-$name-"[0-9]*) ;; *) continue 2 ;; esac
        done
        printf '%s\n' "$nn"
    done
}

read_catalogue() {
    catalogue=$(pkgin -p search '^py3[0-9]+-(ipyparallel|zmq|numpy|psutil|pip)-[0-9]' 2>/dev/null)
    # oldest first
    pythons=$(printf '%s\n' "$catalogue" | sed -n 's/^py\(3[0-9]*\)-.*/\1/p' | sort -n -u)
    versions=$(offered ipyparallel numpy)
    # with these from pkgsrc, ipyparallel needs nothing that a compiler would have to make
    [ -n "$versions" ] || from_pip=$(offered zmq numpy psutil pip)
}

# Runs pkgin, and leaves in log what it says. A machine that has just booted may have no network
# yet, and another pkgin may hold the database, so these two get time to pass.
patiently() {
    deadline=
    while ! log=$(pkgin "$@" 2>&1); do
        case $log in
        *"Could not fetch"* | *"database is locked"*) now=$(date +%s) ;;
        *) return 1 ;;
        esac
        : "${deadline:=$((now + ${patience:-0}))}"
        [ "$now" -lt "$deadline" ] || return 1
        sleep 1
    done
}

# report WHAT WANTED LEFT: each of the wanted that is not left over.
report() {
    for name in $2; do
        case "$nl$3$nl" in *"$nl$name$nl"*) ;; *) printf 'changed: %s %s installed\n' "$1" "$name" ;; esac
    done
}

repository_failed() {
    fail "pkgin cannot read its package repository:" "$(printf '%s\n' "$log" | tail -n 3)" \
        "Look at the network of this machine and at /opt/local/etc/pkgin/repositories.conf, then run again."
}

# Where the link leads, empty where there is none. Not every release of the platform has readlink.
link_target() {
    # shellcheck disable=SC2012
    [ ! -L "$link" ] || ls -ld "$link" | sed 's/.* -> //'
}

without_dot() {
    printf '%s\n' "${1%%.*}${1#*.}"
}

# The Python that is linked already, else the preferred one if the repository has
# ipyparallel for it, else the newest for which it has. Where it has none at all, the
# same with what pip needs to bring ipyparallel in.
choose_python() {
    nn=
    case $linked in
    *python[0-9].[0-9]*) nn=$(without_dot "${linked##*python}") ;;
    esac
    if [ -n "$nn" ]; then
        [ ! -e "$venv/ipyparallel-by-pip" ] || from_pip=$nn
        return
    fi
    read_catalogue
    if [ -z "$versions$from_pip" ]; then
        # a machine that never asked its repository knows of no package
        patiently -y update || repository_failed
        read_catalogue
    fi
    preferred=$(without_dot "$python")
    for nn in ${versions:-$from_pip}; do
        [ "$nn" = "$preferred" ] && return
    done
    [ -z "$nn" ] || [ -z "$python_only" ] || fail \
        "The machines of this cluster are to run Python $python, and the package repository of this one has" \
        "ipyparallel for other versions only (py3NN, NN:" ${versions:-$from_pip} "). Choose the machine_image of the others."
    [ -n "$nn" ] || fail "The package repository has no py3NN-ipyparallel (asked: pkgin search ipyparallel)," \
        "and for no Python what pip needs to bring it in (py3NN-zmq, -numpy, -psutil, -pip). Choose a machine_image whose pkgsrc release has it."
}

# Those of the packages that are not installed. One pkg_info tells of all names; what has more
# than a name, such as py312-scipy>=1.10, is asked for by itself.
missing() {
    stems=$(pkg_info 2>/dev/null | sed 's/ .*//; s/-[^-]*$//')
    for name; do
        case "$nl$stems$nl" in *"$nl$name$nl"*) continue ;; esac
        case $name in *[][*?{}=\<\>]* | *-[0-9]*) ! pkg_info -qe "$name" 2>/dev/null || continue ;; esac
        printf '%s\n' "$name"
    done
}

# Where there is no interpreter, there are no packages for it.
all_missing() {
    [ ! -e "$interpreter" ] || return
    for name; do
        case $name in "python$nn" | "py$nn-"*) ;; *) return 1 ;; esac
    done
}

# venv writes this line last: what was interrupted before has no pip and sees no package.
venv_is_complete() {
    [ -x "$venv/bin/python3" ] && grep -q '^include-system-site-packages = true' "$venv/pyvenv.cfg" 2>/dev/null
}

unmet_requirements() {
    if venv_is_complete; then
        "$venv/bin/python3" -W ignore -c "$unmet" "$@" 2>&1
    else
        printf '%s\n' "$@"
    fi
}

# What pip tried to build from source. For SunOS there are no wheels of what has parts in C.
# One whose metadata already need a compiler is not named, but it is the last that pip turned to.
compiled() {
    case $log in
    *"generating package metadata"*)
        printf '%s\n' "$log" | sed -n '
            s/^Collecting \([A-Za-z0-9._-]*\).*/\1/p
            s/^Processing .*\/\([A-Za-z0-9._]*\)-[0-9][^/]*$/\1/p' | tail -n 1 ;;
    *)
        printf '%s\n' "$log" | sed -n '
            s/.*Failed building wheel for \([A-Za-z0-9._-]*\).*/\1/p
            s/.*> \([A-Za-z0-9._-]*\)$/\1/p' | sort -u ;;
    esac
}

install_with_pip() {
    venv_is_complete || log=$("$interpreter" -m venv --system-site-packages --without-pip "$venv" 2>&1) ||
        fail "Cannot make the virtual environment $venv:" "$(printf '%s\n' "$log" | tail -n 5)"
    if ! log=$("$venv/bin/python3" -m pip install --no-input --disable-pip-version-check "$@" 2>&1); then
        # shellcheck disable=SC2086
        report 'Python package' "$wanted" "$(unmet_requirements $wanted)"
        hint="Correct python_packages; this machine must reach the Python package index, or what /etc/pip.conf says."
        ! grep -q '^no-index' /etc/pip.conf 2>/dev/null ||
            hint="Machines of the embedded data center have no network. Fetch it for them: python -m localdc packages --pip $*"
        for name in $(compiled); do
            hint="$name has no pure Python wheel, and no compiler here. Take it from pkgsrc: extra_packages=pyNN-$name"
        done
        fail "pip could not install $*:" "$(printf '%s\n' "$log" | grep '^ERROR' || printf '%s\n' "$log" | tail -n 5)" "$hint"
    fi
    [ -z "$from_pip" ] || : >"$venv/ipyparallel-by-pip"
    printf '#!/bin/sh\nexec %s "$@"\n' "$venv/bin/python3" >"$wrapper" && chmod 0755 "$wrapper" || fail "Cannot write $wrapper."
}

set -f
nl='
'
venv=${link%/*}/venv
from_pip=
[ -z "$boot_timeout" ] || wait_for_boot_script
linked=$(link_target)
choose_python
interpreter=/opt/local/bin/python${nn%"${nn#?}"}.${nn#?}
set -- "python$nn"
for name in $packages; do
    case $name in pyNN-*) name=py$nn-${name#pyNN-} ;; esac
    set -- "$@" "$name"
done
if [ -n "$from_pip" ]; then
    pip_packages="${ipyparallel:-ipyparallel} $pip_packages"
    # shellcheck disable=SC2046
    set -- $(printf '%s\n' "$@" | grep -v "^py$nn-ipyparallel\$") "py$nn-zmq" "py$nn-psutil"
fi
[ -z "$pip_packages" ] || set -- "$@" "py$nn-pip"
if all_missing "$@"; then wanted=$*; else wanted=$(missing "$@"); fi
if [ -n "$check_mode" ]; then
    report package "$wanted" ''
elif [ -n "$wanted" ]; then
    # shellcheck disable=SC2086
    patiently -y install $wanted || pkgin_failed=yes
    left=
    if [ -n "$pkgin_failed" ] || [ ! -x "$interpreter" ]; then left=$(missing "$@"); fi
    report package "$wanted" "$left"
    case $log in *"Could not fetch"*) repository_failed ;; esac
    if [ -n "$pkgin_failed" ] || [ ! -x "$interpreter" ]; then
        # shellcheck disable=SC2086
        [ -z "$left" ] || fail "Not installed:" $left "pkgin said:" "$(printf '%s\n' "$log" | tail -n 5)" \
            "Correct the names (pkgin search NAME on this machine) or choose another machine_image."
        fail "pkgin failed:" "$(printf '%s\n' "$log" | tail -n 5)"
    fi
fi
if [ -n "$pip_packages" ]; then
    wrapper=${link%/*}/venv-python${interpreter##*/python}
    # shellcheck disable=SC2086
    wanted=$(unmet_requirements $pip_packages) || fail "python_packages cannot be understood:" "$(printf '%s\n' "$wanted" | tail -n 1)"
    # shellcheck disable=SC2086
    [ -z "$wanted" ] || [ -n "$check_mode" ] || install_with_pip $wanted
    report 'Python package' "$wanted" ''
    if [ ! -x "$wrapper" ] && [ -z "$check_mode" ]; then
        # everything was met by pkgsrc: there may be no environment yet
        install_with_pip $pip_packages
    fi
    interpreter=$wrapper
elif [ -x "${link%/*}/venv-python${interpreter##*/python}" ]; then
    interpreter=${link%/*}/venv-python${interpreter##*/python}
fi
if [ "$linked" != "$interpreter" ]; then
    if [ -z "$check_mode" ]; then
        # the directory for Ansible's temporary files, which it would make with a warning
        mkdir -p -m 0700 "${HOME:-/root}/.ansible/tmp"
        mkdir -p "${link%/*}" && ln -sf "$interpreter" "$link" || fail "Cannot link $link to $interpreter."
        # what the user's computer and further machines go by
        mdata-put ipython.python "${interpreter##*python}" || printf '%s\n' "warning: cannot set the metadata ipython.python"
    fi
    # what runs already runs the other one
    [ -z "$linked" ] || echo "fact: restart=yes"
    printf 'changed: %s -> %s\n' "$link" "$interpreter"
fi
