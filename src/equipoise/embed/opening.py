"""The encoder that the options name: allowed, calibrated on the cohort if asked, loaded."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pydantic import JsonValue

from equipoise import registry
from equipoise.embed.calibrating import calibrated, wanted
from equipoise.embed.options import Options
from equipoise.embed.sharing import Load
from equipoise.encoders import ENCODERS, Encoder, onnx
from equipoise.encoders.building import card_from
from equipoise.encoders.licensing import allowed
from equipoise.errors import InvalidConfiguration, InvalidEncoder
from equipoise.scope import Scope
from equipoise.tables import COHORT, ImageCache, read

PRETRAINED = "pretrained"
"""The encoder that the stage pretrain of the same study made."""


@dataclass(frozen=True, slots=True)
class Opened:
    """An encoder that may be used for what is asked.

    Parameters
    ----------
    encoder
        Ready to embed.
    load
        Loads the same in another process.
    said
        What stands beside its vectors: their use, and what it was calibrated on.
    notes
        What is to be looked at in its licence.
    """

    encoder: Encoder
    load: Load
    said: Mapping[str, object]
    notes: tuple[str, ...] = ()


def threads_of(options: Options, scope: Scope) -> int:
    """Return how many threads each process has.

    Examples
    --------
    >>> threads_of(Options(processes=2), Scope(workers=4))
    2
    """
    return max(1, scope.workers // options.processes)


def opened(options: Options, inputs: Mapping[str, Path], scope: Scope) -> Opened:
    """Return the encoder that the options name, on the device of this rank.

    Parameters
    ----------
    options
        What is asked.
    inputs
        The folders of *cohort* and *images*, which are read only where a model is calibrated on
        them, and that of *encoder* if there is one.
    scope
        Where paths start and models are kept, and which rank this is.

    Raises
    ------
    Refused
        If the licence of the encoder forbids the use, before any image is read.
    InvalidConfiguration
        If several ranks would choose an engine each for itself, or as `calibrated`.
    InvalidEncoder
        As `loaded`.

    Examples
    --------
    >>> opened(Options(encoder="fastest"), {}, Scope(rank=1, world_size=2))
    Traceback (most recent call last):
        ...
    equipoise.errors.InvalidConfiguration: embed: encoder 'fastest' and 2 ranks, each of which \
would measure for itself; expected an engine
    """
    _check_agreed(options, scope)
    said: dict[str, object] = {"use": options.use}
    chosen = options
    if wanted(options):
        where = str(options.parameters["path"])
        card = card_from(options.parameters["card"], scope, where=where)
        allowed(card.summary(), options.use)  # calibrating is a use too
        cohort = read(inputs["cohort"] / "cohort.parquet", COHORT)
        images = ImageCache.open(inputs["images"])
        chosen, said["calibration"] = calibrated(options, cohort, images, scope)
    device = device_of(options, scope)
    if device:
        chosen = chosen.model_copy(update={"parameters": {**chosen.parameters, **device}})
    load = partial(_load, chosen, scope.base, scope.cache, inputs.get("encoder"))
    encoder = load(threads_of(options, scope))
    return Opened(encoder, load, said, allowed(encoder.card.summary(), options.use))


def device_of(options: Options, scope: Scope) -> dict[str, JsonValue]:
    """Return which GPU this rank takes, if the encoder is asked to run on one.

    Examples
    --------
    >>> asked = Options(parameters={"device": "cuda"})
    >>> device_of(asked, Scope(rank=3, local_rank=1, world_size=4)), device_of(asked, Scope())
    ({'device': 'cuda:1'}, {})
    """
    shared = scope.world_size > 1 and options.parameters.get("device") == "cuda"
    return {"device": f"cuda:{scope.local_rank}"} if shared else {}


def _check_agreed(options: Options, scope: Scope) -> None:
    if options.encoder == "fastest" and scope.world_size > 1:
        raise InvalidConfiguration(
            f"embed: encoder 'fastest' and {scope.world_size} ranks, each of which would measure "
            "for itself; expected an engine",
            hint="say encoder: onnx or encoder: openvino",
        )


def _load(
    options: Options, base: Path, cache: Path | None, given: Path | None, threads: int
) -> Encoder:
    """Load the encoder in whatever process this is."""
    return loaded(options, Scope(base=base, cache=cache, workers=threads), given)


def loaded(options: Options, scope: Scope, given: Path | None = None) -> Encoder:
    """Return the encoder that the options name.

    Parameters
    ----------
    options
        What is asked.
    scope
        Where paths start.
    given
        The folder of the stage that gave an *encoder*, if there is one.

    Raises
    ------
    UnknownName
        If there is no such encoder.
    InvalidEncoder
        If its file does not fit its card, or the function named gives no encoder.
    InvalidConfiguration
        If the pretrained encoder is asked for and none is given.

    Examples
    --------
    >>> loaded(Options(encoder="filterbnk"), Scope())
    Traceback (most recent call last):
        ...
    equipoise.errors.UnknownName: no encoder 'filterbnk'; known: demo, fastest, filterbank, ...
    """
    if options.encoder == PRETRAINED:
        return _pretrained(options, scope, given)
    load = registry.load(options.encoder, ENCODERS, kind="encoder")
    encoder = load(options.parameters, scope)
    if not isinstance(encoder, Encoder):
        raise InvalidEncoder(
            f"encoder '{options.encoder}' gives {type(encoder).__name__}; expected an Encoder"
        )
    return encoder


def _pretrained(options: Options, scope: Scope, given: Path | None) -> Encoder:
    if given is None:
        raise InvalidConfiguration(
            "embed: encoder 'pretrained': no stage of the study gives an encoder",
            hint="add the stage pretrain, or give its folder as --from-encoder",
        )
    if options.parameters:
        raise InvalidConfiguration(
            f"embed: encoder 'pretrained': unknown parameter '{next(iter(options.parameters))}'; "
            "expected none"
        )
    parameters = {"path": str(given.resolve() / "encoder.onnx")}
    return onnx.load({**parameters, "card": str(given.resolve() / "card.yaml")}, scope)
