"""From records to tables. Reads records only: no torch, no model, no method, no task."""
