"""Two small stages, real in all but their work, with which a study is tried."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from equipoise.study import Node, Stage, Study
from equipoise.tables import write_text


class MakeOptions(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    text: str = "hello"
    source: str | None = None


class CopyOptions(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    times: int = 1


RAN: list[str] = []
FAILING: dict[str, BaseException] = {}


def make(options, inputs, out, scope):
    del inputs
    RAN.append("make")
    write_text(out / "made.txt", options.text)
    scope.progress("letters", 1, 1)
    return {"letters": len(options.text)}


def copy(options, inputs, out, scope):
    del scope
    RAN.append("copy")
    text = (inputs["thing"] / "made.txt").read_text()
    write_text(out / "first.txt", text)
    if "copy" in FAILING:
        raise FAILING["copy"]
    write_text(out / "copied.txt", text * options.times)
    return {}


def make_after(options, inputs, out, scope):
    del options, scope
    write_text(out / "after.txt", (inputs["copy"] / "copied.txt").read_text())
    return {}


def _sources(options, scope):
    return {"text": scope.resolve(options.source)} if options.source else {}


def _no_sources(options, scope):
    return {}


MAKE = Stage("make", 1, MakeOptions, (), (), ("thing",), make, _sources)
COPY = Stage("copy", 1, CopyOptions, ("thing",), (), ("copy",), copy, _no_sources)

AFTER = Stage("after", 1, CopyOptions, ("copy",), (), (), make_after, _no_sources)
PAGE = Stage("page", 1, MakeOptions, ("thing",), ("copy",), (), make, _no_sources)


def study(*, text: str = "hello", times: int = 1, source: Path | None = None) -> Study:
    options = MakeOptions(text=text, source=None if source is None else str(source))
    return Study(
        "toy",
        "",
        (
            Node("make", MAKE, options, {}),
            Node("other", MAKE, MakeOptions(text="other"), {}),
            Node("copy", COPY, CopyOptions(times=times), {"thing": "make"}),
        ),
    )
