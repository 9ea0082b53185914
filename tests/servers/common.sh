# What the scripts of this folder share. To be sourced; it changes no folder and sets no trap.

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
