"""A compact encoder of the catalogue's own words, small enough to be made in seconds."""

import io
import itertools
import json

import numpy as np
import pytest

from desireline.connectors.documents import TextTemplate
from desireline.trainer.documents.catalogue import Catalogue
from desireline.trainer.documents.text import DocumentText
from desireline.trainer.errors import NothingToLearnError, TrainerError
from desireline.trainer.evaluation import rank_exact
from desireline.trainer.jobs import MOST_PARAMETERS, FitConfig, FitJob, SmallConfig
from desireline.trainer.models.manifest import Provenance
from desireline.trainer.pairs import Pair, Passage, merge
from desireline.trainer.registry import Registry

pytest.importorskip("torch", reason="needs desireline[trainer]")
TEMPLATE = TextTemplate(fields=("title", "kind"))
THINGS = ["teapot", "kettle", "violin", "drum", "spade", "hammer", "candle", "lantern"]
KINDS = ["kitchen", "kitchen", "music", "music", "tools", "tools", "light", "light"]
DOCUMENTS = {
    thing: DocumentText(parts=(f"plain {thing} for everybody", f"of {kind}"))
    for thing, kind in zip(THINGS, KINDS, strict=True)
}
NEW = {"brewing": "teapot", "concert": "violin", "digging": "spade", "wax": "candle"}
"""What users mean by words that no document holds."""
BOTH = ["transformer", "static"]


def lessons():
    asked = [*NEW.items(), *zip(THINGS, THINGS, strict=True)]
    return merge(
        [
            Pair(anchor=query, positive=Passage(thing, DOCUMENTS[thing].text), source="t")
            for query, thing in asked
        ],
        {},
    )


@pytest.fixture
def make_job(tmp_path, exported_bert):
    """Make a job whose base, and teacher if there is one, is the tiny BERT."""

    def make(
        kind, *, teacher="none", out="out", budget_s=None, seed=0, categories=None, **more
    ) -> FitJob:
        registry = Registry(tmp_path / "registry")
        base = registry.add(
            exported_bert,
            template=TEMPLATE,
            similarity="cosine",
            provenance=Provenance(base_model="tiny", mode="base"),
        )
        lessons().write(tmp_path / "pairs")
        catalogue = Catalogue(documents=DOCUMENTS, categories=categories or {})
        catalogue.write(tmp_path / "catalogue")
        small = {
            "kind": kind,
            "teacher": teacher,
            "layers": 1,
            "width": 48,
            "vocabulary": 200,
            "tokens": 32,
            "passes": 10,
            "tuning_passes": 30,
            "learning_rate": 0.02,
            "tuning_learning_rate": 0.02,
            "layer_learning_rate": 0.005,
        } | more
        return FitJob(
            base=registry.folder(base.fingerprint),
            pairs=tmp_path / "pairs",
            out=tmp_path / out,
            registry=registry.root,
            template=TEMPLATE.fields,
            catalogue=tmp_path / "catalogue",
            teacher=registry.folder(base.fingerprint) if teacher != "none" else None,
            config=FitConfig(
                mode="small",
                batch_documents=8,
                max_steps=30,
                precision="float32",
                budget_s=budget_s,
                seed=seed,
                small=SmallConfig.model_validate(small),
            ),
            provenance=Provenance(
                base_model="tiny",
                parent=base.fingerprint,
                mode="small",
                teacher=base.fingerprint if teacher != "none" else None,
            ),
        )

    return make


def train(job, *arguments, **more):
    from desireline.trainer.modes.chosen import train as real

    return real(job, *arguments, **more)


def registered(job):
    """Do what the child process does; return what it registered."""
    from desireline.trainer.worker import run

    result = run(job, io.StringIO())
    registry = Registry(job.registry)
    return registry, registry.get(result["fingerprint"]), result


def best_answers(encoder):
    texts = {name: document.text for name, document in DOCUMENTS.items()}
    return {query: found[0] for query, found in rank_exact(encoder, list(NEW), texts, k=1).items()}


def parameters_of(folder):
    from desireline.trainer.encoders.sentence_transformers import load_sentence_transformer

    return sum(each.numel() for each in load_sentence_transformer(folder).parameters())


@pytest.mark.parametrize("teacher", ["none", "base"])
@pytest.mark.parametrize("kind", BOTH)
def test_a_compact_encoder_learns_what_users_mean_and_is_registered_as_such(
    make_job, kind, teacher
):
    job = make_job(kind, teacher=teacher)
    registry, manifest, result = registered(job)
    assert best_answers(registry.load(manifest.fingerprint)) == NEW
    assert (manifest.provenance.mode, manifest.documents) == ("small", None)
    assert manifest.provenance.teacher == (manifest.provenance.parent if job.teacher else None)
    assert manifest.dimension == registry.get(manifest.provenance.parent).dimension
    assert parameters_of(registry.folder(manifest.fingerprint)) < MOST_PARAMETERS
    assert result["lowest_cosine"] > 0.9999


@pytest.mark.parametrize("kind", BOTH)
def test_the_exported_vectors_are_the_trained_ones(make_job, kind):
    from sentence_transformers import SentenceTransformer

    registry, manifest, _ = registered(make_job(kind, teacher="base"))
    texts = [*NEW, *(document.text for document in DOCUMENTS.values()), "a word nobody said"]
    plain = SentenceTransformer(str(registry.folder(manifest.fingerprint)), device="cpu")
    np.testing.assert_allclose(
        plain.encode(texts), registry.load(manifest.fingerprint).encode_queries(texts), atol=1e-5
    )


@pytest.mark.parametrize("kind", BOTH)
def test_the_same_seed_gives_the_same_compact_encoder_and_another_seed_another(make_job, kind):
    one, two, other = (
        registered(make_job(kind, teacher="base", out=name, seed=seed, passes=2, tuning_passes=4))[
            1
        ].fingerprint
        for name, seed in (("one", 3), ("two", 3), ("other", 4))
    )
    assert one == two
    assert one != other


@pytest.mark.parametrize("kind", BOTH)
def test_vectors_may_have_another_length_than_the_teachers(make_job, kind):
    registry, manifest, _ = registered(make_job(kind, teacher="base", dimension=24))
    assert manifest.dimension == 24
    assert registry.load(manifest.fingerprint).encode_queries(["wax"]).shape == (1, 24)


def test_without_any_click_pair_pretraining_lets_a_title_find_its_document(make_job):
    from desireline.trainer.encoders.sentence_transformers import SentenceTransformerEncoder

    texts = {name: document.text for name, document in DOCUMENTS.items()}
    gap = {}
    for passes in (0, 20):
        job = make_job("static", out=f"out-{passes}", passes=passes, tuning_learning_rate=1e-9)
        encoder = SentenceTransformerEncoder(train(job).folder)
        likeness = encoder.encode_queries(THINGS) @ encoder.encode_documents(list(texts.values())).T
        gap[passes] = float(np.diag(likeness).mean() - likeness.mean())
    assert gap[20] > gap[0] + 0.1


def test_what_was_distilled_lies_near_the_teachers_vectors(make_job):
    from desireline.trainer.encoders.sentence_transformers import SentenceTransformerEncoder

    texts = [document.text for document in DOCUMENTS.values()]
    near = {}
    for passes in (0, 40):
        job = make_job(
            "transformer",
            teacher="base",
            out=f"out-{passes}",
            passes=passes,
            layer_passes=3,
            tuning_learning_rate=1e-9,
            layer_learning_rate=1e-4,
        )
        taught = Registry(job.registry).load(job.provenance.teacher).encode_documents(texts)
        learned = SentenceTransformerEncoder(train(job).folder).encode_documents(texts)
        near[passes] = float((taught * learned).sum(axis=1).mean())
    assert near[40] > 0.9
    assert near[40] > near[0] + 0.1


@pytest.mark.parametrize("kind", BOTH)
def test_taught_what_queries_mean_it_brings_those_of_one_category_together(make_job, kind):
    from desireline.trainer.encoders.sentence_transformers import SentenceTransformerEncoder

    categories = {thing: (sort,) for thing, sort in zip(THINGS, KINDS, strict=True)}
    same = np.array([[one == other for other in KINDS] for one in KINDS]) & ~np.eye(8, dtype=bool)
    gap = {}
    for weight in (0.0, 1.0):
        job = make_job(kind, out=f"out-{weight}", categories=categories, intent_weight=weight)
        encoder = SentenceTransformerEncoder(train(job).folder)
        vectors = encoder.encode_queries(THINGS)
        gap[weight] = float((vectors @ vectors.T)[same].mean())
        assert best_answers(encoder) == NEW
    assert gap[1.0] > gap[0.0] + 0.05


@pytest.mark.parametrize("categories", [{}, dict.fromkeys(THINGS, ("all",))])
def test_categories_that_tell_nothing_apart_change_nothing(make_job, categories):
    one, two = (
        registered(make_job("static", out=f"out-{weight}", categories=kinds, intent_weight=weight))
        for weight, kinds in ((0.0, {}), (1.0, categories))
    )
    assert one[1].fingerprint == two[1].fingerprint


@pytest.mark.parametrize("kind", BOTH)
def test_an_encoder_too_large_to_be_compact_is_refused_before_anything_is_trained(make_job, kind):
    from desireline.trainer.compact.building import build
    from desireline.trainer.compact.vocabulary import Vocabulary

    vocabulary = Vocabulary.of((f"word{number}" for number in range(22_000)), most=22_000)
    config = SmallConfig(kind=kind, width=512)
    with pytest.raises(TrainerError, match=f"fewer than {MOST_PARAMETERS:,} are allowed"):
        build(vocabulary, config, dimension=512, words=None)


@pytest.mark.parametrize("kind", BOTH)
def test_the_usual_compact_encoder_is_within_the_bound(kind):
    from desireline.trainer.compact.building import build
    from desireline.trainer.compact.deepening import deepened, parameters_of_layers
    from desireline.trainer.compact.vocabulary import Vocabulary

    usual = SmallConfig(kind=kind)
    words = (f"word{number}" for number in range(usual.vocabulary))
    vocabulary = Vocabulary.of(words, most=usual.vocabulary)
    model = build(vocabulary, usual, dimension=384, words=None)
    assert len(vocabulary.tokens) == usual.vocabulary
    if kind == "transformer":
        model = deepened(model, vocabulary, usual)
        said = parameters_of_layers(usual, usual.vocabulary, 384)
        assert said == sum(each.numel() for each in model.parameters())
    assert sum(each.numel() for each in model.parameters()) < MOST_PARAMETERS


@pytest.fixture
def table():
    """Make a table of words of 20 numbers as training might leave it, and its vocabulary."""
    from desireline.trainer.compact.building import build
    from desireline.trainer.compact.vocabulary import Vocabulary

    vocabulary = Vocabulary.of((each.text for each in DOCUMENTS.values()), most=150)
    drawn = np.random.default_rng(0).normal(size=(len(vocabulary.tokens), 20))
    lengths = np.linspace(0.1, 3, len(drawn))[:, None]
    words = (drawn * lengths).astype(np.float32)
    return build(vocabulary, SmallConfig(), dimension=20, words=words), vocabulary


SAID = [*NEW, *(document.text for document in DOCUMENTS.values()), "a word nobody said", "drum"]


@pytest.mark.parametrize(("layers", "width"), [(1, 32), (3, 48)])
def test_a_transformer_begins_with_the_vectors_of_its_trained_words(table, layers, width):
    from desireline.trainer.compact.deepening import deepened

    shallow, vocabulary = table
    deep = deepened(shallow, vocabulary, SmallConfig(layers=layers, width=width))
    np.testing.assert_allclose(deep.encode(SAID), shallow.encode(SAID), atol=1e-5)


def test_a_narrower_transformer_begins_with_what_tells_most_of_its_words(table):
    from desireline.trainer.compact.deepening import deepened

    shallow, vocabulary = table
    table_of = shallow[0].embedding.weight.data
    table_of[:, 10:] *= 0.01
    deep = deepened(shallow, vocabulary, SmallConfig(width=16))
    assert deep[0].auto_model.config.hidden_size == 16
    assert deep.get_embedding_dimension() == 20
    assert (deep.encode(SAID) * shallow.encode(SAID)).sum(axis=1).min() > 0.999


def test_a_trained_transformer_tells_the_order_of_words_which_no_table_can(make_job):
    from desireline.trainer.encoders.sentence_transformers import SentenceTransformerEncoder

    apart = {}
    for kind in BOTH:
        encoder = SentenceTransformerEncoder(train(make_job(kind, out=kind)).folder)
        one, other = encoder.encode_queries(["plain teapot of music", "music of teapot plain"])
        apart[kind] = float(np.abs(one - other).max())
    assert apart["static"] < 1e-6
    assert apart["transformer"] > 1e-4


@pytest.mark.parametrize("kind", BOTH)
def test_a_spent_budget_ends_both_stages_in_good_order(make_job, kind):
    ticks = itertools.count()
    tuned = train(make_job(kind, budget_s=20.0), clock=lambda: float(next(ticks)))
    assert 0 < tuned.steps < tuned.planned_steps
    assert "budget spent" in tuned.sentence
    assert tuned.folder.is_dir()


@pytest.mark.parametrize(
    ("kind", "stage"), [("static", 1), ("static", 2), ("transformer", 3), ("transformer", 4)]
)
def test_an_interrupt_of_any_stage_leaves_no_trace(make_job, tmp_path, kind, stage):
    job = make_job(kind)
    begun = itertools.count(1)
    before = sorted(path.name for path in tmp_path.iterdir())

    def interrupt(done, total, loss):
        if done == 1 and next(begun) == stage:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(job, interrupt)
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_a_compact_encoder_is_never_written_over_another(make_job):
    job = make_job("static")
    job.out.mkdir()
    with pytest.raises(TrainerError, match="exists already"):
        train(job)


def test_documents_that_cannot_be_read_are_said(make_job, tmp_path):
    job = make_job("static")
    with pytest.raises(NothingToLearnError, match="cannot be read"):
        train(job.model_copy(update={"catalogue": tmp_path / "none"}))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"catalogue": None}, "mode small needs catalogue of documents"),
        ({"teacher": None}, "mode small needs teacher's folder"),
        ({"config": FitConfig(mode="full"), "teacher": None}, "mode full needs no catalogue"),
    ],
)
def test_a_job_names_catalogue_and_teacher_exactly_where_they_are_read(make_job, changed, said):
    job = make_job("static", teacher="base")
    with pytest.raises(ValueError, match=said):
        FitJob(**{name: getattr(job, name) for name in FitJob.model_fields} | changed)


def test_words_are_numbered_in_one_order_however_the_texts_come():
    from desireline.trainer.compact.vocabulary import Vocabulary

    texts = [document.text for document in DOCUMENTS.values()]
    one, two = Vocabulary.of(texts, most=80), Vocabulary.of(reversed(texts), most=80)
    assert one == two
    assert len(one.tokens) == len(set(one.tokens))


def test_a_word_left_out_is_read_in_pieces_and_no_known_letter_is_lost():
    from desireline.trainer.compact.vocabulary import Vocabulary

    texts = [f"{word}ing {word}er" for word in ("teach", "paint", "build", "sing", "work")] * 2
    tokenizer = Vocabulary.of(texts, most=90).tokenizer(special=False)
    pieces = tokenizer.encode("Kneading", add_special_tokens=False).tokens
    assert pieces[-1].endswith("ing")
    assert "".join(piece.removeprefix("##") for piece in pieces) == "kneading"


def test_borrowed_words_fill_what_the_texts_leave():
    from desireline.trainer.compact.vocabulary import Vocabulary

    own = Vocabulary.of(["red shoe"], most=60)
    more = Vocabulary.of(["red shoe"], most=60, borrowed=["shoe", "scarlet", "boot"])
    assert set(more.tokens) - set(own.tokens) == {"scarlet", "boot"}
    assert len(Vocabulary.of(["red shoe"], most=len(own.tokens), borrowed=["a"]).tokens) == len(
        own.tokens
    )


def test_a_teacher_is_asked_once_for_each_text(exported_bert):
    from desireline.trainer.compact.teacher import Teacher

    told = Teacher(exported_bert, threads=1).documents(["red", "blue", "red"])
    assert list(told) == ["red", "blue"]
    assert all(np.linalg.norm(vector) == pytest.approx(1, abs=1e-5) for vector in told.values())


def test_frequent_words_are_shorter_and_special_ones_say_nothing(exported_bert):
    from desireline.trainer.compact.teacher import Teacher
    from desireline.trainer.compact.vocabulary import SPECIAL, Vocabulary

    teacher = Teacher(exported_bert, threads=1)
    vocabulary = Vocabulary.of(["red " * 500 + "blue garden nurse"], most=60)
    words = teacher.word_vectors(vocabulary, 8)
    numbers = {token: number for number, token in enumerate(vocabulary.tokens)}
    length = np.linalg.norm(words, axis=1)
    assert not length[[numbers[token] for token in SPECIAL]].any()
    assert length[numbers["red"]] < 0.1 * length[numbers["garden"]]
    once = Vocabulary.of(["red blue garden nurse"], most=60)
    whole, shorter = (teacher.word_vectors(once, width) for width in (32, 8))
    kept, along = (np.linalg.svd(each, compute_uv=False)[:8] for each in (shorter, whole))
    np.testing.assert_allclose(kept, along, rtol=1e-4)


@pytest.mark.parametrize(("kind", "stages"), [("static", 2), ("transformer", 4)])
def test_progress_of_all_stages_is_told(make_job, kind, stages):
    from desireline.trainer.worker import run

    events = io.StringIO()
    run(make_job(kind), events)
    told = [json.loads(line) for line in events.getvalue().splitlines()]
    assert sum(event["done"] == event["total"] for event in told) == stages
