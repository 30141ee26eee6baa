#!/bin/sh
# Makes the namespace that Remit's workflows live in, or brings its retention up to date. Safe to repeat.
# TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE and RETENTION come from the environment.
set -eu

namespace() {
    temporal operator namespace "$1" --namespace "$TEMPORAL_NAMESPACE" --retention "$RETENTION" --command-timeout 15s
}

attempt=1
until namespace update || namespace create; do
    if [ "$attempt" -ge 12 ]; then
        echo "Temporal at $TEMPORAL_ADDRESS does not take the namespace $TEMPORAL_NAMESPACE" >&2
        exit 1
    fi
    attempt=$((attempt + 1))
    sleep 5
done
