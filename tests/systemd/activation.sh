# Socket activation: the daemon comes with the first who connects, and no restart refuses anybody.
. "$(dirname "$0")/kit.sh"

for socket in nbad:$STREAM nbad-http:$HTTP; do
  install -d "/etc/systemd/system/${socket%:*}.socket.d"
  printf '[Socket]\nListenStream=\nListenStream=127.0.0.1:%s\n' "${socket#*:}" \
    >"/etc/systemd/system/${socket%:*}.socket.d/port.conf"
done
quick_unit
serve_feed --games 4 --speed 60
configure 0.25
systemctl start nbad.socket nbad-http.socket
fact before "$(shown ActiveState)"
"$PYTHON" "$(dirname "$0")/newcomers.py" "ws://127.0.0.1:$STREAM/v1/stream" "http://127.0.0.1:$HTTP/livez" \
  >"$BOX_OUT/newcomers" 2>"$BOX_OUT/newcomers.errors" &
newcomers=$!
until_true activation at_least ready 1
for _ in 1 2 3; do
  systemctl restart nbad # it returns with READY=1
  until_true 'newcomers after a restart' at_least subscriber_joined $(($(count subscriber_joined) + 5))
done
kill "$newcomers"
wait "$newcomers"
systemctl stop nbad nbad.socket nbad-http.socket
fact stopped "$(shown Result) $(shown ExecMainStatus)"
journal >"$BOX_OUT/journal"
