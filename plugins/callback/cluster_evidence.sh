# What a machine of a cluster has to say when something failed. Changes nothing, and shows no
# property, of which one is the key of the cluster.
PATH=/usr/sbin:/usr/bin:/sbin:/bin:/opt/local/sbin:/opt/local/bin
export PATH

echo '== states'
svcs -H -o sta,nsta,fmri svc:/smartdc/mdata:execute
svcs -H -o sta,nsta,fmri 'svc:/pkgsrc/ipyparallel*' 2>/dev/null
echo '== start pids'
svcs -H -o fmri 'svc:/pkgsrc/ipyparallel:*' 2>/dev/null | while read -r fmri; do
    printf '%s %s\n' "$fmri" "$(svcprop -p restarter/start_pid "$fmri" 2>/dev/null)"
done
echo '== svcs -xv'
svcs -xv 2>&1
for file in /var/svc/log/smartdc-mdata:execute.log /var/svc/log/pkgsrc-ipyparallel*.log; do
    [ ! -e "$file" ] || { printf '== %s\n' "$file"; tail -n 200 "$file"; }
done
echo '== processes'
ps -ef 2>&1
# ps of illumos cuts after 79 characters
pgrep -u ipython | while read -r pid; do pargs -l "$pid" 2>/dev/null; done
echo '== addresses'
ifconfig -a 2>&1
echo '== packages'
pkg_info 2>&1
