#!/usr/bin/env bash
# Lengthens a table of prompts and paints each as typed and as lengthened, a shard a task of an array. Each task goes on where
# it stood when it is started again (--requeue does that after a lost node).
# Usage: sbatch --array=0-7 python/examples/slurm_array.sh prompts.parquet OUT
#        longhand merge OUT/part-{0..7} -o OUT/whole    # when all have ended
#SBATCH --job-name=longhand
#SBATCH --cpus-per-task=8
#SBATCH --mem=8G
#SBATCH --requeue
#SBATCH --output=longhand-%A-%a.log
set -euo pipefail
prompts=$1 out=$2
shard=$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT
mkdir -p "$out"
export OMP_NUM_THREADS=${SLURM_CPUS_PER_TASK:-8}
"${LONGHAND:-build/longhand}" compare --prompts "$prompts" --shard "$shard" --candidates 1 --out "$out/part-$SLURM_ARRAY_TASK_ID"
