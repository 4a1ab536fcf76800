# Goes on after account.sh, with its variables, where there is no Ansible to lay the method script
# and the manifest down: the boot script of a machine that configures itself.

# lay PATH MODE TEXT: replace a file in one step, so that no reader finds half of it.
lay() {
    ! holds "$1" "$3" || return 0
    [ -d "${1%/*}" ] || mkdir -p "${1%/*}" || fail "Cannot make ${1%/*}."
    printf '%s\n' "$3" >"$1.new" && chmod "$2" "$1.new" && mv "$1.new" "$1" ||
        fail "Cannot write $1."
    printf 'changed: %s\n' "$1"
}

imported() {
    holds "$manifest" "$manifest_text" && svcs -H -o fmri "svc:/pkgsrc/ipyparallel:*" >/dev/null 2>&1
}

lay "$engine" 0444 "$engine_text"
lay "$heartbeat" 0444 "$heartbeat_text"
lay "$next_id" 0444 "$next_id_text"
lay "$method" 0555 "$method_text"
if ! imported; then
    lay "$manifest" 0444 "$manifest_text"
    if ! log=$(svccfg import "$manifest" 2>&1); then
        # the next boot must not take a manifest that was never imported for done
        rm -f "$manifest"
        fail "svccfg cannot import the manifest:" "$log"
    fi
fi
