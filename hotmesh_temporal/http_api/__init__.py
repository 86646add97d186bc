"""The RPCs by HTTP and JSON, as a Temporal server serves them. See docs/server.md."""
