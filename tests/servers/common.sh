# What the scripts of this folder share. To be sourced; it changes no folder and sets no trap. What starts and measures servers wants
# $scratch, a folder, $start_limit in seconds, and $towpath, the program that measures.

stop_limit=20   # seconds
suite_limit=600 # for one suite against one server; the runner bounds itself, this only stops a hang
server=
runner=

# stop_process PID SECONDS: asks a child to end and waits for that. False if it had to be killed.
stop_process() {
  local give_up=$((SECONDS + $2))
  kill -TERM "$1" 2>/dev/null || return 0
  while kill -0 "$1" 2>/dev/null; do
    if ((SECONDS >= give_up)); then
      kill -KILL "$1" 2>/dev/null || true
      return 1
    fi
    sleep 0.05
  done
  wait "$1" 2>/dev/null || true
}

# free_ports NUMBER: that many ports of the loopback that nobody listens on, below those that the system hands out by itself, so that no
# connection takes one in the meantime.
free_ports() {
  node -e '
    const { createServer } = require("node:net");
    const wanted = Number(process.argv[1]);
    const held = [];
    function next() {
      if (held.length === wanted) {
        console.log(held.map((server) => server.address().port).join(" "));
        held.forEach((server) => server.close());
        return;
      }
      const server = createServer();
      server.on("error", next);
      server.listen(20000 + Math.floor(Math.random() * 12000), "127.0.0.1", () => { held.push(server); next(); });
    }
    next();
  ' "$1"
}

# python_packages FOLDER: the packages of its requirements.txt into its .venv, unless they are what is installed there. Each script that
# installs looks at such a stamp first.
python_packages() {
  local folder=$1 python=${PYTHON:-python3} now
  if ! command -v "$python" >/dev/null; then apt_get python3-venv || return; fi
  now=$({ command -v "$python" && "$python" --version && cat "$folder/requirements.txt"; } | sha256sum) || { echo "Python 3 is missing."; return 1; }
  if [[ -f $folder/.venv/.installed-from && $(<"$folder/.venv/.installed-from") == "$now" ]]; then return; fi
  rm -rf "$folder/.venv"
  if ! "$python" -m venv "$folder/.venv"; then
    apt_get python3-venv || return
    rm -rf "$folder/.venv"
    "$python" -m venv "$folder/.venv" || return
  fi
  "$folder/.venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: \
    -r "$folder/requirements.txt" || return
  echo "$now" >"$folder/.venv/.installed-from"
}

# node_packages FOLDER: npm ci there, unless the lock file is the one that was installed from.
node_packages() {
  local stamp=$1/node_modules/.installed-from now
  now=$(sha256sum <"$1/package-lock.json") || return
  if [[ -f $stamp && $(<"$stamp") == "$now" ]]; then return; fi
  (cd "$1" && npm ci) || return
  echo "$now" >"$stamp"
}

# apt_get PACKAGE: installs it, as root or with sudo, and without a question.
apt_get() {
  local as_root=()
  if ((EUID != 0)); then
    if ! command -v sudo >/dev/null; then
      echo "$1 is missing, and installing it takes root: run \`apt-get install $1\` as root."
      return 1
    fi
    as_root=(sudo -n)
  fi
  "${as_root[@]}" apt-get update && "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$1"
}

# gateway_program ROOT: the gateway to test: GATEWAY_BIN, or the newest build of the project in folder ROOT.
gateway_program() {
  local program=${GATEWAY_BIN:-}
  if [[ -z $program ]]; then
    program=$(ls -t "${CARGO_TARGET_DIR:-$1/target}"/{release,debug}/towpath 2>/dev/null | head -n 1) || true
  fi
  if [[ ! -x $program ]]; then
    echo "there is no gateway to test: run \`cargo build --release\` first, or name a program in GATEWAY_BIN" >&2
    return 1
  fi
  realpath "$program"
}

# rabbitmq_package: Debian's RabbitMQ, and the port mapper of Erlang that comes with it.
rabbitmq_package() {
  if ! command -v epmd >/dev/null || [[ ! -x /usr/lib/rabbitmq/bin/rabbitmq-server ]]; then apt_get rabbitmq-server; fi
}

# npm_version FOLDER PACKAGE, pypi_version FOLDER PACKAGE, debian_version PACKAGE: which version is installed.
npm_version() {
  node -p "require('./$1/node_modules/$2/package.json').version"
}

pypi_version() {
  "$1/.venv/bin/python" -c "from importlib.metadata import version; print(version('$2'))"
}

debian_version() {
  dpkg-query --showformat='${Version}' --show "$1" | sed -E 's/^([0-9]+:)?([0-9.]+).*/\2/'
}

# arguments_for NAME SUITE: what the runner has to know of that server.
arguments_for() {
  case "$2 $1" in
    STOMP*RabbitMQ*) echo --dialect rabbitmq --login guest --passcode guest ;;
    STOMP*ActiveMQ*) echo --dialect activemq --login guest --passcode guest ;;
    STOMP*Spring*) echo --dialect spring ;;
  esac
}

# started SCHEMES COMMAND...: starts a server and waits until it has named an address of each scheme, in $scratch/server.
started() {
  local schemes=$1 scheme give_up=$((SECONDS + start_limit))
  shift
  "$@" </dev/null >"$scratch/server" 2>&1 &
  server=$!
  for scheme in $schemes; do
    until [[ -n $(address "$scheme") ]]; do
      if ! kill -0 "$server" 2>/dev/null || ((SECONDS > give_up)); then
        ended || true
        return 1
      fi
      sleep 0.05
    done
  done
}

# address SCHEME: where the running server listens. Of a gateway's greeting, the first of the kind.
address() {
  case $1 in
    tcp) sed -nE 's#.*([Tt][Cc][Pp]:// *|TCP +)([0-9.]+:[0-9]+).*#tcp://\2#p' "$scratch/server" | head -n 1 ;;
    http) sed -nE 's#.*(http://[0-9.]+:[0-9]+).*#\1#p' "$scratch/server" | head -n 1 ;;
    *) sed -nE "s#.*ready ($1://.*)#\\1#p" "$scratch/server" | head -n 1 ;;
  esac
}

# ended: stops the server. False if it was gone, or had to be killed.
ended() {
  local pid=$server
  server=
  [[ -n $pid ]] && kill -0 "$pid" 2>/dev/null && stop_process "$pid" "$stop_limit"
}

# leave: for the end of a script, however it comes: ends what still runs, and removes the scratch folder.
leave() {
  if [[ -n $runner ]]; then stop_process "$runner" "$stop_limit" || true; fi
  ended || true
  rm -rf "$scratch"
}

# measure FORMAT SUITE URL FILE ARGUMENT...: one run of the runner, its report into the file and what it printed into $scratch/log. False, with
# the reason there, if it could not look at the server, wrote no such report, or left no server behind.
measure() {
  local format=$1 suite=${2,,} url=$3 file=$4 status=0
  shift 4
  rm -f "$file"
  timeout --kill-after=5 "$suite_limit" "$towpath" conformance "${suite%%,*}" "$url" "$@" --format "$format" --output "$file" \
    </dev/null >"$scratch/log" 2>&1 &
  runner=$!
  wait "$runner" || status=$?
  runner=
  if ((status > 1)); then
    echo "the runner's exit status is $status" >>"$scratch/log"
    return 1
  fi
  if [[ ! -s $file ]]; then
    echo "the runner wrote no report" >>"$scratch/log"
    return 1
  fi
  if [[ $format == lines ]] && grep -vE '^(passed|vintage|failed|not-offered|skipped) +[^ ]+$' "$file" >>"$scratch/log"; then
    echo "the runner wrote something else than a verdict and a check" >>"$scratch/log"
    return 1
  fi
  if ! kill -0 "$server" 2>/dev/null; then
    echo "the server is gone" >>"$scratch/log"
    return 1
  fi
}

comment() {
  tail -n 200 "$1" | sed 's/^/# /' || true
}
