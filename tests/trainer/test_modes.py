import io
import itertools
import json

import numpy as np
import pytest
from structlog.testing import capture_logs

from desireline.connectors.documents import TextTemplate
from desireline.trainer.documents.vectors import DocumentVectors, choose_documents
from desireline.trainer.errors import NothingToLearnError, TrainerError
from desireline.trainer.evaluation import rank_exact
from desireline.trainer.jobs import AdapterConfig, FitConfig, FitJob, LoraConfig, QueryTowerConfig
from desireline.trainer.models.manifest import Provenance
from desireline.trainer.pairs import Pair, Passage, merge
from desireline.trainer.query_vectors import QueryVectors
from desireline.trainer.registry import Registry

pytest.importorskip("torch", reason="needs desireline[trainer]")
TEMPLATE = TextTemplate(fields=("title",))
WORDS = ["red", "blue", "shoe", "running", "garden", "nurse", "software", "engineer"]
DOCUMENTS = {word: Passage(word, f"the {word} of 42") for word in WORDS}
NEW = {"cm": "garden", "in": "nurse", "for": "shoe"}
"""What users mean by a word that the encoder knows nothing of."""
QUERY_SIDE = ["adapter", "query"]


def lessons(related=None):
    own = [Pair(anchor=word, positive=DOCUMENTS[word], source="t") for word in WORDS]
    new = [Pair(anchor=word, positive=DOCUMENTS[of], source="t") for word, of in NEW.items()]
    return merge(own + new, related or {})


def config(mode, **more):
    return FitConfig(
        mode=mode,
        max_steps=60,
        epochs=100,
        batch_documents=8,
        batch_queries=8,
        learning_rate=0.05,
        precision="float32",
        adapter=AdapterConfig(epochs=60, learning_rate=0.05),
        query=QueryTowerConfig(epochs=60, learning_rate=0.05),
        lora=LoraConfig(rank=4, learning_rate=0.01),
        **more,
    )


@pytest.fixture
def make_job(tmp_path, exported_static):
    """Make a job whose encoder of the documents is registered."""

    def make(mode, *, encoder=exported_static, pairs=None, **more) -> FitJob:
        registry = Registry(tmp_path / "registry")
        base = registry.add(
            encoder,
            template=TEMPLATE,
            similarity="cosine",
            provenance=Provenance(base_model="tiny", mode="base"),
        )
        (pairs or lessons()).write(tmp_path / "pairs")
        loaded = registry.load(base.fingerprint)
        vectors = loaded.encode_documents([passage.text for passage in DOCUMENTS.values()])
        DocumentVectors(document_ids=tuple(DOCUMENTS), vectors=vectors).write(tmp_path / "vectors")
        stays = mode in QUERY_SIDE
        return FitJob(
            base=registry.folder(base.fingerprint),
            pairs=tmp_path / "pairs",
            out=tmp_path / "out",
            registry=registry.root,
            template=TEMPLATE.fields,
            config=config(mode, **more),
            documents=base.fingerprint if stays else None,
            vectors=tmp_path / "vectors" if stays else None,
            provenance=Provenance(base_model="tiny", parent=base.fingerprint, mode=mode),
        )

    return make


def train(job, *arguments, **more):
    from desireline.trainer.modes.chosen import train as real

    return real(job, *arguments, **more)


def registered(job):
    """Do what the child process does; return what it registered."""
    from desireline.trainer.worker import run

    result = run(job, io.StringIO())
    return Registry(job.registry), result


def best_answers(encoder):
    texts = {word: passage.text for word, passage in DOCUMENTS.items()}
    return {query: found[0] for query, found in rank_exact(encoder, list(NEW), texts, k=1).items()}


@pytest.mark.parametrize("mode", QUERY_SIDE)
def test_a_query_side_learns_what_users_mean_and_no_document_moves(make_job, mode):
    job = make_job(mode)
    registry, result = registered(job)
    manifest = registry.get(result["fingerprint"])
    before, after = registry.load(job.documents), registry.load(manifest.fingerprint)
    texts = [passage.text for passage in DOCUMENTS.values()]
    assert best_answers(before) != NEW
    assert best_answers(after) == NEW
    np.testing.assert_array_equal(before.encode_documents(texts), after.encode_documents(texts))
    assert manifest.documents == job.documents
    assert manifest.provenance.mode == mode
    assert result["lowest_cosine"] > 0.9999


@pytest.mark.parametrize("mode", [*QUERY_SIDE, "lora"])
def test_a_transformer_learns_in_every_mode_and_is_exported_at_parity(
    make_job, exported_bert, mode
):
    registry, result = registered(make_job(mode, encoder=exported_bert))
    assert best_answers(registry.load(result["fingerprint"])) == NEW
    assert result["lowest_cosine"] > 0.9999


@pytest.mark.parametrize("mode", [*QUERY_SIDE, "lora"])
def test_the_library_alone_gives_the_vectors_of_the_graph(make_job, exported_bert, mode):
    from sentence_transformers import SentenceTransformer

    registry, result = registered(make_job(mode, encoder=exported_bert))
    folder = registry.folder(result["fingerprint"])
    plain = SentenceTransformer(str(folder), device="cpu").encode(WORDS)
    ours = registry.load(result["fingerprint"]).encode_queries(WORDS)
    np.testing.assert_allclose(plain, ours, atol=1e-4)


def test_low_rank_changes_are_merged_before_anybody_sees_them(make_job, exported_bert):
    from safetensors.numpy import load_file

    job = make_job("lora", encoder=exported_bert)
    before, after = (
        load_file(next(folder.glob("**/model.safetensors")))
        for folder in (exported_bert, train(job).folder)
    )
    assert before.keys() == after.keys()
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert changed
    assert all(name.endswith("weight") and before[name].ndim == 2 for name in changed)
    for name in changed:
        assert np.linalg.matrix_rank(after[name] - before[name], tol=1e-4) <= 4


def test_an_encoder_without_linear_layers_is_told_apart(make_job):
    with pytest.raises(TrainerError, match="has none"):
        train(make_job("lora"))


def test_an_adapter_that_learned_nothing_changes_no_vector(make_job):
    from desireline.trainer.encoders.sentence_transformers import SentenceTransformerEncoder

    job = make_job("adapter")
    still = job.config.model_copy(update={"adapter": AdapterConfig(learning_rate=1e-30)})
    tuned = train(job.model_copy(update={"config": still}))
    base = Registry(job.registry).load(job.documents)
    np.testing.assert_allclose(
        SentenceTransformerEncoder(tuned.folder).encode_queries(WORDS),
        base.encode_queries(WORDS),
        atol=1e-6,
    )


def test_the_change_of_a_low_rank_adapter_has_that_rank(make_job):
    from safetensors.numpy import load_file

    job = make_job("adapter")
    low = job.config.model_copy(
        update={"adapter": AdapterConfig(rank=3, epochs=60, learning_rate=0.05)}
    )
    tuned = train(job.model_copy(update={"config": low}))
    (dense,) = tuned.folder.glob("*_Dense/model.safetensors")
    change = load_file(dense)["linear.weight"] - np.eye(16)
    assert np.linalg.matrix_rank(change, tol=1e-4) == 3


@pytest.mark.parametrize("mode", QUERY_SIDE)
def test_the_same_job_gives_the_same_encoder(make_job, tmp_path, mode):
    job = make_job(mode)
    again = job.model_copy(update={"out": tmp_path / "again"})
    one, two = (registered(each)[1]["fingerprint"] for each in (job, again))
    assert one == two


@pytest.mark.parametrize("mode", QUERY_SIDE)
def test_a_query_side_learns_against_a_part_of_a_catalogue_too_large_to_learn_against(
    make_job, mode
):
    registry, result = registered(make_job(mode, batch_cached=5))
    assert best_answers(registry.load(result["fingerprint"])) == NEW


@pytest.mark.parametrize("mode", QUERY_SIDE)
def test_half_of_what_was_learned_lies_between(make_job, tmp_path, mode):
    from safetensors.numpy import load_file

    job = make_job(mode)
    half = job.model_copy(
        update={
            "out": tmp_path / "half",
            "config": job.config.model_copy(update={"tuned_share": 0.5}),
        }
    )
    file = "*_Dense/model.safetensors" if mode == "adapter" else "**/model.safetensors"
    (whole,), (part,) = (
        load_file(next(train(each).folder.glob(file))).values() for each in (job, half)
    )
    if mode == "adapter":
        base = np.eye(16)
    else:
        (base,) = load_file(next(job.base.glob(file))).values()
    np.testing.assert_allclose(part, (base + whole) / 2, atol=1e-5)


@pytest.mark.parametrize("mode", [*QUERY_SIDE, "lora"])
def test_a_spent_budget_ends_every_mode_in_good_order_and_says_so(make_job, exported_bert, mode):
    job = make_job(mode, encoder=exported_bert, budget_s=5.0)
    ticks = itertools.count()
    tuned = train(job, clock=lambda: float(next(ticks)))
    assert 0 < tuned.steps < tuned.planned_steps
    assert "budget spent" in tuned.sentence
    assert tuned.folder.is_dir()


@pytest.mark.parametrize("mode", QUERY_SIDE)
def test_an_interrupt_of_a_query_side_leaves_no_trace(make_job, mode):
    job = make_job(mode)

    def interrupt(done, total, loss):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(job, interrupt)
    assert not job.out.exists()
    assert not job.out.with_name("out.partial").exists()


@pytest.mark.parametrize("mode", QUERY_SIDE)
def test_a_diverged_query_side_is_refused(make_job, mode):
    job = make_job(mode)
    wild = {
        "adapter": AdapterConfig(learning_rate=1e38),
        "query": QueryTowerConfig(learning_rate=1e38),
    }
    job = job.model_copy(update={"config": job.config.model_copy(update=wild)})
    with pytest.raises(TrainerError, match="diverged"):
        train(job)
    assert not job.out.exists()


@pytest.mark.parametrize("mode", QUERY_SIDE)
def test_a_query_side_is_never_written_over_another(make_job, mode):
    job = make_job(mode)
    job.out.mkdir()
    with pytest.raises(TrainerError, match="exists already"):
        train(job)


@pytest.mark.parametrize("mode", QUERY_SIDE)
def test_too_little_for_a_query_side_is_said(make_job, tmp_path, mode):
    gone = Passage("gone", "it left the index")
    job = make_job(mode, pairs=merge([Pair(anchor="a", positive=gone, source="t")], {}))
    with pytest.raises(NothingToLearnError, match="0 pairs over 8"):
        train(job)
    with pytest.raises(NothingToLearnError, match="cannot be read"):
        train(job.model_copy(update={"vectors": tmp_path / "none"}))


@pytest.mark.parametrize("mode", QUERY_SIDE)
def test_documents_that_may_be_right_are_not_pushed_away(make_job, mode):
    """The same lessons, once with a second right answer of `cm` told, once without."""
    from desireline.trainer.encoders.sentence_transformers import SentenceTransformerEncoder

    near = {}
    for told in (True, False):
        pairs = lessons({"cm": frozenset({"garden", "nurse"})} if told else None)
        job = make_job(mode, pairs=pairs)
        job = job.model_copy(update={"out": job.out.with_name(f"out-{told}")})
        query = SentenceTransformerEncoder(train(job).folder).encode_queries(["cm"])[0]
        vectors = DocumentVectors.read(job.vectors)
        near[told] = float(vectors.vectors[WORDS.index("nurse")] @ query)
    assert near[True] > near[False] + 0.1


def test_of_two_answers_the_heavier_pair_comes_first(make_job):
    from desireline.trainer.encoders.sentence_transformers import SentenceTransformerEncoder

    for heavy, light in (("garden", "nurse"), ("nurse", "garden")):
        pairs = merge(
            [
                Pair(anchor="cm", positive=DOCUMENTS[heavy], weight=1.0, source="t"),
                Pair(anchor="cm", positive=DOCUMENTS[light], weight=0.1, source="t"),
            ],
            {},
        )
        job = make_job("adapter", pairs=pairs)
        job = job.model_copy(update={"out": job.out.with_name(f"out-{heavy}")})
        query = SentenceTransformerEncoder(train(job).folder).encode_queries(["cm"])[0]
        found = DocumentVectors.read(job.vectors).vectors @ query
        assert found[WORDS.index(heavy)] > found[WORDS.index(light)]


@pytest.mark.parametrize(
    ("mode", "documents", "vectors"), [("adapter", None, None), ("full", "0" * 64, "vectors")]
)
def test_a_job_says_whose_documents_stay_exactly_where_they_stay(mode, documents, vectors):
    with pytest.raises(ValueError, match=f"mode {mode} needs"):
        FitJob(
            base="base",
            pairs="pairs",
            out="out",
            registry="registry",
            template=("title",),
            config=FitConfig(mode=mode),
            documents=documents,
            vectors=vectors,
            provenance=Provenance(base_model="tiny"),
        )


def test_of_a_large_catalogue_the_needed_documents_and_some_others_are_kept():
    names = [f"d{number}" for number in range(100)]
    kept = choose_documents(names, {"d99", "d3"}, most=10, seed=1)
    assert len(kept) == 10
    assert {"d99", "d3"} < set(kept)
    assert kept == sorted(kept, key=names.index)
    assert kept == choose_documents(names, {"d99", "d3"}, most=10, seed=1)
    assert choose_documents(names, set(names), most=10, seed=1) == names


def test_progress_of_a_query_side_is_told_after_every_step(make_job):
    from desireline.trainer.worker import run

    events = io.StringIO()
    result = run(make_job("adapter"), events)
    told = [json.loads(line) for line in events.getvalue().splitlines()]
    assert [event["done"] for event in told] == list(range(1, result["steps"] + 1))
    assert told[-1]["total"] == result["steps"]


def with_vectors_of_queries(job, *, encoder=None, spoil=lambda vectors: vectors):
    """Hand the base's own vectors of all anchors to a job, or what is made of them."""
    anchors = sorted({pair.anchor for pair in lessons().pairs})
    vectors = Registry(job.registry).load(job.documents).encode_queries(anchors)
    path = job.out.with_name("queries.safetensors")
    QueryVectors.of(job.documents, anchors, spoil(vectors)).write(path)
    return job.model_copy(update={"queries": path, "encoder": encoder or job.documents})


def learned_map(job, name):
    from safetensors.numpy import load_file

    folder = train(job.model_copy(update={"out": job.out.with_name(name)})).folder
    return load_file(max(folder.glob("*_Dense/model.safetensors")))["linear.weight"]


@pytest.mark.parametrize("family", ["exported_static", "exported_bert"])
def test_an_adapter_learns_the_same_map_from_vectors_that_it_is_handed(make_job, request, family):
    job = make_job("adapter", encoder=request.getfixturevalue(family))
    handed = with_vectors_of_queries(job)
    with capture_logs() as said:
        found = learned_map(handed, "handed")
    assert not [each for each in said if "encodes anchors" in each["event"]], "all were there"
    np.testing.assert_allclose(found, learned_map(job, "encoded"), atol=1e-6)
    if family == "exported_static":
        np.testing.assert_array_equal(found, learned_map(job, "again"))


@pytest.mark.parametrize(
    ("handed", "reason"),
    [
        ({"encoder": "f" * 64}, "not ffffffffffff"),
        ({"spoil": lambda vectors: vectors * np.nan}, "no finite number"),
        ({"spoil": lambda vectors: vectors[:, 1:]}, "16 numbers each"),
    ],
)
def test_vectors_of_queries_that_do_not_fit_are_not_taken_and_the_log_says_why(
    make_job, handed, reason
):
    job = make_job("adapter")
    with capture_logs() as said:
        found = learned_map(with_vectors_of_queries(job, **handed), "handed")
    told = [each["reason"] for each in said if each["log_level"] == "warning"]
    assert len(told) == 1
    assert reason in told[0]
    np.testing.assert_array_equal(found, learned_map(job, "encoded"))


def test_an_anchor_that_is_missing_among_the_vectors_is_encoded(make_job):
    job = with_vectors_of_queries(make_job("adapter"))
    more = [
        *lessons().pairs,
        Pair(anchor="42", positive=DOCUMENTS["software"], source="t"),
    ]
    merge(more, {}).write(job.pairs)
    with capture_logs() as said:
        found = learned_map(job, "handed")
    assert [each["anchors"] for each in said if "anchors" in each] == [1]
    np.testing.assert_array_equal(
        found, learned_map(job.model_copy(update={"queries": None}), "encoded")
    )


def test_vectors_of_queries_are_for_an_adapter_of_a_known_encoder(make_job, tmp_path):
    job = make_job("adapter")
    for wrong in ({"encoder": None}, {"config": config("query"), "encoder": "0" * 64}):
        with pytest.raises(ValueError, match="taken by mode adapter"):
            FitJob.model_validate(dict(job) | {"queries": tmp_path} | wrong)
