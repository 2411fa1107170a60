"""``desireline`` and ``python -m desireline.sidecar``."""

from desireline.sidecar.cli.app import app


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
