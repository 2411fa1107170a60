"""Where the log of a command goes: stderr, as lines for people or JSON for collectors."""

from desireline.sidecar.reports.telemetry import configure_logs


def configure_log(*, level: int, as_json: bool) -> None:
    """Send structlog events of this level and above to stderr."""
    configure_logs(level=level, form="json" if as_json else "lines")
