#!/usr/bin/env bash
# Run a Python script with the arm64 artefact on an x86 machine: arm64.sh CPU ARTEFACT ROOT SCRIPT FOLDER... < input > output
#
# CPU is the processor that is emulated, by QEMU's name; ARTEFACT is what `make build ARCH=arm64` made. ROOT becomes the file system of
# an arm64 machine: Debian's Python 3.13, /opt and /var/task, and each FOLDER in /tmp under its own name. As in Lambda there is no /sys,
# no network and no HOME. Needs qemu-user-static, apt, dpkg-deb and unshare.
set -euo pipefail
cpu=$1 artefact=$(realpath "$2") root=$(realpath -m "$3") script=$(realpath "$4")
shift 4
apt=$root.apt

if [ ! -x "$root/usr/bin/python3.13" ]; then
  echo "Fetching Python 3.13 for arm64 ($root)" >&2
  mkdir -p "$apt"/lists/partial "$apt"/archives/partial "$root"
  touch "$apt/status"
  # From where this machine's own packages come, in the first release of Debian that has Python 3.13.
  from=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -v security | sort -u | head -1)
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $from trixie main" >"$apt/sources.list"
  cat >"$apt/conf" <<CONF
Dir::State "$apt";
Dir::State::status "$apt/status";
Dir::State::Lists "$apt/lists";
Dir::Cache "$apt";
Dir::Etc::SourceList "$apt/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::Etc::PreferencesParts "/dev/null";
APT::Architecture "arm64";
APT::Architectures { "arm64"; };
APT::Install-Recommends "false";
CONF
  APT_CONFIG=$apt/conf apt-get update -qq >&2
  APT_CONFIG=$apt/conf apt-get install -qq --yes --download-only python3.13 libstdc++6 >&2
  for package in "$apt"/archives/*_arm64.deb; do dpkg-deb -x "$package" "$root"; done
  ln -sfn usr/lib "$root/lib"
  mkdir -p "$root"/{opt,proc,tmp,var/task}
fi

cp "$(command -v qemu-aarch64-static)" "$root/qemu"
rm -rf "$root"/opt/* "$root"/var/task/* "$root"/tmp/*
cp -R "$artefact"/RuntimeLayer/* "$artefact"/ModelLayer/* "$root/opt/"
cp -R "$artefact"/ApiFunction/* "$root/var/task/"
cp "$script" "$root/tmp/script.py"
cp -R "$@" "$root/tmp/"

# A namespace of its own for everything: root only within, no network, and of the machine's processes none. onnxruntime wants /proc.
exec unshare --map-root-user --mount --pid --net --ipc --uts --fork --mount-proc="$root/proc" \
  chroot "$root" /qemu -cpu "$cpu" -E HOME= -E OPENBLAS_NUM_THREADS=1 -E PYTHONPATH=/var/task:/opt/python \
  -E PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3.13 -P /tmp/script.py
