PATH=/opt/local/sbin:/opt/local/bin:/usr/sbin:/usr/bin:/sbin
export PATH
