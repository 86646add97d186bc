"""Programs as people write them for Temporal, run in every way that this project offers."""
