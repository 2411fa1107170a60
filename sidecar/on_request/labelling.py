"""A target's weak labels by themselves, for whoever wants to use them elsewhere."""

from desireline.connectors import plugins
from desireline.sidecar.judging.examination import document_texts
from desireline.sidecar.learning.from_clicks import pull_sessions
from desireline.sidecar.target import Target
from desireline.trainer.documents.pair_features import describe_pairs
from desireline.trainer.judgments import Judgments, judge
from desireline.trainer.trust.belief import trust


def weak_labels(target: Target) -> Judgments:
    """Grade what the whole log shows, as a cycle would: by whom it believes, in its click model.

    Before there is a generation nothing is known of likeness, and each query is judged by its
    own clicks.

    Raises:
        SidecarError: the target names no log.

    """
    sessions = trust(pull_sessions(target), target.config.trust).sessions
    model = plugins.load("clickmodels", target.config.tune.click_model)()
    live = target.generations.live()
    if live is None:
        return judge(sessions, model, None, target.config.tune.evidence)
    documents = document_texts(target, live.fingerprint)
    features = describe_pairs(sessions.frame, documents, target.encoder(live.fingerprint))
    return judge(sessions, model, features, target.config.tune.evidence)
