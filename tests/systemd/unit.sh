# The unit's life: started, reloaded, watched and stopped.
. "$(dirname "$0")/kit.sh"

cd /etc/systemd/system
fact verify "$(systemd-analyze verify --man=no nbad.service nbad.socket nbad-http.socket 2>&1 | grep -c . || true)"
fact security "$(systemd-analyze security --offline=true --threshold=15 --no-pager \
  /etc/systemd/system/nbad.service | tail -1 | grep -o '[0-9.]* OK')"
HERE=$(dirname "$0")
STUCK=/var/lib/nbad/stuck
# The daemon whose predictor can be stuck, the process and its loop being well. It imports numpy
# before the signals are blocked: a thread of numpy's would be killed by them, and all with it.
install -m755 "$HERE/stuck.py" /opt/nbad/stuck.py
quick_unit 'Environment=OPENBLAS_NUM_THREADS=1' 'ExecStart=' \
  "ExecStart=$PYTHON /opt/nbad/stuck.py $STUCK run --config /etc/nbad/nbad.toml"

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

touch $STUCK
until_true restart restarted 1
fact after_watchdog "$(shown ActiveState)"
fact killed_by "$(journal | grep -o "Failed with result '[a-z]*'" | tail -1)"

# One that is never killed, to be compared with.
systemd-run --quiet --unit twin --setenv LD_LIBRARY_PATH=/opt/python/lib \
  --setenv NBAD_SERVER__PORT=$TWIN_STREAM --setenv NBAD_HTTP__PORT=$TWIN_HTTP \
  /opt/nbad/.venv/bin/nbad run --config /etc/nbad/nbad.toml
kill -KILL "$(shown MainPID)"
until_true 'second restart' restarted 2
until_true twin "$PYTHON" -c "import urllib.request as u; u.urlopen('http://127.0.0.1:$TWIN_HTTP/readyz')" 2>/dev/null
fact same_forecasts "$("$PYTHON" "$HERE/same.py" "http://127.0.0.1:$HTTP" "http://127.0.0.1:$TWIN_HTTP" 2>&1)"
fact told_as_errors "$(journalctl --unit nbad --priority err --output cat --no-pager \
  | grep -o '"event": *"[a-z_]*"' | sort -u | grep -o '[a-z_]*"$' | tr -d '"' | xargs)"
systemctl status nbad --no-pager --lines 0 >"$BOX_OUT/status" || true
systemctl stop nbad
fact stopped "$(shown Result) $(shown ExecMainStatus)"
journal >"$BOX_OUT/journal"
