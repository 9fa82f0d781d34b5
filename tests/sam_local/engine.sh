#!/usr/bin/env bash
# Run a command where `sam local` finds a container engine and Lambda's base image: engine.sh COMMAND… Exits with 75 where it cannot.
#
# Docker if it runs; else Podman with runc, as root: its service lives as long as the command and keeps all it has in build/sam-local.
# Where the image cannot be pulled, a stand-in takes its place (stand_in.sh), which needs busybox.
set -euo pipefail
project=$(realpath "$(dirname "$0")/../..") image=public.ecr.aws/lambda/python:3.13-x86_64

stop() {
  "${engine[@]}" rm --all --force >/dev/null 2>&1 || true
  "${engine[@]}" image prune --force >/dev/null 2>&1 || true # every invocation builds an image anew
  kill "$service" && wait "$service" || true
  umount "$folder/storage/overlay" 2>/dev/null || true # mounted upon itself: `make clean` could not delete it
}

# Podman sets up its network with iptables, which Debian only recommends: without it every container fails with an error of the API.
missing() {
  local name
  for name in "$@"; do command -v "$name" >/dev/null || echo -n " $name"; done
  [ "$(id -u)" = 0 ] || echo -n " root"
}

if docker info >/dev/null 2>&1; then
  engine=(docker)
elif missing=$(missing podman runc iptables) && [ -z "$missing" ]; then
  folder=$project/build/sam-local
  mkdir -p "$folder"
  printf '%s\n' '[containers]' 'default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]' \
    '[engine]' 'runtime = "runc"' 'cgroup_manager = "cgroupfs"' >"$folder/containers.conf"
  export CONTAINERS_CONF=$folder/containers.conf DOCKER_HOST=unix://$folder/podman.sock
  engine=(podman --root "$folder/storage" --runroot "$folder/run")
  rm -f "$folder/podman.sock"
  "${engine[@]}" system service --time 0 "$DOCKER_HOST" >"$folder/podman.log" 2>&1 &
  service=$!
  trap stop EXIT
  for _ in $(seq 100); do [ -S "$folder/podman.sock" ] && break || sleep 0.1; done
else
  echo "Docker does not run, and Podman in its place wants for:$missing" >&2
  exit 75
fi

if ! "${engine[@]}" image inspect "$image" >/dev/null 2>&1 && ! "${engine[@]}" pull --quiet "$image" >/dev/null 2>&1; then
  missing=$(missing busybox)
  [ -z "$missing" ] || { echo "$image cannot be pulled, and a stand-in for it wants for:$missing" >&2; exit 75; }
  echo "$image cannot be pulled; a stand-in is made of this machine's Python"
  "$project/tests/sam_local/stand_in.sh" "$("$project/.venv/bin/python" -c 'import sys; print(sys.base_prefix)')" \
    "$project/.venv/lib/python3.13/site-packages" "${engine[@]}"
fi
"$@"
