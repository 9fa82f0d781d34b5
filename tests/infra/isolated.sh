#!/usr/bin/env bash
# Run a Python script where the artefact lies as in Lambda: isolated.sh ARTEFACT FUNCTION CLIENT PYTHON SCRIPT < input > output
#
# /var/task is the function, /opt both layers, /var/runtime the folder CLIENT with Lambda's runtime client; all are read-only, and so is
# the rest: this machine's libraries, the Python under the prefix PYTHON without its packages, and /project with events/ and the emulator.
# /tmp has 512 MB. There is no network but loopback, no /sys, no home, and the user is not root. Needs unshare and leave to make namespaces.
set -euo pipefail

if [ "$1" != within ]; then
  # Root only inside, and for as long as it takes to mount what is below.
  exec unshare --map-root-user --mount --pid --net --ipc --uts --fork --kill-child "$0" within "$@"
fi
artefact=$(realpath "$2") function=$3 client=$(realpath "$4") python=$(realpath "$5") script=$(realpath "$6")
project=$(realpath "$(dirname "$0")/../..")
root=$project/build/isolated rapid=build/sam/lib/python3.13/site-packages/samcli/local/rapid

mkdir -p "$root"
mount -t tmpfs -o mode=755 tmpfs "$root"
shown() { # SOURCE TARGET: read-only
  mkdir -p "$root$2"
  mount --bind "$1" "$root$2"
  mount -o remount,bind,ro "$root$2"
}
for folder in /usr /lib /lib64 /bin; do
  if [ -L "$folder" ]; then ln -s "$(readlink "$folder")" "$root$folder"; elif [ -d "$folder" ]; then shown "$folder" "$folder"; fi
done
shown "$python" "$python"
mount -t tmpfs -o ro tmpfs "$root$python/lib/python3.13/site-packages"
shown "$artefact/$function" /var/task
for folder in "$artefact"/RuntimeLayer/* "$artefact"/ModelLayer/*; do shown "$folder" "/opt/${folder##*/}"; done
shown "$client" /var/runtime
shown "$project/events" /project/events
shown "$project/$rapid" "/project/$rapid"
mkdir -p "$root"/{dev,proc,tmp}
for device in null urandom zero; do touch "$root/dev/$device" && mount --bind "/dev/$device" "$root/dev/$device"; done
mount -t proc proc "$root/proc"
mount -t tmpfs -o size=512m,mode=1777 tmpfs "$root/tmp"
cp "$script" "$root/script.py"
mount -o remount,ro "$root"

# Loopback is down in a new network: SIOCSIFFLAGS, IFF_UP.
"$python/bin/python3.13" -c 'import fcntl, socket, struct; fcntl.ioctl(socket.socket(), 0x8914, struct.pack("16sH22x", b"lo", 1))'
cd "$root"
pivot_root . .
umount -l .
cd /var/task
# Numbers as Lambda has them, and no rights that go with root.
exec unshare --user --map-user=993 --map-group=990 env -i PATH=/usr/bin:/bin HOME=/nonexistent PYTHONDONTWRITEBYTECODE=1 \
  PYTHONPATH=/project "$python/bin/python3.13" -P /script.py
