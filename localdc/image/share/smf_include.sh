# Shell definitions for service methods: smf_method(7).

SMF_EXIT_OK=0
SMF_EXIT_NODAEMON=94
SMF_EXIT_ERR_FATAL=95
SMF_EXIT_ERR_CONFIG=96
SMF_EXIT_MON_DEGRADE=97
SMF_EXIT_MON_OFFLINE=98
SMF_EXIT_ERR_NOSMF=99
SMF_EXIT_ERR_PERM=100

smf_present() {
	[ -r /etc/svc/volatile/repository_door ]
}

smf_zonename() {
	/usr/bin/zonename
}

smf_is_globalzone() {
	return 1
}

smf_is_nonglobalzone() {
	return 0
}

smf_clear_env() {
	unset SMF_FMRI SMF_METHOD SMF_RESTARTER SMF_ZONENAME
}

smf_configure_ip() {
	return 1
}

# smf_kill_contract CTID SIGNAL [WAIT [TIMEOUT]]
#
# Returns 1 for bad arguments and 2 when the contract is not empty in time.
smf_kill_contract() {
	[ $# -ge 2 ] || return 1
	_smf_waited=0
	for _smf_pid in $(_smf_members "$1"); do
		kill "-$2" "$_smf_pid" 2>/dev/null
	done
	[ "${3:-0}" = 1 ] || return 0
	while [ -n "$(_smf_members "$1")" ]; do
		sleep 1
		_smf_waited=$((_smf_waited + 1))
		if [ "${4:-0}" -gt 0 ] && [ $_smf_waited -ge "$4" ]; then
			return 2
		fi
	done
	return 0
}

_smf_members() {
	/usr/bin/svcs -a -H -o ctid,fmri | while read -r _smf_ctid _smf_fmri; do
		[ "$_smf_ctid" = "$1" ] || continue
		/usr/bin/svcs -H -p -o ctid "$_smf_fmri" | while read -r _ _smf_pid _smf_name; do
			[ -n "$_smf_name" ] && echo "$_smf_pid"
		done
	done
}
