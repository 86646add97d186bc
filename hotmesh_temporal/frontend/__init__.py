"""The Temporal service: validate a request, call the runtime, build the reply."""
