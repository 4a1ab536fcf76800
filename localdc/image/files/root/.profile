PATH=/opt/local/sbin:/opt/local/bin:/usr/sbin:/usr/bin:/sbin
export PATH
if [ -n "$BASH_VERSION" ]; then
	PS1='[\u@\h \w]# '
fi
