# Boot script's part for the controller: the key that came as metadata, and its service enabled.
# The key passes through pipes and a protected file only; a variable or an argument could be seen.
#
# user         user of the service
# ipython_dir  IPYTHONDIR

PATH=/usr/sbin:/usr/bin:/sbin:/bin
export PATH
service=svc:/pkgsrc/ipyparallel:controller
security=$ipython_dir/profile_default/security
file=$security/ipcontroller.key

fail() {
    printf 'failed: %s\n' "$@"
    exit 1
}

owned() {
    chown "$user:$user" "$ipython_dir/profile_default" "$security" "$file.new"
}

umask 077
# ksh's own mkdir -p is content with a file of that name
mkdir -p "$security" && [ -d "$security" ] || fail "Cannot make $security."
mdata-get ipython.key 2>/dev/null | tr -d '\n' >"$file.new"
if [ ! -s "$file.new" ]; then
    rm -f "$file.new"
    fail "This machine has no metadata ipython.key, the key of the cluster."
fi
if ! owned; then
    rm -f "$file.new"
    fail "Cannot give $security to $user."
fi
if cmp -s "$file.new" "$file"; then
    rm -f "$file.new"
else
    # the connection files hold the key that was used until now
    rm -f "$security"/ipcontroller-*.json
    mv "$file.new" "$file" || fail "Cannot write $file."
    [ "$(svcs -H -o sta "$service")" = DIS ] || svcadm restart "$service"
fi
log=$(svcadm enable "$service" 2>&1) || fail "svcadm cannot enable $service:" "$log"
