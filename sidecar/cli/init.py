"""`desireline init`: write a commented desireline.toml."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from desireline.connectors.errors import DesirelineError
from desireline.sidecar.cli.session import globals_of, terminal_of
from desireline.sidecar.cli.terminal import Terminal
from desireline.sidecar.config import Config, parse_config
from desireline.sidecar.config_reference import commented_file
from desireline.sidecar.configuration.errors import ConfigError
from desireline.sidecar.configuration.text_fields import propose_text_fields

_NO_FIELDS = ("title",)


def init(
    ctx: typer.Context,
    *,
    index: Annotated[str | None, typer.Option(help="The index or alias to tune.")] = None,
    url: Annotated[str | None, typer.Option(help="OpenSearch; none: embedded engine.")] = None,
    user: Annotated[str | None, typer.Option(help="User of the cluster.")] = None,
    password_env: Annotated[
        str, typer.Option(help="Environment variable that holds the user's password.")
    ] = "DESIRELINE_PASSWORD",  # noqa: S107 - a variable's name, not a password
    name: Annotated[str | None, typer.Option(help="Name of the target [the index].")] = None,
    text: Annotated[
        list[str] | None, typer.Option(help="Text field; may be repeated [from the mapping].")
    ] = None,
    vector: Annotated[str, typer.Option(help="Name of the vector.")] = "embedding",
    model: Annotated[str, typer.Option(help="Base encoder: id or folder.")] = "minilm",
    log_files: Annotated[
        str | None, typer.Option(help='Click log as files, such as "logs/*.ndjson" [UBI indexes].')
    ] = None,
) -> None:
    """Write a commented desireline.toml; never overwrites one.

    Looks at the index, if it answers, and proposes its text fields. Asks for the index when it is
    not named and somebody is there to answer. Every other setting stands in the file as a comment
    with its default.

    Example: `desireline init --url https://search.example.org:9200 --index products`

    Next: `desireline doctor` says whether everything is in place.
    """
    terminal = terminal_of(ctx)
    path = globals_of(ctx).config
    _refuse_to_overwrite(path)
    index = index or _asked_for_index(terminal)
    values: dict[str, Any] = {
        **_cluster(url, user, password_env),
        "targets.<name>.index": index,
        "targets.<name>.text": list(text or _NO_FIELDS),
        "targets.<name>.vector": vector,
        "targets.<name>.model": model,
        **_logs(url, log_files),
    }
    target = name or _as_name(index)
    config = _checked(values, target, path)
    if not text:
        values["targets.<name>.text"] = _proposed(config, target, terminal)
        _checked(values, target, path)
    _write(path, commented_file(values, target=target))
    terminal.result({"written": str(path), "target": target})
    terminal.say(f"wrote {path} with the target {target}")
    terminal.say("next: desireline doctor")


def _refuse_to_overwrite(path: Path) -> None:
    if path.exists():
        raise ConfigError(
            f"{path} exists; it was left as it is",
            next_step="edit it, or name another file with --config",
        )


def _asked_for_index(terminal: Terminal) -> str:
    if terminal.as_json or not terminal.interactive:
        raise ConfigError("no index was named", next_step="add --index NAME")
    return str(typer.prompt("Index or alias to tune", err=True))


def _cluster(url: str | None, user: str | None, password_env: str) -> dict[str, Any]:
    if url is None:
        return {"cluster.engine": "lancedb"}
    given: dict[str, Any] = {"cluster.url": url}
    if user is not None:
        given |= {
            "cluster.auth.kind": "basic",
            "cluster.auth.user": user,
            "cluster.auth.password_env": password_env,
        }
    return given


def _logs(url: str | None, log_files: str | None) -> dict[str, Any]:
    """Name the log: files, else the UBI indexes of the cluster, else none yet."""
    if log_files is not None:
        return {"targets.<name>.logs": {"kind": "files", "path": log_files}}
    return {} if url is None else {"targets.<name>.logs": {"kind": "ubi"}}


def _as_name(index: str) -> str:
    """Make an index's name a target's: ``logs.products`` becomes ``logs-products``."""
    return "".join(c if c.isalnum() or c in "-_" else "-" for c in index.lower()).strip("-_")


def _checked(values: Mapping[str, Any], target: str, path: Path) -> Config:
    """Check what would be written, before it is. Raises ConfigError."""
    tree: dict[str, Any] = {}
    for place, value in values.items():
        at = tree
        *tables, key = place.split(".")
        for table in tables:
            at = at.setdefault(target if table == "<name>" else table, {})
        at[key] = value
    return parse_config(tree, source="desireline init", folder=path.absolute().parent)


def _proposed(config: Config, target: str, terminal: Terminal) -> list[str]:
    from desireline.sidecar.wiring import open_engine  # noqa: PLC0415 - --help needs no engine

    try:
        engine = open_engine(config)
        try:
            described = engine.describe(config.targets[target].index)
        finally:
            engine.close()
    except DesirelineError as error:
        terminal.note(f"the index could not be looked at, so check `text` in the file: {error}")
        return list(_NO_FIELDS)
    return propose_text_fields(described.fields) or list(_NO_FIELDS)


def _write(path: Path, text: str) -> None:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}; nothing changed") from error
