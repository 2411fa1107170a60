"""All weights of both sides: the documents are embedded again afterwards."""

from desireline.trainer.modes.base import Mode
from desireline.trainer.training.tuning import tune

train: Mode = tune
