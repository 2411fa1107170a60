"""Events in, a judged encoder out. Knows connectors' values, never a server.

Files, in the order the data meets them:

- ``errors``       what can go wrong here
- ``sessions``     events become sessions: who saw what where, and clicked
- ``clickmodels``  how users look at a page of answers
- ``judgments``    weak labels: (query, document, grade, confidence)
- ``splits``       forward in time and by query; nothing leaks
- ``pairs``        anchor, positive, negatives, weight
- ``miners``       sessions, judgments or documents become pairs
- ``encoders``     text in, vectors out: ONNX Runtime, sentence-transformers, fake
- ``losses``       what the pairs mean to the encoder
- ``fit``          the training loop
- ``export``       a trained folder becomes ONNX, with proof that both agree
- ``measures``     mRR, Recall, nDCG, hit as values
- ``evaluation``   qrels x run: a table with intervals
- ``gate``         candidate against incumbent: a verdict and its reason
- ``model_files``  which files a model may consist of
- ``registry``     manifests, fingerprints, lineage
- ``worker``       the child process in which torch lives
- ``simulation``   users sampled from a known click model
"""

if __name__ == "trainer":
    raise ImportError("import desireline.trainer, not the bare folder")
