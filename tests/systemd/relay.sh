# The unit of relays: started with two workers, reloaded, its worker and itself killed, stopped.
. "$(dirname "$0")/kit.sh"

BROKER=$("$PYTHON" -c 'import socket; print(socket.create_server(("127.0.0.1", 0)).getsockname()[1])')
RELAY=$("$PYTHON" -c 'import socket; print(socket.create_server(("127.0.0.1", 0)).getsockname()[1])')
UNIT=nbad-relay@2
fact verify "$(systemd-analyze verify --man=no "/etc/systemd/system/nbad-relay@.service" 2>&1 | grep -c . || true)"
fact security "$(systemd-analyze security --offline=true --threshold=15 --no-pager \
  "/etc/systemd/system/nbad-relay@.service" | tail -1 | grep -o '[0-9.]* OK')"

systemd-run --quiet --unit broker redis-server --port "$BROKER" --bind 127.0.0.1 --save '' --dir /var/tmp
serve_feed --games 4 --speed 60
publish=$(printf '[publish]\nurl = "redis://127.0.0.1:%s/0"\nlease_s = 2.0\n' "$BROKER")
configure 0.5 "$publish"
# Workers take the HTTP ports after the configured one: 0 gives each a free one.
printf '%s\n[server]\nport = %s\n[http]\nport = 0\n' "$publish" "$RELAY" >/etc/nbad/relay.toml
install -d "/etc/systemd/system/nbad-relay@.service.d"
printf '%s\n' '[Service]' 'Environment=LD_LIBRARY_PATH=/opt/python/lib' 'PrivateUsers=no' \
  'TimeoutStopSec=5' >"/etc/systemd/system/nbad-relay@.service.d/quick.conf"
quick_unit
systemctl start nbad || { journal >&2; exit 1; }
until_true leading at_least leading 1

journal() { journalctl --sync; journalctl --unit "$UNIT" --output cat --no-pager; }
shown() { systemctl show "$UNIT" --property "$1" --value; }
systemctl start "$UNIT" || { journal >&2; exit 1; } # it returns with READY=1
fact started "$(shown ActiveState)"
fact user "$(ps -o user= -p "$(shown MainPID)")"
pid=$(shown MainPID)
status() { shown StatusText | grep -q '^2 workers: 4 games, 0 subscribers; 4 games, 0 subscribers$'; }
until_true status status

systemctl reload "$UNIT"
until_true reload at_least reloaded 2
fact kept_its_process "$([ "$(shown MainPID)" = "$pid" ] && echo yes)"
kill -KILL "$(journal | grep '"event": *"worker_started"' | head -1 | grep -o '"pid": *[0-9]*' | grep -o '[0-9]*')"
until_true 'another worker' at_least worker_started 3
kill -KILL "$pid"
until_true restart restarted 1
until_true 'both workers' at_least worker_started 5
fact after_kill "$(shown ActiveState)"
systemctl stop "$UNIT"
fact stopped "$(shown Result) $(shown ExecMainStatus)"
fact left "$(pgrep -f 'nbad relay' | grep -c . || true)"
journal >"$BOX_OUT/journal"
