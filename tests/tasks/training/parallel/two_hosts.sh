# Two hosts on one machine: network namespaces A and B joined by a cable. Run by `unshare --user --map-root-user --net
# --pid --fork --kill-child --mount-proc sh two_hosts.sh COMMAND_A COMMAND_B`; A is 10.77.0.1, B is 10.77.0.2.
set -e
unshare --net sleep 600 & A=$!
unshare --net sleep 600 & B=$!
own=$(readlink /proc/self/ns/net)
for host in $A $B; do
  while [ "$(readlink /proc/$host/ns/net)" = "$own" ]; do sleep 0.05; done
done
ip link add cable0 type veth peer name cable1
ip link set cable0 netns $A
ip link set cable1 netns $B
nsenter --target $A --net sh -c 'ip link set lo up; ip addr add 10.77.0.1/24 dev cable0; ip link set cable0 up'
nsenter --target $B --net sh -c 'ip link set lo up; ip addr add 10.77.0.2/24 dev cable1; ip link set cable1 up'
GLOO_SOCKET_IFNAME=cable0 nsenter --target $A --net sh -c "$1" & first=$!
GLOO_SOCKET_IFNAME=cable1 nsenter --target $B --net sh -c "$2" & second=$!
wait $first
wait $second
