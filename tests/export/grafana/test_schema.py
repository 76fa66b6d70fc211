"""The dashboards against Grafana's own types: ``@grafana/schema``, checked by the TypeScript compiler."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from netwatch.export.grafana.influxql import InfluxQl
from netwatch.export.grafana.promql import PromQl
from tests.conftest import missing
from tests.export.grafana.asking import boards

pytestmark = pytest.mark.slow  # the compiler reads all of the schema, and npm has to fetch both once

PACKAGES = ("typescript@5", "@grafana/schema@13.2.3")
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "netwatch-tests" / "grafana-schema"

HEAD = """\
import type { AnnotationQuery, Dashboard, DataQuery } from '@grafana/schema';
// What a data source wants of an annotation is its own; the schema names only what all have.
type OfSource = {
  expr?: string; titleFormat?: string; textFormat?: string; tagKeys?: string; useValueForTime?: boolean;
  target?: DataQuery & {
    expr?: string; query?: string; rawQuery?: boolean; fromAnnotations?: boolean; textColumn?: string; tagsColumn?: string; name?: string;
  };
};
type Annotation = Omit<AnnotationQuery, 'target'> & OfSource;
// An enumeration of the schema is its text in JSON.
type Json<T> =
  T extends string ? `${T}` :
  T extends (infer Item)[] ? Json<Item>[] :
  T extends object ? { [Key in keyof T]: Json<T[Key]> } :
  T;
type Written = Json<Omit<Dashboard, 'annotations'> & { annotations?: { list?: Annotation[] } }>;
"""


@pytest.fixture(scope="session")
def compiler() -> Path:
    """The folder with the compiler and the schema, installed once for all checkouts."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        missing("npm and node are not installed")
    if not (CACHE / "node_modules" / "@grafana" / "schema").is_dir():
        CACHE.mkdir(parents=True, exist_ok=True)
        words = ["npm", "install", "--no-audit", "--no-fund", "--silent", "--prefix", str(CACHE), *PACKAGES]
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=200)
        if done.returncode != 0:
            missing(f"npm cannot install {' and '.join(PACKAGES)}: {done.stderr.strip()[-200:]}")
    return CACHE


OF_THE_SDK = {"id", "auto", "auto_min", "auto_count"}
"""What the SDK writes of every variable although the schema does not name it."""


def plain(value: Any) -> Any:
    """Without what the schema has no type for: null, by which Grafana means minus infinity in a threshold, and nothing elsewhere."""
    match value:
        case {"color": str(), "value": None}:
            return {**value, "value": float("-inf")}
        case {"type": "query" | "datasource", **words}:
            return {
                "type": value["type"],
                **{key: plain(inner) for key, inner in words.items() if inner is not None and key not in OF_THE_SDK},
            }
        case {"style": _, **words}:  # dark or light: a dashboard's until Grafana 10, then a person's
            return plain(words)
        case dict():
            return {key: plain(inner) for key, inner in value.items() if inner is not None}
        case list():
            return [plain(inner) for inner in value]
        case _:
            return value


def complaints(compiler: Path, folder: Path, dashboards: dict[str, Any]) -> str:
    """What the compiler says of dashboards, by name."""
    (folder / "node_modules").symlink_to(compiler / "node_modules")
    (folder / "package.json").write_text('{"type": "module"}')
    for name, board in dashboards.items():
        (folder / f"{name}.ts").write_text(f"{HEAD}export const board: Written = {json.dumps(plain(board))};\n")
    words = ["node", str(compiler / "node_modules" / "typescript" / "bin" / "tsc"), "--noEmit", "--skipLibCheck", "--strict"]
    modules = ["--module", "node16", "--moduleResolution", "node16"]
    sources = [f"{name}.ts" for name in dashboards]
    done = subprocess.run([*words, *modules, *sources], cwd=folder, capture_output=True, text=True, check=False, timeout=120)
    return done.stdout


def test_all_dashboards_are_of_grafanas_types(compiler: Path, tmp_path: Path) -> None:
    written = {f"{language.plugin}-{uid}": board for language in (InfluxQl(), PromQl()) for uid, board in boards(language).items()}
    assert len(written) == 12
    assert complaints(compiler, tmp_path, written) == ""


def test_the_check_sees_a_wrong_name_and_a_wrong_type(compiler: Path, tmp_path: Path) -> None:
    board = boards(PromQl())["netwatch-exporters"]
    board["panels"][1]["fieldConfig"]["defaults"]["unti"] = "s"
    board["panels"][2]["gridPos"]["w"] = "12"
    board["panels"][3]["fieldConfig"]["defaults"]["color"]["mode"] = "rainbow"
    said = complaints(compiler, tmp_path, {"wrong": board})
    assert "'\"unti\"' does not exist" in said
    assert "Type 'string' is not assignable to type 'number'" in said
    assert "Type '\"rainbow\"' is not assignable" in said
