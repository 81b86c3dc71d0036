# The unit's life: started, reloaded, watched and stopped.
. "$(dirname "$0")/kit.sh"

fact verify "$(systemd-analyze verify --man=no /etc/systemd/system/nbad.service 2>&1 | grep -c . || true)"
fact security "$(systemd-analyze security --offline=true --threshold=15 --no-pager \
  /etc/systemd/system/nbad.service | tail -1 | grep -o '[0-9.]* OK')"
install -d /etc/systemd/system/nbad.service.d
# The unit's own 30 s are for the operator's sake; here a stuck daemon is killed without a wait,
# and a stop that takes more than the promised 5 s is a failure that systemd tells of.
# The box is a chroot, in which the kernel gives nobody a user namespace of his own.
printf '[Service]\nEnvironment=LD_LIBRARY_PATH=/opt/python/lib\nWatchdogSec=3\nTimeoutStopSec=5\nTimeoutAbortSec=1\nPrivateUsers=no\n' \
  >/etc/systemd/system/nbad.service.d/quick.conf

serve_feed --games 4 --speed 60
configure 0.5
systemctl start nbad || { journal >&2; exit 1; } # it returns with READY=1
fact started "$(shown ActiveState)"
fact status "$(shown StatusText)"
fact user "$(ps -o user= -p "$(shown MainPID)")"
pid=$(shown MainPID)

configure 0.25
systemctl reload nbad
until_true reload at_least reloaded 1
configure '"soon"' 'prot = 1'
systemctl reload nbad
until_true rejection at_least reload_rejected 1
configure 0.5
systemctl reload nbad
until_true 'second reload' at_least reloaded 2
fact kept_its_process "$([ "$(shown MainPID)" = "$pid" ] && echo yes)"

kill -STOP "$pid" # a pipeline that is stuck
until_true restart restarted 1
fact after_watchdog "$(shown ActiveState)"
fact killed_by "$(journal | grep -o "Failed with result '[a-z]*'" | tail -1)"

kill -KILL "$(shown MainPID)"
until_true 'second restart' restarted 2
systemctl status nbad --no-pager --lines 0 >"$BOX_OUT/status" || true
systemctl stop nbad
fact stopped "$(shown Result) $(shown ExecMainStatus)"
journal >"$BOX_OUT/journal"
