"""Arguments that several commands share."""

from typing import Annotated

import typer

TargetArgument = Annotated[
    str, typer.Argument(help="A target's name: [targets.NAME] in the configuration.")
]
