"""Latency, throughput and cost beside the real Temporal dev server, on one machine in one run.

    python -m benchmarks                     the whole table (about five minutes)
    python -m benchmarks --quick             smaller, one round
    python -m benchmarks --database sqlite   on SQLite in place of Postgres

Each measurement is a fresh process that holds client and worker; the two sides take turns.
"""
