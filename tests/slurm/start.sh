#!/usr/bin/env bash
# Installs Debian's Slurm on this host, as root, and starts a cluster of one node on it. Repeating it does no harm.
set -euo pipefail

say() { echo "start.sh: $*" >&2; }
[ "$(id -u)" = 0 ] || { say "root is needed to install and start Slurm"; exit 1; }

if scontrol ping 2>/dev/null | grep -q UP; then
    say "Slurm is up already"
    exit 0
fi
conf=/etc/slurm/slurm.conf
if [ -e "$conf" ] && ! grep -qx 'ClusterName=compactnet' "$conf"; then
    say "$conf is of another cluster, which does not answer: start that, or move the file away"
    exit 1
fi

if ! command -v slurmctld >/dev/null || ! command -v slurmd >/dev/null; then
    command -v apt-get >/dev/null || { say "no apt-get here: install slurmctld, slurmd and munge by hand"; exit 1; }
    (
        export DEBIAN_FRONTEND=noninteractive
        # Services are started below, by hand: a container has no init, and may have this file already.
        policy=/usr/sbin/policy-rc.d
        if [ ! -e "$policy" ]; then
            trap 'rm -f "$policy"' EXIT
            printf '#!/bin/sh\nexit 101\n' >"$policy"
            chmod +x "$policy"
        fi
        apt-get update -qq
        apt-get install -y -qq --no-install-recommends slurmctld slurmd slurm-client munge >/dev/null
    )
fi

host=$(hostname -s)
state=/var/lib/compactnet-slurm
mkdir -p "$state/ctl" "$state/d" /run/munge /var/log/munge /etc/slurm
[ -f /etc/munge/munge.key ] || { mkdir -p /etc/munge; dd if=/dev/urandom bs=1 count=1024 of=/etc/munge/munge.key status=none; }
chown -R munge:munge /etc/munge /run/munge /var/log/munge /var/lib/munge
chmod 400 /etc/munge/munge.key
chmod 755 /run/munge
cat >"$conf" <<CONF
ClusterName=compactnet
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
StateSaveLocation=$state/ctl
SlurmdSpoolDir=$state/d
SlurmctldPidFile=$state/slurmctld.pid
SlurmdPidFile=$state/slurmd.pid
SlurmctldLogFile=$state/slurmctld.log
SlurmdLogFile=$state/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
JobAcctGatherType=jobacct_gather/none
JobRequeue=1
MinJobAge=300
SchedulerParameters=sched_interval=2
MpiDefault=none
ReturnToService=2
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) RealMemory=$(awk '/MemTotal/ {print int($2 / 1024)}' /proc/meminfo) State=UNKNOWN
PartitionName=tests Nodes=$host Default=YES MaxTime=INFINITE State=UP
CONF

pgrep -x munged >/dev/null || su -s /bin/sh munge -c 'exec munged --force' 2>/dev/null || munged --force
pgrep -x slurmctld >/dev/null || slurmctld
pgrep -x slurmd >/dev/null || slurmd
for _ in $(seq 60); do
    if sinfo -h -o %t 2>/dev/null | grep -q '^\(idle\|mix\|alloc\)'; then
        say "Slurm is up: $(sinfo -h)"
        exit 0
    fi
    scontrol update nodename="$host" state=resume 2>/dev/null || true
    sleep 1
done
say "the node did not come up; the logs are in $state"
tail -5 "$state"/*.log >&2
exit 1
