"""The house rules that a machine can check: dependencies, code, DVC's configuration, the page of plots."""

import ast
import re
import sys
import tomllib
from configparser import ConfigParser
from html.parser import HTMLParser
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

from imports import BENCHMARKS, CODE, ROOT, TESTS, name_of, packages
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
NEEDED: list[str] = PROJECT["project"]["dependencies"]
DEVELOPMENT: list[str] = PROJECT["dependency-groups"]["dev"]


def test_every_imported_package_is_declared() -> None:
    assert undeclared(CODE, names(NEEDED)) == set()
    assert undeclared(TESTS, names(NEEDED + DEVELOPMENT)) == set()


def names(requirements: list[str]) -> set[str]:
    """Names of the required distributions, in their canonical spelling."""
    return {canonicalize_name(Requirement(requirement).name) for requirement in requirements}


def undeclared(files: list[Path], declared: set[str]) -> set[str]:
    """Imports that belong neither to Python, nor to the project, nor to a declared distribution."""
    own = {"detox", "stages", "miniature", "benchmarks", "docs"} | {file.stem for file in TESTS}
    imported = {name for file in files for name in packages(file)} - own - set(sys.stdlib_module_names)
    providers = packages_distributions()
    return {name for name in imported if not {canonicalize_name(p) for p in providers.get(name, [])} & declared}


def test_no_module_has_a_name_that_says_nothing() -> None:
    assert not {file.stem for file in CODE} & {"utils", "util", "helpers", "helper", "common", "misc", "manager"}


def calls(file: Path) -> list[ast.Call]:
    """Every call in the file."""
    return [node for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]


def test_nothing_unpickles_or_runs_code_from_a_hub_or_a_shell() -> None:
    unsafe = {"eval", "exec", "os.system", "os.popen", "pandas.read_pickle", "pd.read_pickle", "subprocess.getoutput"}
    for file in CODE + TESTS + BENCHMARKS:
        assert not packages(file) & {"pickle", "marshal", "dill", "joblib", "shelve"}, name_of(file)
        assert not {ast.unparse(call.func) for call in calls(file)} & unsafe, name_of(file)
        arguments = {(keyword.arg, ast.unparse(keyword.value)) for call in calls(file) for keyword in call.keywords}
        allowed = {("trust_remote_code", "False"), ("shell", "False"), ("allow_pickle", "False")}
        dangerous = {each for each in arguments if each[0] in ("trust_remote_code", "shell", "allow_pickle")}
        assert dangerous <= allowed, name_of(file)


def test_only_one_module_asks_transformers_for_a_model_and_it_never_runs_a_repositorys_code() -> None:
    """The library's Auto classes ask whether to run code that lies beside a model, unless they are told not to."""
    loads = [
        (name_of(file), "trust_remote_code" in {keyword.arg for keyword in call.keywords})
        for file in CODE
        if not name_of(file).startswith("miniature/")  # it makes its models itself
        for call in calls(file)
        if re.fullmatch(r"(Auto\w+(?<!ValueHead)|kind|T5\w+)\.from_(pretrained|config)", ast.unparse(call.func))
    ]
    assert loads == [("detox/model/pretrained.py", True)] * 2


def test_no_library_is_given_a_folder_of_somebody_elses() -> None:
    """transformers is given no folder but a tokenizer's cleaned copy, peft none, and trl the model itself."""
    loads = {
        (name_of(file), ast.unparse(call.args[0]))
        for file in CODE
        if not name_of(file).startswith("miniature/")  # its models are its own
        for call in calls(file)
        if ast.unparse(call.func).endswith(("from_pretrained", "load_adapter"))
    }
    assert loads == {
        ("detox/model/pretrained.py", "None"),
        ("detox/model/pretrained.py", "copy"),
        ("detox/model/policy.py", "peft_model"),
    }


def test_no_part_of_the_library_starts_a_process_but_that_which_asks_git_and_seeds() -> None:
    shipped = [file for file in CODE if not name_of(file).startswith("miniature/")]
    starting = [name_of(file) for file in shipped if packages(file) & {"subprocess", "multiprocessing", "pty"}]
    assert starting == ["detox/git.py", "stages/seeds.py"]


def test_bandits_rules_are_on_and_nowhere_off_in_the_library_and_the_stages() -> None:
    lint = PROJECT["tool"]["ruff"]["lint"]
    assert "S" in lint["select"]
    assert not [rule for rule in lint["ignore"] if re.fullmatch(r"S\d*", rule)]
    assert set(lint["per-file-ignores"]) == {"tests/*", "benchmarks/*", "docs/*", "miniature/*"}
    shipped = [file for file in CODE if not name_of(file).startswith("miniature/")]
    exceptions = [
        f"{name_of(file)}: {rule}"
        for file in shipped
        for rule in re.findall(r"# noqa: (S\d+)", file.read_text(encoding="utf-8"))
    ]
    # The Markdown of the card, an SVG that matplotlib has written, git, and dvc.
    assert exceptions == [
        "detox/git.py: S603",
        "detox/reporting/cards.py: S701",
        "detox/reporting/figures.py: S704",
        "stages/seeds.py: S603",
        "stages/seeds.py: S603",
    ]


def test_one_place_alone_reads_what_torch_saved_and_it_takes_nothing_but_tensors() -> None:
    loads = [
        (name_of(file), ast.unparse(call))
        for file in CODE + TESTS + BENCHMARKS
        for call in calls(file)
        if ast.unparse(call.func).endswith("torch.load")
    ]
    call = "torch.load(legacy, map_location='cpu', weights_only=True, mmap=zipped)"
    assert loads == [("detox/sources/local.py", call)]


def test_ranks_tell_one_another_tensors_and_bytes_and_never_a_pickle() -> None:
    """torch's and accelerate's collectives of objects unpickle what others send."""
    names = {ast.unparse(call.func).rpartition(".")[2] for file in CODE + BENCHMARKS for call in calls(file)}
    assert not [name for name in names if re.search(r"(gather|scatter|broadcast|send|recv)_object", name)]


def test_dvc_is_quiet_checks_what_it_pulls_and_its_committed_config_holds_no_secret() -> None:
    config = ConfigParser()
    config.read_string(re.sub(r"(?m)^ +", "", (ROOT / ".dvc" / "config").read_text(encoding="utf-8")))
    core, remote = config["core"], config["'remote \"storage\"'"]
    assert (core["remote"], core["analytics"], core["check_update"]) == ("storage", "false", "false")
    assert remote["url"].startswith("s3://")
    assert remote["verify"] == "true", "DVC would pull a corrupt object in silence"
    secrets = {"access_key_id", "secret_access_key", "session_token", "password", "sse_customer_key"}
    assert not secrets & {option for section in config.sections() for option in config[section]}


def loaded_by(page: str) -> list[tuple[str, str | None]]:
    """What the page's own elements make a browser fetch: every src, and every href of a link."""
    found: list[tuple[str, str | None]] = []

    class Elements(HTMLParser):
        def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
            found.extend(
                (name, value) for name, value in attributes if name == "src" or (tag, name) == ("link", "href")
            )

    Elements().feed(page)
    return found


def test_the_page_of_plots_loads_nothing_from_elsewhere() -> None:
    page = (ROOT / ".dvc" / "offline.html").read_text(encoding="utf-8")
    assert "{plot_divs}" in page
    assert "{scripts}" not in page, "DVC would put links to a CDN there"
    assert not loaded_by(page)
    assert re.findall(r"<script>/\* (\S+) ", page) == ["vega", "vega-lite", "vega-embed"]


def test_the_locked_versions_are_exact_and_allowed_by_pyproject() -> None:
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    locked = dict(line.split("==") for line in lines if not line.startswith("#"))
    versions = {canonicalize_name(name): version for name, version in locked.items()}
    assert not [name for name, version in versions.items() if "+" in version or name.startswith("nvidia")]
    for text in NEEDED + DEVELOPMENT:
        requirement = Requirement(text)
        assert versions[canonicalize_name(requirement.name)] in requirement.specifier, text


def test_what_ends_a_command_is_escaped_in_one_place() -> None:
    """detox.errors.complaint; what ends by a number, or by a timer's line of ours, says nothing of the input."""
    ends = {
        (name_of(file), ast.unparse(call.args[0]).partition("(")[0])
        for file in CODE
        for call in calls(file)
        if ast.unparse(call.func) == "sys.exit" and not isinstance(call.args[0], ast.Constant | ast.BinOp)
    }
    assert {what for _, what in ends} == {"complaint", "failure.exitcode"}
