"""Runs the cycle and serves its result. Knows connectors and trainer."""

if __name__ == "sidecar":
    raise ImportError("import desireline.sidecar, not the bare folder")
