"""`desireline synthesize`: files in, rows and a card out; queries from an endpoint."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from desireline.sidecar.cli.exit_codes import ExitCode

pytest.importorskip("torch", reason="needs desireline[trainer]")

WORDS = ["red", "blue", "shoe", "running", "garden", "nurse", "software", "engineer"]


class Endpoint:
    """Writes two queries for every text; fails after so many where it is told to."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.most = 1_000
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                text = sent["messages"][1]["content"]
                endpoint.asked.append(text)
                self.send_response(200 if len(endpoint.asked) <= endpoint.most else 500)
                self.end_headers()
                said = f"1. who is {text}\n2. {text.split()[-1]}"
                answer = {"choices": [{"message": {"content": said}}]}
                self.wfile.write(json.dumps(answer).encode())

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    running = Endpoint()
    yield running
    running.server.shutdown()
    running.server.server_close()


@pytest.fixture(scope="module")
def reader(tmp_path_factory) -> Path:
    """Write a tiny cross-encoder that knows nothing."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("reader")
    names = ["<pad>", "</s>", "<unk>", *WORDS]
    words = Tokenizer(models.WordLevel({w: n for n, w in enumerate(names)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(names),
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=8,
        num_labels=1,
    )
    BertForSequenceClassification(config).save_pretrained(folder, safe_serialization=True)
    return folder


def documents(count: int = 40) -> str:
    lines = [f"{n},a {WORDS[n % 8]} for {WORDS[n % 5]} {n}\n" for n in range(count)]
    Path("documents.csv").write_text("document_id,text\n" + "".join(lines))
    return "documents.csv"


def asked(endpoint: Endpoint, reader: Path, *more: str) -> tuple[str, ...]:
    return (
        *("synthesize", "--json", "--corpus", documents(), "--output", "rows"),
        *("--relation-miner", "bm25", "--cross-encoder", str(reader)),
        *("--writer-url", endpoint.url, "--queries-per-document", "2", *more),
    )


def test_an_endpoint_that_broke_off_is_asked_only_for_the_rest(
    command_line, endpoint, reader
) -> None:
    endpoint.most = 35
    failed = command_line(*asked(endpoint, reader))
    assert failed.exit_code == ExitCode.FAILED
    assert "status 500" in json.loads(failed.stdout)["error"]
    assert "what was written is kept" in json.loads(failed.stdout)["next_step"]
    assert not Path("rows").exists()
    endpoint.most, before = 1_000, len(endpoint.asked)
    result = command_line(*asked(endpoint, reader))
    assert result.exit_code == ExitCode.DONE, result.output
    assert len(endpoint.asked) - before == 40 - 32
    body = json.loads(result.stdout)
    rows = [json.loads(line) for line in Path(body["file"]).read_text().splitlines()]
    assert body["rows"] == len(rows) == 40 * 2 * 2
    assert all(row["document"].split()[-1] == row["query"].split()[-1] for row in rows)
    assert body["card"]["queries"]["rows"] == 80
    assert "score" in result.stderr
    assert not Path("rows.synthesis").exists()


def test_a_wrong_row_is_named_before_anything_is_sent(command_line, endpoint, reader) -> None:
    arguments = asked(endpoint, reader)
    Path("documents.csv").write_text("document_id,text\na,b\nb,\n")
    result = command_line(*arguments)
    assert result.exit_code == ExitCode.FAILED
    assert "line 3" in json.loads(result.stdout)["error"]
    assert not endpoint.asked
    assert not Path("rows.synthesis").exists()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--budget", "soon"), "soon"),
        (("--queries", "q.txt"), "--queries and --writer-url"),
        (("--query-writer", "folder"), "--query-writer and --writer-url"),
        (("--writer-url", "file:///etc"), "file:///etc"),
    ],
)
def test_an_option_that_cannot_be_meant_starts_nothing(
    command_line, endpoint, reader, more, said
) -> None:
    result = command_line(*asked(endpoint, reader, *more))
    assert result.exit_code == ExitCode.USAGE
    assert said in result.output
    assert not endpoint.asked
    assert not Path("rows.synthesis").exists()
