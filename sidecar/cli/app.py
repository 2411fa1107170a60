"""All commands, in the order one meets them."""

import typer

from desireline.sidecar.cli.demo import demo
from desireline.sidecar.cli.doctor import doctor
from desireline.sidecar.cli.erase import erase
from desireline.sidecar.cli.fit import fit
from desireline.sidecar.cli.generations import generations
from desireline.sidecar.cli.global_options import EPILOG, ForgivingGroup, set_globals
from desireline.sidecar.cli.init import init
from desireline.sidecar.cli.intent import intent
from desireline.sidecar.cli.judgments import judgments
from desireline.sidecar.cli.keys import keys
from desireline.sidecar.cli.logs import logs
from desireline.sidecar.cli.mine import mine
from desireline.sidecar.cli.models import models
from desireline.sidecar.cli.quantise import quantise
from desireline.sidecar.cli.reindex import reindex
from desireline.sidecar.cli.revert import revert
from desireline.sidecar.cli.search import search
from desireline.sidecar.cli.serve import serve
from desireline.sidecar.cli.simulate import simulate
from desireline.sidecar.cli.status import status
from desireline.sidecar.cli.steering import cancel, cut_over, pause, postpone, resume, throttle
from desireline.sidecar.cli.synthesize import synthesize
from desireline.sidecar.cli.tune import tune
from desireline.sidecar.cli.verify import verify

app = typer.Typer(
    name="desireline",
    cls=ForgivingGroup,
    callback=set_globals,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    epilog="Exit codes: 0 done or nothing to do, 1 failed, 2 wrong usage or configuration,"
    " 3 refused (nothing changed), 4 a defect in desireline, 130 interrupted.",
)
COMMANDS = (
    *(demo, init, doctor, logs, mine, synthesize, fit, tune, quantise, reindex, serve),
    *(status, pause, resume, throttle, postpone, cut_over, cancel),
    *(generations, revert, verify, search, intent, simulate, erase),
)
for _command in COMMANDS:
    app.command(_command.__name__.replace("_", "-"), epilog=EPILOG)(_command)
app.add_typer(judgments, name="judgments")
app.add_typer(models, name="models")
app.add_typer(keys, name="keys")
