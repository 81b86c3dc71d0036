# For scripts that systemd-box runs: the product at /opt/nbad as the operations guide lays it out,
# its unit installed, a simulated feed beside it. Waits end at what they wait for, or fail the box.
set -eu
mount --bind "$BOX_OUT/opt" /opt
make --directory /opt/nbad install
systemctl log-target journal # the box starts without systemd's own words

PYTHON=/opt/nbad/.venv/bin/python
# The box shares the machine's network: with fixed ports two of these tests, or whatever else runs
# here, would be in each other's way.
read -r FEED_PORT STREAM HTTP TWIN_STREAM TWIN_HTTP <<PORTS
$("$PYTHON" -c 'import socket
taken = [socket.create_server(("127.0.0.1", 0)) for _ in range(5)]
print(*(each.getsockname()[1] for each in taken))')
PORTS
FEED=http://127.0.0.1:$FEED_PORT

configure() { # the [poll] live_interval_s, and lines that are added
  cat >/etc/nbad/nbad.toml <<TOML
[feed]
base_url = "$FEED/static/json/liveData"
schedule_url = "$FEED/static/json/staticData/scheduleLeagueV2.json"
timeout_s = 1.0
[poll]
live_interval_s = $1
[odds]
enabled = false
[server]
port = $STREAM
[http]
port = $HTTP
${2:-}
TOML
}

serve_feed() { # options of nbad feed
  printf '[Service]\nExecStart=/opt/nbad/.venv/bin/nbad feed --port %s %s\n' "$FEED_PORT" "$*" \
    >/etc/systemd/system/feed.service
  systemctl daemon-reload
  systemctl start feed
  until_true feed "$PYTHON" -c "import urllib.request as u; u.urlopen('$FEED/static/json/liveData/scoreboard/todaysScoreboard_00.json')" 2>/dev/null
}

until_true() { # what, then a command: it comes true within 60 s
  local what=$1 tries=600
  shift
  until "$@"; do
    tries=$((tries - 1))
    [ $tries -gt 0 ] || { echo "no $what" >&2; journal >&2; exit 1; }
    sleep 0.1
  done
}

journal() { journalctl --sync; journalctl --unit nbad --output cat --no-pager; }
count() { journal | grep -c "\"event\": *\"$1\"" || true; }
at_least() { [ "$(count "$1")" -ge "$2" ]; }
shown() { systemctl show nbad --property "$1" --value; }
restarted() { [ "$(shown NRestarts)" -ge "$1" ] && [ "$(shown ActiveState)" = active ]; }
fact() { printf '%s=%s\n' "$1" "$2" | tee -a "$BOX_OUT/facts"; }

quick_unit() { # lines that are added to [Service]
  # The unit's own 30 s are for the operator's sake; here a stuck daemon is killed without a wait,
  # and a stop that takes more than the promised 5 s is a failure that systemd tells of.
  # The box is a chroot, in which the kernel gives nobody a user namespace of his own.
  install -d /etc/systemd/system/nbad.service.d
  printf '%s\n' '[Service]' 'Environment=LD_LIBRARY_PATH=/opt/python/lib' 'WatchdogSec=3' \
    'TimeoutStopSec=5' 'TimeoutAbortSec=1' 'PrivateUsers=no' "$@" \
    >/etc/systemd/system/nbad.service.d/quick.conf
  systemctl daemon-reload
}
