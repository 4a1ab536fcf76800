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

# The data center has configured the zone's interfaces before it boots.
smf_configure_ip() {
	return 1
}

# smf_kill_contract CONTRACT SIGNAL [WAIT [TIMEOUT]]
#
# Signals once; with a WAIT other than 0 again every five seconds until the
# contract is empty or TIMEOUT seconds have passed, as illumos does
# (cmd/svc/shell/smf_include.sh).  Returns 1 for an invalid contract or a
# signal that cannot be sent, 2 when the time is up.
smf_kill_contract() {
	/usr/bin/pgrep -c $1 >/dev/null 2>&1
	case $? in
	0) ;;
	1) return 0 ;;
	*) echo "Error, invalid contract \"$1\"" >&2 && return 1 ;;
	esac
	/usr/bin/pkill "-$2" -c $1
	if [ $? -gt 1 ]; then
		echo "Error, could not kill contract \"$1\"" >&2
		return 1
	fi
	[ "${3:-0}" -ne 0 ] || return 0

	# in tenths of a second
	time_waited=0
	time_to_wait=$((${4:-0} * 10))
	while /usr/bin/pgrep -c $1 >/dev/null 2>&1; do
		if [ "$time_to_wait" -gt 0 ] && [ "$time_waited" -ge "$time_to_wait" ]; then
			return 2
		fi
		if [ "$time_waited" -gt 0 ] && [ $((time_waited % 50)) -eq 0 ]; then
			/usr/bin/pkill "-$2" -c $1
		fi
		sleep 0.2
		time_waited=$((time_waited + 2))
	done
	return 0
}
