"""The stage: images in, an encoder with its card and the story of its training out."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import yaml
from pydantic import JsonValue

from equipoise import evidence, registry
from equipoise.encoders import Card, KnownVector, known_image
from equipoise.encoders import onnx as onnx_encoder
from equipoise.encoders.preparation import prepared
from equipoise.errors import InvalidConfiguration, InvalidEncoder
from equipoise.pretrain.material import Seen, seen
from equipoise.pretrain.options import Options
from equipoise.scope import Scope
from equipoise.tables import write_bytes, write_json, write_text
from equipoise.training import LOSSES, REDUCERS, Plan, check_installed, sampler

if TYPE_CHECKING:
    from equipoise.training.loop import Trained

_COMPARED = 256
"""Images on which the exported file is held against torch."""
_LEAST_COSINE = 0.9999


def sources(options: Options, scope: Scope) -> dict[str, Path]:
    """Return the tables from outside the run that are read.

    Examples
    --------
    >>> chosen = Options(sampler={"kind": "weights", "table": "w.csv"})
    >>> {name: path.name for name, path in sources(chosen, Scope()).items()}
    {'weights': 'w.csv'}
    """
    found = {}
    if options.sampler.table is not None:
        found["weights"] = scope.resolve(options.sampler.table)
    if options.clusters is not None:
        found["clusters"] = scope.resolve(options.clusters.embeddings)
    return found


def run(options: Options, inputs: Mapping[str, Path], out: Path, scope: Scope) -> dict[str, object]:
    """Train an encoder; write ``encoder.onnx``, ``card.yaml`` and ``pretraining.json``.

    Parameters
    ----------
    options
        What is asked.
    inputs
        The folders of *cohort* and *images*, and those of *splits* and *weights* if there are any.
    out
        An existing folder.
    scope
        Where checkpoints are kept, and who is told how far it is.

    Raises
    ------
    MissingExtra
        If torch or onnx is not installed.
    UnknownName
        If there is no such objective, reducer or sampler.
    InvalidConfiguration
        If the options do not fit the images, or the loss is no longer a number.
    InvalidEncoder
        If the exported file gives other vectors than torch.
    """
    check_installed()
    from equipoise.training.loop import Material, train

    registry.load(options.objective, LOSSES, kind="objective")
    registry.load(options.reducer.kind, REDUCERS, kind="reducer")
    chosen = seen(options, inputs, scope)
    draw = sampler(
        options.sampler.kind,
        groups=chosen.groups,
        weights=chosen.weights,
        batch=options.batch,
        seed=options.seed,
    )
    _check_groups(options, chosen)
    how = plan(options)
    trained = train(
        Material(chosen.images.pixels, chosen.rows, chosen.groups, chosen.mean, chosen.deviation),
        how,
        draw,
        checkpoint=_checkpoint(options, how, chosen, scope),
        progress=scope.progress,
    )
    told = _leave(trained, options, how, chosen, out)
    history = trained.history
    return {
        "name": options.name,
        "images": len(chosen.rows),
        "patients": chosen.cohort["patient_id"].n_unique(),
        "split": chosen.split,
        "steps": how.steps,
        "first_loss": history[0]["loss"],
        "last_loss": history[-1]["loss"],
        "precision": how.precision,
        **told,
    }


def plan(options: Options) -> Plan:
    """Return the plan of a training; the precision is settled by what the processor has."""
    from equipoise.training.precision import settled

    return Plan(
        steps=options.steps,
        batch=options.batch,
        learning_rate=options.learning_rate,
        weight_decay=options.weight_decay,
        warm_up=options.warm_up,
        objective=options.objective,
        parameters={"temperature": options.temperature},
        reducer=options.reducer.kind,
        reducer_parameters=options.reducer.parameters,
        same_group_negatives=options.same_group_negatives,
        seed=options.seed,
        precision=settled(options.precision, options.device),
        threads=options.threads,
        device=options.device,
        architecture=options.architecture(),
        augmentation=options.views(),
        every=options.every,
    )


def _check_groups(options: Options, chosen: Seen) -> None:
    grouping = options.same_group_negatives or options.reducer.kind in {
        "group_balanced",
        "group_dro",
        "v_rex",
    }
    if not grouping:
        return
    what = "same_group_negatives" if options.same_group_negatives else options.reducer.kind
    if not chosen.groups.names:
        raise InvalidConfiguration(
            f"pretrain: {what}: no groups are declared; expected attributes or clusters",
            hint="say `group_by: [sex]`, or `clusters: {embeddings: …, n: 8}`",
        )
    if not options.same_group_negatives:
        return
    for name, code in zip(chosen.groups.names, range(len(chosen.groups.names)), strict=True):
        held = _held(options, chosen, code)
        if held < options.least_negatives:
            raise InvalidConfiguration(
                f"pretrain: same_group_negatives: a batch of {options.batch} holds {held:.1f} "
                f"images of {name} on average; expected at least {options.least_negatives}",
                hint="say `sampler: {kind: groups}`, enlarge the batch, or merge groups",
            )


def _held(options: Options, chosen: Seen, code: int) -> float:
    """Return how many images of a group a batch holds on average."""
    inside = chosen.groups.codes == code
    if options.sampler.kind == "groups":
        return options.batch * float((chosen.groups.codes >= 0).mean()) / len(chosen.groups.names)
    weights = np.ones(len(inside)) if chosen.weights is None else chosen.weights
    return options.batch * float(weights[inside].sum() / weights.sum())


def _checkpoint(options: Options, how: Plan, chosen: Seen, scope: Scope) -> Path | None:
    """Return where checkpoints lie: under a digest of all that shapes the weights."""
    from equipoise.training.precision import version

    if scope.cache is None:
        return None
    weights = None if chosen.weights is None else chosen.weights.tolist()
    told = {
        "plan": asdict(how),
        "sampler": options.sampler.model_dump(mode="json"),
        "images": chosen.digest,
        "order": evidence.digest(chosen.cohort["image_id"].to_list()),
        "groups": evidence.digest([*chosen.groups.names, *chosen.groups.codes.tolist()]),
        "weights": evidence.digest(weights),
        "torch": version(),
    }
    return scope.cache / "pretraining" / f"{evidence.digest(told)[:32]}.safetensors"


def _leave(
    trained: "Trained", options: Options, how: Plan, chosen: Seen, out: Path
) -> dict[str, object]:
    from equipoise.training.exporting import OUTPUT, embedded, exported

    content = exported(trained.encoder, size=options.size)
    bare = _card(options, how, chosen, OUTPUT)
    known = prepared(known_image(options.size, options.size)[None], bare).astype(np.float32)
    values = [float(f"{value:.6g}") for value in embedded(trained.encoder, known)[0]]
    card = bare.model_copy(update={"test_vector": KnownVector(values=tuple(values))})
    write_bytes(out / "encoder.onnx", content)
    said = card.model_dump(mode="json", exclude_none=True)
    # Lists of numbers in rows: 192 lines of a test vector nobody would scroll through.
    text = yaml.safe_dump(
        said, sort_keys=False, allow_unicode=True, width=100, default_flow_style=None
    )
    write_text(out / "card.yaml", text)
    least = _compared(trained, card, chosen, out)
    write_json(out / "pretraining.json", _story(trained, options, how, chosen, least, len(content)))
    return {
        "dimension": card.dimension,
        "bytes": len(content),
        "least_cosine": least,
        "training_digest": chosen.digest,
        "licence": card.licence,
    }


def _compared(trained: "Trained", card: Card, chosen: Seen, out: Path) -> float:
    """Return the least cosine between torch and the file that was written, on real images."""
    from equipoise.training.exporting import embedded

    where = {"path": str(out / "encoder.onnx"), "card": str(out / "card.yaml")}
    read_back = onnx_encoder.load(where, Scope())
    pixels = np.ascontiguousarray(chosen.images.pixels[chosen.rows[:_COMPARED]])
    ours = embedded(trained.encoder, prepared(pixels, card).astype(np.float32))
    theirs = read_back.embed(pixels)
    norms = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    least = float(((ours * theirs).sum(axis=1) / np.maximum(norms, 1e-12)).min())
    if not least >= _LEAST_COSINE:
        raise InvalidEncoder(
            f"pretrain: the exported file and torch agree to a cosine of {least:.6f} on "
            f"{len(pixels)} images; expected at least {_LEAST_COSINE}",
            hint="a vector that does not differ between images has no direction: train longer",
        )
    return round(min(least, 1.0), 6)


def _card(options: Options, how: Plan, chosen: Seen, output: str) -> Card:
    fairness: dict[str, JsonValue] = {
        "sampler": options.sampler.model_dump(mode="json", exclude_none=True),
        "reducer": options.reducer.model_dump(mode="json"),
        "same_group_negatives": options.same_group_negatives,
        "groups": list(chosen.groups.names),
    }
    return Card(
        name=options.name,
        modality="grey radiographs",
        layout="NCHW",
        height=options.size,
        width=options.size,
        channels=1,
        value_range="zero_one",
        mean=(chosen.mean,),
        std=(chosen.deviation,),
        output=output,
        dimension=how.architecture.dimension,
        precision="float32",
        licence=options.licence,
        source="trained by the stage pretrain of Equipoise",
        training_data=f"{len(chosen.rows)} images of "
        f"{chosen.cohort['patient_id'].n_unique()} patients; split: {chosen.split}",
        notes="self-supervised, without labels; a small encoder, not a foundation model",
        training_digest=chosen.digest,
        groups_seen=chosen.counts(),
        fairness=fairness,
        cost=_cost(how),
    )


def _cost(how: Plan) -> dict[str, JsonValue]:
    """Return what the training took, but for what was measured, which stands beside it."""
    return {
        "steps": how.steps,
        "images_drawn": how.steps * how.batch,
        "views": 2 * how.steps * how.batch,
    }


def _story(
    trained: "Trained", options: Options, how: Plan, chosen: Seen, least: float, size: int
) -> dict[str, object]:
    from equipoise.training.precision import version

    groups = chosen.groups
    return {
        "name": options.name,
        "objective": {
            "kind": how.objective,
            **how.parameters,
            "same_group_negatives": how.same_group_negatives,
        },
        "sampler": {
            **options.sampler.model_dump(mode="json", exclude_none=True),
            "rests_on_labels": options.sampler.kind == "weights" and options.sampler.table is None,
        },
        "reducer": options.reducer.model_dump(mode="json"),
        "groups": {
            "by": list(options.group_by),
            "clusters": None if options.clusters is None else options.clusters.n,
            "images": groups.counts(),
            "drawn": dict(trained.seen),
            "association": chosen.associations() if groups.names else {},
        },
        "data": {
            "images": len(chosen.rows),
            "patients": chosen.cohort["patient_id"].n_unique(),
            "split": chosen.split,
            "digest": chosen.digest,
            "mean": chosen.mean,
            "deviation": chosen.deviation,
            "groups_seen": chosen.counts(),
        },
        "plan": asdict(how),
        "cost": {
            **_cost(how),
            "parameters": sum(w.numel() for w in trained.encoder.parameters()),
            "bytes": size,
        },
        "export": {"compared": min(_COMPARED, len(chosen.rows)), "least_cosine": least},
        "torch": version(),
        "history": trained.history,
    }
