#!/usr/bin/env bash
# Key creation through the admin API: HTTPS, 32 clients, SQLite with synchronous=FULL. usage: create_keys.sh [SECONDS [CLIENTS]]
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --quiet --locked --profile dist -p countersign-cli --bin countersign --example create_keys
target=${CARGO_TARGET_DIR:-target}/dist
folder=$(mktemp -d)
COUNTERSIGN__ADMIN__LIMIT=1000000/1s "$target/countersign" dev --demo --dir "$folder" >"$folder/out" 2>&1 &
server=$!
stop() { kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; rm -rf "$folder"; }
trap stop EXIT
"$target/examples/create_keys" "$folder" "${1:-10}" "${2:-32}" "$server"
