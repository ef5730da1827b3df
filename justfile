# `just` prints this list
default:
    @just --list

# format, lint, test
all: fmt lint test

fmt:
    cargo fmt --all

lint:
    cargo clippy --workspace --all-targets --locked -- -D warnings

test:
    cargo test --workspace --locked

# an API behind Countersign, on this machine
dev:
    cargo run --release --locked -- dev --demo

# what the figures in the notes come from
bench:
    cargo bench --profile dist -p countersign-core -p countersign-methods
