import numpy as np

from desireline.trainer.encoders.fake import FakeEncoder
from desireline.trainer.judging.topics import topics_of

QUERIES = [f"{kind} {n}" for kind in ("shoe shoe shoe", "nurse nurse nurse") for n in range(12)]


def test_queries_of_like_meaning_share_a_topic_and_no_words_are_told():
    topics = topics_of(FakeEncoder(dimension=64), QUERIES, topics=2)
    assert {topics[query] for query in QUERIES[:12]} == {topics[QUERIES[0]]}
    assert {topics[query] for query in QUERIES[12:]} == {topics[QUERIES[12]]}
    assert set(topics.values()) == {"topic 1 of 2", "topic 2 of 2"}


def test_the_same_queries_are_always_grouped_alike():
    encoder = FakeEncoder(dimension=64)
    assert topics_of(encoder, QUERIES, topics=5) == topics_of(encoder, QUERIES, topics=5)


def test_few_queries_or_no_topics_are_not_grouped():
    encoder = FakeEncoder(dimension=8)
    assert topics_of(encoder, QUERIES, topics=0) == {}
    assert topics_of(encoder, ["one"], topics=8) == {}
    assert len(set(topics_of(encoder, ["shoe", "nurse"], topics=8).values())) == 2


def test_texts_without_a_vector_have_a_topic_too():
    class Nothing(FakeEncoder):
        def encode_queries(self, texts):
            return np.zeros((len(texts), 8), dtype=np.float32)

    assert set(topics_of(Nothing(), QUERIES, topics=3)) == set(QUERIES)
