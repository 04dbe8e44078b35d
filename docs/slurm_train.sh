#!/bin/bash
# One training on several nodes of a Slurm cluster:  sbatch --nodes 8 docs/slurm_train.sh CORPUS RUN
# CORPUS (made by `cmc corpus`) and RUN lie on a disk that all nodes see. The job is put back into
# the queue when a node fails, and then goes on from the last checkpoint.
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --time=04:00:00
#SBATCH --requeue
set -euo pipefail

corpus=$1 run=$2
nodes=$(scontrol show hostnames "$SLURM_JOB_NODELIST")
workers=$(printf '"%s:2222",' $nodes)
export WORKERS="[${workers%,}]"
resume=()
if [ -e "$run/config.json" ]; then resume=(--resume); fi

srun --kill-on-bad-exit=1 bash -c '
    export TF_CONFIG="{\"cluster\": {\"worker\": $WORKERS},
                       \"task\": {\"type\": \"worker\", \"index\": $SLURM_PROCID}}"
    exec cmc train "$@" --workers
' train "$corpus" --run "$run" "${resume[@]}"
