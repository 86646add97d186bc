"""Latency, throughput and cost beside the real Temporal dev server, on one machine in one run.

    python -m benchmarks                       every database side by side (about a quarter of an hour)
    python -m benchmarks --quick               smaller, one round
    python -m benchmarks --database postgres   one of them

Each measurement is a fresh process that holds client and worker; the sides take turns.
"""
