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
# check_mode     not empty: say what would change, change nothing

PATH=/usr/sbin:/usr/bin:/sbin:/bin
export PATH

fail() {
    for line; do echo "failed: $line"; done
    exit 1
}

# change TEXT COMMAND...: report the change, and make it unless this is check mode.
change() {
    echo "changed: $1"
    shift
    [ -n "$check_mode" ] || log=$("$@" 2>&1) || fail "Failed: $*" "$log"
}

grant() {
    echo "$user::::type=normal;auths=$authorization" >>/etc/user_attr
}

directory() {
    mkdir -p "$1" && chown "$user:$user" "$1" && chmod 0750 "$1"
}

if [ -e "$manifest" ]; then
    present=$(grep -c '<instance name="engine' "$manifest")
    [ "$present" -eq "$engines" ] || fail \
        "This machine was set up for $present engine(s), and engines_per_machine is $engines now." \
        "Keep engines_per_machine=$present, or begin anew: ansible-playbook teardown.yml"
fi
grep -q "^$user:" /etc/group || change "group $user" groupadd "$user"
grep -q "^$user:" /etc/passwd ||
    change "user $user" useradd -g "$user" -d "$home" -s /bin/sh -c 'IPython parallel' "$user"
if ! grep -q "^$user:.*$authorization" /etc/user_attr 2>/dev/null; then
    grep -q "^$user:" /etc/user_attr 2>/dev/null &&
        fail "/etc/user_attr has an entry for $user without $authorization; add it to its auths=."
    change "authorization $authorization for $user" grant
fi
[ -d "$home" ] || change "directory $home" directory "$home"
[ -d "$ipython_dir" ] || change "directory $ipython_dir" directory "$ipython_dir"

if [ "$(cat "$manifest" 2>/dev/null)" = "$manifest_text" ] &&
    [ "$(cat "$method" 2>/dev/null)" = "$method_text" ] && [ -x "$method" ] &&
    svcs -H -o fmri "svc:/pkgsrc/ipyparallel:*" >/dev/null 2>&1; then
    echo "fact: service=current"
fi
