"""The pages of a target's encoders, and the same for programs."""

import re

import pytest
from html_reading import EVIL, Page, assert_no_injection
from sample_models import BASE, LOST, TUNED, manifest, sample_models

from desireline.sidecar.models.records import ModelRecord
from desireline.trainer.models.manifest import FileRecord, Template


@pytest.fixture
def models(sidecar, cycle) -> None:
    sidecar.models = sample_models(cycle)


@pytest.mark.usefixtures("models")
def test_the_list_tells_state_size_verdict_and_the_line_of_what_serves(browser) -> None:
    text = browser("read").get("/targets/products/models").text
    words = Page(text).words
    for said in (
        "live",
        "generation 7",
        "refused",
        "Tried as lora beside other modes: the head segment fell.",
        "retained",
        "69 MB",
        f"full from {BASE[:12]}",
        "No gate has judged it.",
    ):
        assert said in words, said
    line = text[text.index('<ol class="line"') :].split("</ol>")[0]
    assert re.findall(r"<code>(\w+)</code>", line) == [BASE[:12], TUNED[:12]]
    assert f'href="/targets/products/models/{LOST[:12]}"' in text


@pytest.mark.usefixtures("models")
def test_a_card_is_a_page_with_tables_intervals_licence_and_the_way_to_load_it(browser) -> None:
    signed_in = browser("read")
    text = signed_in.get(f"/targets/products/models/{TUNED[:12]}").text
    words = Page(text).words
    for said in (
        "tiny, tuned by desireline",
        "apache-2.0, that of tiny",
        "+0.030",
        "[+0.011, +0.049]",
        "Gain over incumbent",
        "clicks of 2026-05-07 to 2026-05-07, 1,234 pairs",
        "products: generation 7, live, since 2026-05-14",
        f"desireline models export {TUNED[:12]} ./encoder",
        'SentenceTransformer("./encoder")',
        "69,000,000",
        "a" * 64,
    ):
        assert said in words, said
    assert f'<a href="/targets/products/models/{BASE[:12]}"><code>{BASE}</code></a>' in text
    assert signed_in.get("/targets/products/models/7").text.count(TUNED) > 0
    assert_no_injection(text)


@pytest.mark.usefixtures("models")
def test_the_generations_of_a_target_lead_to_the_cards(browser, sidecar) -> None:
    text = browser("read").get("/").text
    short = sidecar.encoders[7].fingerprint.removeprefix("sha256:")[:12]
    assert f'href="/targets/products/models/{short}"' in text
    assert 'href="/targets/products/models"' in text


@pytest.mark.parametrize("name", ["3", "deadbeef", "%3Cscript%3E", "0"])
@pytest.mark.usefixtures("models")
def test_a_card_that_is_not_there_is_told_on_a_page_and_to_programs(browser, client, name) -> None:
    page = browser("read").get(f"/targets/products/models/{name}")
    assert page.status_code == 404
    assert "give a generation's number, or 8 digits" in Page(page.text).words
    assert_no_injection(page.text)
    answer = client("read").get(f"/v1/targets/products/models/{name}")
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "encoder_unknown"


def test_a_card_from_a_shared_registry_cannot_write_into_the_pages(browser, sidecar) -> None:
    made = {"base_model": EVIL, "licence": EVIL, "code_version": EVIL, "cycle_id": EVIL}
    evil = manifest(TUNED, query=EVIL, parent=BASE, **made)
    strange = evil.model_copy(
        update={
            "files": {EVIL: FileRecord(sha256=EVIL, bytes=1)},
            "template": Template(fields=(EVIL,), separator=EVIL),
            "documents": EVIL,
        }
    )
    sidecar.models = [ModelRecord(manifest=strange, lineage=(), judged=None, generations=())]
    for where in ("", f"/{TUNED[:12]}"):
        text = browser("read").get(f"/targets/products/models{where}").text
        assert_no_injection(text)
        assert "alert(1)" in Page(text).words


def test_without_an_encoder_the_page_says_what_brings_the_first(browser) -> None:
    words = Page(browser("read").get("/targets/products/models").text).words
    assert "desireline reindex products brings the first" in words
    assert "Verdict" not in words


@pytest.mark.usefixtures("models")
def test_programs_get_the_same_and_only_with_a_key(client, anyone) -> None:
    for where in ("", "/7"):
        assert anyone.get(f"/v1/targets/products/models{where}").status_code == 401
        assert client("search").get(f"/v1/targets/products/models{where}").status_code == 403
        assert anyone.get(f"/targets/products/models{where}").status_code == 303
    body = client("read").get("/v1/targets/products/models").json()
    assert [(each["fingerprint"], each["state"]) for each in body["models"]] == [
        (TUNED, "live"),
        (LOST, "refused"),
        (BASE, "retained"),
    ]
    (one,) = [client("read").get("/v1/targets/products/models/7").json()["model"]]
    assert one == body["models"][0]
    assert one["gain"]["mrr@20"]["low"] == 0.011
