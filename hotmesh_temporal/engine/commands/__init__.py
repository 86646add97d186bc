"""One file per family of workflow commands."""
