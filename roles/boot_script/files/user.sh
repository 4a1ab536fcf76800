# Boot script's part that is the user's own.
#
# user_script  its text
file=/var/svc/ipython-user-script
umask 077
printf '%s\n' "$user_script" >"$file" && chmod 0700 "$file" && "$file"
