"""One file per entity of a workflow execution."""
