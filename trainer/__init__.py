"""Events in, a judged encoder out. Knows connectors' values, never a server.

Files, in the order the data meets them:

- ``errors``                  what can go wrong here
- ``naming``                  what somebody meant who wrote a name that is not known
- ``query_text``              what users typed, normalised in one place
- ``model_settings``          what in a model's JSON would fetch, unpickle or run code
- ``model_files``             which files a model may consist of
- ``encoders``                text in, vectors out: ONNX Runtime, sentence-transformers, fake
- ``query_vectors``           queries as their encoder sees them, each encoded once
- ``documents``               a catalogue: its texts, its vectors, and what is known beside clicks
- ``logs``                    a click log as tables, who searched, and how good it is
- ``sessions``                events become sessions: who saw what where, and clicked
- ``clickmodels``             how users look at a page of answers
- ``session_counts``          what click models count, of a log larger than memory
- ``judgments``               weak labels: (query, document, grade, confidence)
- ``trust``                   whom to believe: what may teach, what waits, who may judge
- ``splits``                  forward in time and by query; nothing leaks
- ``pairs``                   anchor, positive, negatives, weight
- ``label_model``             how far each source of pairs can be trusted
- ``miners``                  sessions, judgments or documents become pairs
- ``supported_pairs``         the pairs that enough people stand behind
- ``models``                  what a registered model is, and its way between machines
- ``self_supervised_config``  how texts alone teach, said without torch
- ``jobs``                    what the child process is asked to do
- ``lessons``                 pairs as numbered rows
- ``peers``                   processes that train one encoder together
- ``losses``                  what the pairs mean to the encoder
- ``training``                an encoder is trained: batches, devices, the loop
- ``self_supervised``         documents' texts teach before pairs do
- ``modes``                   what of an encoder is trained, cheapest first
- ``compact``                 an encoder made for one catalogue, of few layers or none
- ``intent``                  which category a query means, read from its vector
- ``finetuning``              what `fit` does beside training
- ``callbacks``               what `fit` can be told to do beside training
- ``fitting``                 `fit`: the above in one call, in Finetuner's words
- ``fit_job``                 `fit` as the child process is asked for it
- ``share_search``            how much of the trained weights to keep, tried on two suites
- ``forms``                   an encoder in another form: ONNX, int8, with a map
- ``registry``                manifests, fingerprints, lineage
- ``bridge``                  a new encoder's queries over an old one's documents
- ``text_models``             local models that write queries or read pairs
- ``synthesis``               queries x documents become rows with a teacher's margins
- ``worker``                  the child process in which torch lives
- ``measures``                mRR, Recall, nDCG, hit as values
- ``evaluation``              qrels x run: a table with intervals
- ``judging``                 what a candidate is judged by beside measures
- ``general``                 the suite that ships, and its notices
- ``gate``                    candidate against incumbent: a verdict and its reason
- ``simulation``              users of whom everything is known, and the log they leave
"""

from importlib import import_module
from typing import TYPE_CHECKING

if __name__ == "trainer":
    raise ImportError("import desireline.trainer, not the bare folder")

if TYPE_CHECKING:
    from desireline.trainer.fitting import fit
    from desireline.trainer.synthesis.settings import SynthesisModels
    from desireline.trainer.synthesis.synthesizing import synthesize

__all__ = ["SynthesisModels", "fit", "synthesize"]

_LATE = {
    "fit": "desireline.trainer.fitting",
    "synthesize": "desireline.trainer.synthesis.synthesizing",
    "SynthesisModels": "desireline.trainer.synthesis.settings",
}


def __getattr__(name: str) -> object:
    """Import what takes seconds of torch when it is asked for (PEP 562)."""
    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(import_module(_LATE[name]), name)
    return found
