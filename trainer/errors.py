"""What can go wrong between events and an encoder."""

from desireline.connectors.errors import DesirelineError


class TrainerError(DesirelineError):
    """Training or judging failed; what serves is unchanged."""


class NothingToLearnError(TrainerError):
    """The log holds too little to learn from."""


class UnsafeModelError(TrainerError):
    """A model folder holds something that could run code, or is incomplete."""


class ModelChangedError(TrainerError):
    """A registered model's files no longer match its manifest."""


class ParityError(TrainerError):
    """The exported encoder does not give the vectors of the trained one."""


class ModelMissingError(TrainerError):
    """No model of this name or fingerprint is registered."""


class ModelInUseError(TrainerError):
    """Another registered model needs this one; nothing was removed."""


class NotQuerySideError(TrainerError):
    """A query-side model does not fit the encoder that is to embed its documents."""


class RegistryFullError(TrainerError):
    """The registry's disk is full; nothing was added."""


class SignatureError(TrainerError):
    """A model is not signed as it must be, or a key cannot sign."""


class UnknownMeasureError(TrainerError):
    """No measure goes by this name."""


class NotComparableError(TrainerError):
    """Two evaluations are not over the same queries and measures."""


class GoldenQueriesError(TrainerError):
    """The file of golden queries cannot be read."""


class GeneralSuiteError(TrainerError):
    """The file of the general suite cannot be read."""


class JobError(TrainerError):
    """A job file cannot be read."""


class LossError(TrainerError):
    """A loss cannot be made of its settings, or cannot learn from such pairs."""


class TrainingDataError(TrainerError):
    """Rows of the user's own training data are wrong; nothing was started."""


class FitArgumentsError(TrainerError):
    """Arguments of `fit` are wrong; nothing was started."""


class QueryVectorsError(TrainerError):
    """Vectors of queries are not what the encoder would make of them; none was taken."""


class TrackerError(TrainerError):
    """A tracker that `report_to` names cannot be told anything; nothing was trained."""


class CheckpointError(TrainerError):
    """A checkpoint cannot be written or read."""


class IntentHeadChangedError(TrainerError):
    """A stored intent head is not as it was stored; it was not loaded."""


class IntentHeadMissingError(TrainerError):
    """An intent head is not on this machine."""


class SynthesisError(TrainerError):
    """Training data cannot be made as it was asked for; what was made before is kept."""
