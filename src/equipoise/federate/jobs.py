"""The job as FLARE takes it: configuration only. What runs is what each site has installed."""

from pathlib import Path

from equipoise import tables
from equipoise.federate.answering import ROUNDS
from equipoise.federate.declaring import Federation, text

ALLOWED = (
    "equipoise.federate.controlling.Summing",
    "equipoise.federate.executing.Counting",
)
"""The classes that a job may name at a server or site; FLARE builds no other."""

_APP = "app"


def write_job(study: Federation, folder: Path) -> Path:
    """Write the job of a study and return its folder.

    Parameters
    ----------
    study
        The declaration; the server reads it from the job, a site from its own folder.
    folder
        Where; the job's folder in it has the name of the study.

    Examples
    --------
    >>> import tempfile
    >>> from equipoise.federate.declaring import declared
    >>> study = declared({"name": "a", "sites": ["a", "b", "c"], "attributes": {"sex": ["F"]},
    ...                   "findings": ["x"], "patients_disjoint": True})
    >>> made = write_job(study, Path(tempfile.mkdtemp()))
    >>> sorted(path.name for path in made.rglob("*") if path.is_file())
    ['config_fed_client.json', 'config_fed_server.json', 'meta.json']
    """
    job = folder / study.name
    meta = {
        "name": study.name,
        "resource_spec": {},
        "deploy_map": {_APP: ["server", *study.sites]},
        # Fewer than the study needs: then it is our own refusal that says who was missing.
        "min_clients": 1,
    }
    server = {
        "format_version": 2,
        # A site that is gone ends the wait for it, once the server has noticed.
        "dead_client_grace_period": 3.0,
        "dead_client_check_lead_time": 3.0,
        "workflows": [
            {
                "id": "summing",
                "path": ALLOWED[0],
                "args": {"study": text(study)},
            }
        ],
        "components": [],
        "task_data_filters": [],
        "task_result_filters": [],
    }
    client = {
        "format_version": 2,
        "executors": [{"tasks": list(ROUNDS), "executor": {"path": ALLOWED[1], "args": {}}}],
        "components": [],
        "task_data_filters": [],
        "task_result_filters": [],
    }
    tables.write_json(job / "meta.json", meta)
    tables.write_json(job / _APP / "config" / "config_fed_server.json", server)
    tables.write_json(job / _APP / "config" / "config_fed_client.json", client)
    return job
