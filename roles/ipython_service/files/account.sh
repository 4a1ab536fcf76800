# The low-privilege user of the service, its directories, and its right to read the properties.
# Also says whether manifest and method script are in place ("fact: service=current"), which for a
# zone that is set up already saves the module that would lay them down and import them.
#
# user           name of user and group
# home           home directory
# ipython_dir    IPYTHONDIR
# authorization  authorization that protects the property groups
# engines        number of engine instances of this machine
# manifest       where the service manifest is kept, manifest_text what it has to say
# method         where the method script is kept, method_text what it has to say
# engine         where the program of engines is kept, engine_text what it has to say
# heartbeat      the same of the program that waits for the heartbeat of the controller
# next_id        the same of the program that corrects what a controller restores
# check_mode     not empty: say what would change, change nothing

PATH=/usr/sbin:/usr/bin:/sbin:/bin
export PATH

# echo would interpret backslashes, and cut the text at one with a c.
fail() {
    for line; do printf 'failed: %s\n' "$line"; done
    exit 1
}

# change TEXT COMMAND...: make the change unless this is check mode, and report it.
change() {
    text=$1
    shift
    [ -n "$check_mode" ] || log=$("$@" 2>&1) || fail "Failed: $*" "$log"
    printf 'changed: %s\n' "$text"
}

grant() {
    printf '%s\n' "$user::::type=normal;auths=$authorization" >>/etc/user_attr
}

directories() {
    mkdir -p "$@" && chown "$user:$user" "$@" && chmod 0750 "$@"
}

if [ -e "$manifest" ]; then
    present=$(grep -c '<instance name="engine' "$manifest")
    # as texts: an empty count is equal to 0 in ksh93, and an error in other shells
    [ "$present" = "$engines" ] || fail \
        "This machine was set up for $present engine(s), and engines_per_machine is $engines now." \
        "Keep engines_per_machine=$present, or begin anew: ansible-playbook teardown.yml"
fi
# FILE:LINE each
known=$(grep "^$user:" /etc/group /etc/passwd /etc/user_attr 2>/dev/null)
case $known in
*"/etc/group:$user:"*) ;;
*) change "group $user" groupadd "$user" ;;
esac
case $known in
*"/etc/passwd:$user:"*) ;;
*) change "user $user" useradd -g "$user" -d "$home" -s /bin/sh -c 'IPython parallel' "$user" ;;
esac
case $known in
*"/etc/user_attr:$user:"*"$authorization"*) ;;
*"/etc/user_attr:$user:"*)
    fail "/etc/user_attr has an entry for $user without $authorization; add it to its auths=." ;;
*) change "authorization $authorization for $user" grant ;;
esac
set --
for directory in "$home" "$ipython_dir"; do
    [ -d "$directory" ] || set -- "$@" "$directory"
done
[ $# -eq 0 ] || change "directory $*" directories "$@"

holds() {
    [ -e "$1" ] && [ "$(cat "$1")" = "$2" ]
}

if holds "$manifest" "$manifest_text" && holds "$method" "$method_text" && [ -x "$method" ] &&
    holds "$engine" "$engine_text" && holds "$heartbeat" "$heartbeat_text" &&
    holds "$next_id" "$next_id_text" &&
    svcs -H -o fmri "svc:/pkgsrc/ipyparallel:*" >/dev/null 2>&1; then
    echo "fact: service=current"
fi
