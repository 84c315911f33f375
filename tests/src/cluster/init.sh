# PID 1 of a node: makes the node's own view of the file system, then sleeps. When it is killed, the kernel
# kills everything on the node, and its mounts go with the last process.
set -e

# Copies of mounts would keep network namespaces of others alive.
for name in /run/netns/*; do umount -l "$name" 2>/dev/null || :; done

# All that a node writes is in memory: it is gone when the node is.
mount -t tmpfs -o mode=755 node /run
mkdir -p /run/node/var /run/node/var-work /run/node/etc /run/node/etc-work /run/node/sys
mount -t overlay -o lowerdir=/var,upperdir=/run/node/var,workdir=/run/node/var-work var /var
mount -t overlay -o lowerdir=/etc,upperdir=/run/node/etc,workdir=/run/node/etc-work etc /etc
mount -t bpf bpf /sys/fs/bpf
mount --make-rshared /

# Settings of the machine that kubelet wants to change: it gets stand-ins.
for file in vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops \
    kernel/keys/root_maxkeys kernel/keys/root_maxbytes; do
    stand_in=/run/node/sys/$(basename $file)
    cat /proc/sys/$file >"$stand_in"
    mount --bind "$stand_in" /proc/sys/$file
done

hostname "$NODE_NAME"
: >/run/node/ready
while :; do sleep 3600 & wait $!; done
