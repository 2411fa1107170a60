"""The first five minutes: a node, real documents, simulated clicks, one turn of the wheel."""
