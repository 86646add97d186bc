"""All awaiting: load, decide, commit, wake; matching, timers, leases."""
