#!/usr/bin/env bash
# The square root of 2 by gradient descent, in awk.
set -euo pipefail

lr=0.05
steps=10
for word in "$@"; do
    case $word in
        --lr=*) lr=${word#*=} ;;
        --steps=*) steps=${word#*=} ;;
        *) echo "unknown: $word" >&2; exit 2 ;;
    esac
done

echo "training with lr $lr"
for ((step = 1; step <= steps; step++)); do
    x=$(awk -v x="${x:-1}" -v lr="$lr" 'BEGIN { print x - lr * 4 * x * (x * x - 2) }')
    awk -v x="$x" -v step="$step" 'BEGIN { printf "{\"step\": %d, \"loss\": %g, \"x\": %g}\n", step, (x * x - 2) ^ 2, x }'
    sleep 0.02
done
