import subprocess
import sys

import pytest

from desireline.trainer.errors import JobError
from desireline.trainer.jobs import FitConfig, FitJob, ImportJob, read_job, write_job


@pytest.mark.parametrize(
    "job",
    [
        FitJob(
            base="base",
            pairs="pairs",
            out="out",
            registry="registry",
            template=("title",),
            provenance={"base_model": "tiny", "pairs": 3},
            config=FitConfig(max_steps=3, loss_settings={"scale": 20.0}),
        ),
        ImportJob(source="some/model", registry="registry", template=("title", "text")),
    ],
)
def test_a_job_is_read_as_it_was_written(tmp_path, job):
    write_job(job, tmp_path / "job.json")
    assert read_job(tmp_path / "job.json") == job


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("{", "cannot be read"),
        ('{"kind": "dance"}', "dance"),
        ('{"kind": "fit", "base": "b", "config": {"batch_documents": 1, "speed": 9}}', "speed"),
    ],
)
def test_a_wrong_job_is_refused_by_name(tmp_path, text, named):
    path = tmp_path / "job.json"
    path.write_text(text)
    with pytest.raises(JobError, match=named):
        read_job(path)


def test_a_missing_job_is_refused(tmp_path):
    with pytest.raises(JobError, match="cannot be read"):
        read_job(tmp_path / "none.json")


def test_everything_that_the_slim_install_needs_comes_without_torch():
    modules = ["evaluation", "gate", "jobs", "sessions", "splits", "judging.changes"]
    imports = "; ".join(f"import desireline.trainer.{module}" for module in modules)
    check = f"import sys; {imports}; assert not {{'torch', 'transformers'}} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", check], check=True)
