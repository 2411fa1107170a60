import io

import structlog

from desireline.sidecar.reports.telemetry import WITHHELD_KEYS, Metrics, configure_logs


def test_query_text_and_credentials_never_reach_a_log_line() -> None:
    stream = io.StringIO()
    configure_logs(form="json", to=stream)
    try:
        log = structlog.get_logger()
        log.info("something happened", target="products", **dict.fromkeys(WITHHELD_KEYS, "s3cret"))
    finally:
        structlog.reset_defaults()
    assert "s3cret" not in stream.getvalue()
    assert '"target": "products"' in stream.getvalue()


def test_metrics_are_told_by_target() -> None:
    metrics = Metrics()
    metrics.live("products", 7)
    metrics.stale("products", seconds=1.5)
    metrics.document_stale("products", 98, seconds=1.5)
    metrics.document_stale("products", 2, seconds=40)
    metrics.embedded("products", 500)
    metrics.cycle_ended("products", "promoted")
    told = metrics.render().decode()
    for line in (
        'desireline_live_generation{target="products"} 7.0',
        'desireline_staleness_seconds{target="products"} 1.5',
        'desireline_document_staleness_seconds_bucket{le="2.0",target="products"} 98.0',
        'desireline_document_staleness_seconds_count{target="products"} 100.0',
        'desireline_recent_staleness_seconds{quantile="0.5",target="products"} 1.5',
        'desireline_recent_staleness_seconds{quantile="0.99",target="products"} 40.0',
        'desireline_documents_embedded_total{target="products"} 500.0',
        'desireline_cycles_total{state="promoted",target="products"} 1.0',
    ):
        assert line in told


def test_two_processes_worth_of_metrics_do_not_share_a_registry() -> None:
    first, second = Metrics(), Metrics()
    first.embedded("products", 1)
    assert 'target="products"' not in second.render().decode()
