"""Events in, a judged encoder out. Knows connectors' values, never a server.

Files, in the order the data meets them:

- ``errors``         what can go wrong here
- ``naming``         what somebody meant who wrote a name that is not known
- ``query_text``     what users typed, normalised in one place
- ``subnets``        which network a search came from, where the log says
- ``document_text``  a document as an encoder reads it
- ``personal_data``  what in a query names a person
- ``k_anonymity``    who surely are different people
- ``log_frames``     events as flat tables, defects counted
- ``shown_ids``      numbers in the place of document ids, not believed
- ``bots``           clients no person could be
- ``log_figures``    what a log looks like from above, in counts
- ``log_defects``    what each defect means, and how to mend it
- ``readiness``      tiers: what a log unlocks, what it lacks for more
- ``health``         how good a log is, and what would make it better
- ``session_rows``     searches joined with what was shown and done
- ``sessions``       events become sessions: who saw what where, and clicked
- ``session_counts``  what click models count, of a log larger than memory
- ``streaming``      a plan over files of any size, in small pieces
- ``visits``         how often people came, in one pass over events
- ``influence``      how much one client, or one subnet, may say
- ``bursts``         a pair that is clicked as never before
- ``plausibility``   clicks that looks cannot explain
- ``false_discovery``  which of many unlikely findings to believe
- ``trust``          what may teach, what waits, what is left out, who may judge
- ``splits``         forward in time and by query; nothing leaks
- ``pair_features``  what is known of a query and a document beside clicks
- ``clickmodels``    how users look at a page of answers
- ``judgments``      weak labels: (query, document, grade, confidence)
- ``click_truth``    held-out clicks as a truth that favours nobody
- ``pairs``          anchor, positive, negatives, weight
- ``document_vectors``  a catalogue as it is in its index
- ``query_vectors``  queries as their encoder sees them, each encoded once
- ``catalogue``      its documents as texts
- ``label_model``    how far each source of pairs can be trusted
- ``miners``         sessions, judgments or documents become pairs
- ``supported_pairs``  the pairs that enough people stand behind
- ``presentable``    what of a truth may be shown to people
- ``model_settings`` what in a model's JSON would fetch, unpickle or run code
- ``model_files``    which files a model may consist of
- ``encoders``       text in, vectors out: ONNX Runtime, sentence-transformers, fake
- ``manifest``       what a registered model is
- ``self_supervised_config``  how texts alone teach, said without torch
- ``intent``         which category a query means, read from its vector
- ``jobs``           what the child process is asked to do
- ``lessons``        pairs as numbered rows
- ``batches``        which pairs learn together
- ``batch_loading``  their texts become tokens
- ``batch_stream``   batches on their device when they are wanted
- ``devices``        where training runs, and in which numbers
- ``preparing``      which weights train
- ``frozen_layers``  what layers that do not train put out, kept
- ``losses``         what the pairs mean to the encoder
- ``optimising``     how weights move: optimiser, layers, schedule
- ``watching``       what looks on while an encoder trains
- ``peers``          processes that train one encoder together
- ``utilisation``    how busy it keeps what it runs on
- ``tuned``          what comes of a training
- ``library_trainer``  sentence-transformers' Trainer, followed step by step
- ``replay``         general texts keep their vectors while pairs teach
- ``trackers``       what `report_to` names is told settings and figures
- ``tuning``         the training loop
- ``self_supervised``  documents' texts teach before pairs do
- ``compact``        an encoder made for one catalogue, of few layers or none
- ``modes``          what of an encoder is trained, cheapest first
- ``training_files`` rows of people's own files, each with its line
- ``training_rows``  which cell is what, and what is wrong with which line
- ``training_data``  such rows become pairs
- ``batch_size``     how many rows a batch may hold
- ``callbacks``      what `fit` can be told to do beside training
- ``evaluating``     an encoder in training is measured, the best weights kept
- ``checkpoints``    a training survives kill -9
- ``fit_arguments``  what `fit` was asked for, all that is wrong told at once
- ``fit_plan``       what `fit` finds out before it trains
- ``fit_run``        what `fit` gives back
- ``fitting``        `fit`: the above in one call, in Finetuner's words
- ``fit_job``        `fit` as the child process is asked for it
- ``share_search``   how much of the trained weights to keep, tried on two suites
- ``export``         a trained folder becomes ONNX, with proof that both agree
- ``query_side``     what a query encoder shares with that of its documents
- ``disk_sync``      what was written is surely on the disk
- ``stored_files``   listed and hashed
- ``signing``        who stands behind a model
- ``taking``         a model from elsewhere, proved while it arrives
- ``shared_models``  the registry of several machines
- ``models_folder``  the models of this one: whole, and checked before use
- ``registry``       manifests, fingerprints, lineage
- ``query_map``      a linear map after an encoder, for queries alone
- ``bridge``         a new encoder's queries over an old one's documents
- ``parity``         how near another form of an encoder is to it
- ``quantise``       an encoder's int8 form, a candidate of its own
- ``import_model``   a model from outside enters the registry
- ``local_models``   a model from a folder, without running its code
- ``query_writer``   a local model writes queries for documents
- ``cross_encoder``  reads a query and a document together
- ``synthesis``      queries x documents become rows with a teacher's margins
- ``launching``      a training on several GPUs, a process each
- ``worker``         the child process in which torch lives
- ``measures``       mRR, Recall, nDCG, hit as values
- ``evaluation``     qrels x run: a table with intervals
- ``changes``        what a new encoder wins most by, and what it loses
- ``off_policy``     how many clicks another ranking would have got
- ``sanity``         what can be seen of a candidate without one click
- ``topics``         queries of like meaning, grouped
- ``general_suite``  what an encoder must still be able to do, whatever it was tuned for
- ``general``        the suite that ships, and its notices
- ``gate``           candidate against incumbent: a verdict and its reason
- ``judgment_exchange``    weak labels as search-relevance's judgments, and theirs as a truth
- ``known_answers``  right answers from the files people have
- ``simulation_config``    what may be said about simulated users
- ``simulated_searches``   who types what when
- ``simulated_clicks``     what they click, by the click model they follow
- ``simulated_events``     drawn numbers become events
- ``simulation``     users sampled from a known click model
- ``simulated_personal``   personal data that no person has
- ``simulated_defects``    what is wrong with real logs, planted
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
