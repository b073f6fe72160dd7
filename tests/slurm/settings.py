"""The configuration files of the tests' cluster, with a reason for each unusual setting."""

from __future__ import annotations

import tempfile
from pathlib import Path

PORT = 16817
# CPUs of each node: more than there are, but few enough for jobs to run side by side.
CPUS, MEMORY_MB = {"cpu1": 8, "cpu2": 2, "cpu3": 2, "gpu1": 3}, 32000
GPUS = {"a100": 2, "t4": 1}

SLURM = """\
ClusterName=lab
SlurmctldHost={host}(127.0.0.1)
AuthType=auth/munge
# Short-lived credentials: a requeued job waits until its old one has expired.
AuthInfo=socket={socket},cred_expire=20
SlurmUser=root
SlurmdUser=root
SlurmctldPort={port}
SlurmctldPidFile={folder}/run/slurmctld.pid
SlurmdPidFile={folder}/run/slurmd.%n.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd.%n.log
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
MailProg=/bin/true
SwitchType=switch/none
MpiDefault=none
# Nodes return by themselves and fail soon: tests wait for both.
ReturnToService=2
SlurmdTimeout=20
KillWait=5
# Nodes may claim more than this machine has.
SlurmdParameters=config_overrides
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=5
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=500
# SLURM's own defaults, as on many clusters: finished jobs are forgotten after five minutes, and a
# job over the limits of its partition is accepted and never starts.
MinJobAge=300
EnforcePartLimits=NO
JobCompType=jobcomp/none
GresTypes=gpu
{processes}
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={dbd_port}
# Repeated, since this connection ignores AuthInfo.
AccountingStoragePass={socket}
AccountingStoreFlags=job_comment
AccountingStorageTRES=gres/gpu
AccountingStorageEnforce=associations,limits,qos
PriorityType=priority/multifactor
{nodes}
PartitionName=cpu Nodes=cpu1,cpu2,cpu3 Default=YES MaxTime=1-00:00:00 State=UP
PartitionName=gpu Nodes=gpu1 MaxTime=12:00:00 State=UP
"""

# Memory limits: by the kernel where cgroups (v1) are writable, else checked once a second.
WITH_CGROUPS = """\
ProctrackType=proctrack/cgroup
TaskPlugin=task/cgroup
JobAcctGatherType=jobacct_gather/cgroup
JobAcctGatherFrequency=task=5"""
WITHOUT_CGROUPS = """\
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill"""
CGROUP = """\
CgroupPlugin=cgroup/v1
CgroupMountpoint=/sys/fs/cgroup
CgroupAutomount=no
ConstrainCores=no
ConstrainRAMSpace=yes
ConstrainSwapSpace=no
ConstrainDevices=no
"""

SLURMDBD = """\
AuthType=auth/munge
AuthInfo=socket={socket}
DbdHost={host}
DbdAddr=127.0.0.1
DbdPort={dbd_port}
SlurmUser=root
DebugLevel=info
LogFile={folder}/log/slurmdbd.log
PidFile={folder}/run/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={sql_port}
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm
"""

DATABASE = """\
[mariadbd]
user=root
datadir={folder}/mysql
socket={folder}/run/mysql.sock
pid-file={folder}/run/mariadbd.pid
log-error={folder}/log/mariadbd.log
bind-address=127.0.0.1
port={port}
innodb_buffer_pool_size=64M
innodb_log_file_size=64M
innodb_lock_wait_timeout=900
innodb_flush_log_at_trx_commit=2
performance_schema=OFF
"""


def cgroup_lines() -> tuple[str, bool]:
    """Lines of slurm.conf on processes and memory, and whether they use cgroups."""
    try:
        for controller in ("memory", "freezer", "cpuacct"):
            Path(tempfile.mkdtemp(prefix="probe-", dir=f"/sys/fs/cgroup/{controller}")).rmdir()
    except OSError:
        return WITHOUT_CGROUPS, False
    return WITH_CGROUPS, True


def slurm_conf(folder: Path, host: str, socket: Path) -> str:
    """slurm.conf: all daemons on this host, each node with a port of its own."""
    gres = ",".join(f"gpu:{model}:{count}" for model, count in GPUS.items())
    nodes = [
        f"NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={PORT + 10 + number}"
        f" CPUs={cpus} RealMemory={MEMORY_MB} State=UNKNOWN"
        + (f" Gres={gres}" if name == "gpu1" else "")
        for number, (name, cpus) in enumerate(CPUS.items())
    ]
    return SLURM.format(
        folder=folder,
        host=host,
        socket=socket,
        port=PORT,
        dbd_port=PORT + 1,
        processes=cgroup_lines()[0],
        nodes="\n".join(nodes),
    )


def slurmdbd_conf(folder: Path, host: str, socket: Path) -> str:
    """slurmdbd.conf; it must lie beside slurm.conf and be readable by its owner only."""
    return SLURMDBD.format(
        folder=folder, host=host, socket=socket, dbd_port=PORT + 1, sql_port=PORT + 2
    )
