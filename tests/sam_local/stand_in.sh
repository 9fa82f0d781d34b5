#!/usr/bin/env bash
# Make a stand-in for Lambda's base image out of this machine, where the real one cannot be pulled: stand_in.sh PYTHON RIC ENGINE…
#
# It has what the real one has and `sam local` needs: the Python under the prefix PYTHON at /var/lang, Lambda's runtime client from the
# packages in RIC at /var/runtime with a bootstrap, a shell, and the C libraries that these and numpy load; nothing else.
set -euo pipefail
python=$(realpath "$1") packages=$2 image=public.ecr.aws/lambda/python:3.13-x86_64
shift 2

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root"/{bin,etc,lib64,tmp,var/{lang,opt,rapid,runtime,task}}
chmod 1777 "$root/tmp"

cp "$(command -v busybox)" "$root/bin/"
for name in $("$root/bin/busybox" --list); do [ "$name" = busybox ] || ln -s busybox "$root/bin/$name"; done

cp -a "$python/bin" "$python/lib" "$root/var/lang/"
rm -rf "$root"/var/lang/lib/python3.13/{site-packages,test,ensurepip,idlelib,tkinter,config-*}
cp -r "$packages"/{awslambdaric,simplejson,snapshot_restore_py.py,runtime_client*.so} "$root/var/runtime/"

# Whatever these load, where the loader looks first, and the loader where they name it.
loaded() { find "$root/var" -type f \( -name '*.so' -o -name python3.13 \) -exec ldd {} + | sed -nE 's/.* => (\/[^ ]+) .*/\1/p' | sort -u; }
for library in $(loaded) $(ldconfig -p | sed -nE 's/.*lib(stdc\+\+|gcc_s|rt|pthread|dl)\.so\.[0-9]+ .*x86-64.* => //p'); do
  case $library in "$python"/*) ;; *) cp -L "$library" "$root/lib64/" ;; esac
done
cp -L /lib64/ld-linux-x86-64.so.2 "$root/lib64/"

cat >"$root/var/runtime/bootstrap" <<'END'
#!/bin/sh
export LD_LIBRARY_PATH=/var/lang/lib:/lib64:/var/task/lib:/opt/lib PYTHONPATH=/var/task:/opt/python:/var/runtime
cd /var/task && exec /var/lang/bin/python3.13 -m awslambdaric "$_HANDLER"
END
chmod 755 "$root/var/runtime/bootstrap"
echo 'root:x:0:0:root:/:/bin/sh' >"$root/etc/passwd"

tar -C "$root" -c --owner=0 --group=0 . | "$@" import --change 'ENV PATH=/var/lang/bin:/bin' --change 'WORKDIR /var/task' - "$image" >/dev/null
