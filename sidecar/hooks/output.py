"""What of a hook's output is shown: its last line, fit for a log and a terminal."""

_LONGEST = 200


def last_line(output: bytes) -> str:
    """Return the last line that is not empty, shortened and without control characters."""
    lines = [line for line in output.decode("utf-8", "replace").splitlines() if line.strip()]
    text = "".join(c if c.isprintable() else " " for c in lines[-1]).strip() if lines else ""
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
