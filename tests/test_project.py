"""What no linter knows: sizes, names, exports, start-up, and that the import contracts bite."""

import ast
import importlib
import inspect
import re
import shutil
import subprocess
import sys
import tomllib

import pytest

import equipoise
from tests.conftest import ROOT

SOURCES = sorted((ROOT / "src" / "equipoise").rglob("*.py"))
EMPTY_WORDS = {"utils", "util", "helpers", "helper", "common", "misc", "core", "base", "manager"}
HEAVY = (
    "torch",
    "onnx",
    "fastapi",
    "nvflare",
    "scipy.stats",
    "sklearn",
    "matplotlib",
    "pandas",
)


@pytest.mark.parametrize(
    "command",
    ["import equipoise", "from equipoise.cli import main; main(['--help'])"],
    ids=["import", "help"],
)
def test_starting_loads_nothing_heavy(command):
    probe = (
        "import sys\n"
        f"try:\n    exec({command!r})\nexcept SystemExit:\n    pass\n"
        f"sys.stderr.write(' '.join(m for m in {HEAVY!r} if m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stderr == ""


def test_every_stage_starts_without_torch_or_scikit_learn():
    probe = (
        "import sys, equipoise\n"
        "for name in equipoise.__all__[1:]: getattr(equipoise, name)\n"
        "from equipoise.study import STAGES, stage\n"
        "for kind in STAGES: stage(kind)\n"
        f"sys.stdout.write(' '.join(m for m in {HEAVY!r} if m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_a_module_stays_readable(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400
    assert path.stem.strip("_") not in EMPTY_WORDS


def test_functions_stay_short():
    long = []
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and (n := _body_lines(node)) > 50:
                long.append(f"{path.name}:{node.name} ({n})")
    assert long == []


def _body_lines(function: ast.FunctionDef) -> int:
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


PACKAGES = [
    ".".join(path.parent.relative_to(ROOT / "src").parts)
    for path in SOURCES
    if path.name == "__init__.py"
]


@pytest.mark.parametrize("package", PACKAGES)
def test_what_is_exported_exists_and_is_named_once(package):
    try:
        module = importlib.import_module(package)
    except ModuleNotFoundError as lack:
        if str(lack.name).startswith("equipoise"):
            raise
        pytest.skip(f"{package} needs {lack.name}, of an extra")
    names = list(getattr(module, "__all__", []))
    assert all(hasattr(module, name) for name in names)
    assert len(set(names)) == len(names)


def test_every_exported_function_has_an_example_that_runs_unless_it_is_a_stages_run():
    bare = set()
    for name in equipoise.__all__[1:]:
        module = importlib.import_module(f"equipoise.{name}")
        for exported in getattr(module, "__all__", vars(module)):
            thing = getattr(module, exported)
            ours = inspect.isfunction(thing) and thing.__module__.startswith("equipoise")
            asked = ours and not exported.startswith("_") and exported not in {"run", "sources"}
            if asked and ">>>" not in (thing.__doc__ or ""):
                bare.add(f"{name}.{exported}")
    assert bare <= TESTED_INSTEAD


TESTED_INSTEAD = {
    "bench.stages",
    "study.conduct",
    "study.execute",
    "report.content",
    "report.gathered",
    "serve.application",
    "serve.serve",
}
"""Each needs a run on disk, or torch, which an example would not make in a line or two."""


def test_words_that_promise_too_much_are_not_used():
    promise = re.compile(r"\b(debias\w*|unbiased model|fair model)\b", re.IGNORECASE)
    said = [p.name for p in SOURCES if promise.search(p.read_text(encoding="utf-8"))]
    assert said == []


def test_nothing_is_unpickled_and_yaml_is_read_safely():
    danger = re.compile(r"\bpickle\.|allow_pickle=True|yaml\.load\(|yaml\.unsafe_load|\beval\(")
    said = [p.name for p in SOURCES if danger.search(p.read_text(encoding="utf-8"))]
    assert said == []


def test_the_readme_keeps_its_two_commands_and_the_changelog_its_version():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "make demo" in readme
    assert "make test" in readme
    assert f"## {equipoise.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_every_dependency_is_pinned_by_the_constraints():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [d for group in project["optional-dependencies"].values() for d in group]
    asked = {re.split(r"[\[<>=!~ ]", d)[0].lower() for d in project["dependencies"] + extras}
    pinned = {
        line.split("==")[0].lower()
        for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
        if "==" in line
    }
    assert asked <= pinned


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("audit/__init__.py", "from equipoise import gate", "stages never import each other"),
        ("tables/__init__.py", "from equipoise import audit", "stages never import each other"),
        ("metrics/__init__.py", "import pydicom", "pydicom only in images and phantoms"),
        ("adapt/__init__.py", "import torch", "torch only where"),
        ("adapt/__init__.py", "import sklearn", "pandas nowhere"),
        ("helpers.py", '"""A drawer."""', "stages never import each other"),
        ("metrics/counts.py", "from equipoise.metrics import limits", "own layers"),
    ],
)
def test_a_planted_violation_breaks_the_import_contracts(tmp_path, module, line, contract):
    shutil.copytree(ROOT / "src" / "equipoise", tmp_path / "src" / "equipoise")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    target = tmp_path / "src" / "equipoise" / module
    before = target.read_text(encoding="utf-8") if target.exists() else ""
    target.write_text(before + f"\n{line}\n", encoding="utf-8")
    probe = (
        "import sys; sys.path.insert(0, 'src'); from importlinter.cli import lint_imports;"
        "sys.exit(lint_imports(no_cache=True))"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 1, done.stdout + done.stderr
    broken = [row for row in done.stdout.splitlines() if " BROKEN" in row]
    assert any(contract in row for row in broken), done.stdout


def test_no_path_of_a_machine_is_in_a_tracked_file():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout: tracked files are not searched")
    place = re.compile(r"/(?:wor[k]|roo[t]|hom[e])/\w+")
    said = []
    for name in listed.stdout.split():
        path = ROOT / name
        if path.suffix in {".py", ".md", ".yaml", ".toml", ".txt", ".html", ""} and path.is_file():
            found = place.search(path.read_text(encoding="utf-8"))
            said += [f"{name}: {found.group()}"] if found else []
    assert said == []
