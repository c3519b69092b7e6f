"""A profile as one typed object."""

import os
import pickle
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from workbench.errors import SettingsError
from workbench.settings import (
    DemoSource,
    Embedded,
    EmbeddedBroker,
    FocusSource,
    KafkaBroker,
    Settings,
    Snowflake,
    describe,
    load,
    write_input_profile,
)

Write = Callable[..., Path]
ROOT = Path(__file__).parent.parent
DEMO = "sources: [{name: a, kind: demo, end: 2025-11-01}]\n"
PRODUCTION = {
    "BILLS": "/bills",
    "SNOWFLAKE_ACCOUNT": "acme-eu",
    "SNOWFLAKE_USER": "reporter",
    "SNOWFLAKE_PASSWORD": "hunter2-very-secret",
    "KAFKA_PASSWORD": "hunter3-very-secret",
}


@pytest.fixture
def profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write `params/x.yaml` and return its path, relative as a person would give it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params").mkdir()

    def write(text: str, name: str = "x") -> Path:
        Path("params", f"{name}.yaml").write_text(text, encoding="utf-8")
        return Path("params", f"{name}.yaml")

    return write


def faults(path: str | Path, environment: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(path, environment=environment or {})
    assert caught.value.__context__ is None, "pydantic's own error would come along in the traceback"
    return str(caught.value).splitlines()


# What a good profile gives


def test_the_shortest_profile_has_defaults_for_all_the_rest(profile: Write, tmp_path: Path) -> None:
    settings = load(profile(DEMO))
    assert (settings.name, settings.root) == ("x", tmp_path)
    assert settings.state == tmp_path / ".workbench/x"
    assert settings.reports == tmp_path / "reports"
    assert settings.as_of is None
    assert settings.sources == [DemoSource(name="a", end=date(2025, 11, 1))]
    assert settings.warehouse == Embedded()
    assert settings.file == tmp_path / "params/x.yaml"


def test_a_bare_name_is_looked_up_in_params_here_or_in_a_folder_above(
    profile: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile(DEMO)
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    assert load("x").root == tmp_path


def test_a_profile_outside_params_counts_paths_from_its_own_folder(tmp_path: Path) -> None:
    (tmp_path / "bill.csv").touch()
    (tmp_path / "mine.yaml").write_text("sources: [{name: a, path: bill.csv}]")
    assert load(tmp_path / "mine.yaml").sources[0].path == tmp_path / "bill.csv"


def test_a_linked_profile_counts_paths_from_where_the_link_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params").mkdir()
    (tmp_path / "mounted").mkdir()
    (tmp_path / "mounted/x.yaml").write_text(DEMO)
    Path("params/x.yaml").symlink_to(tmp_path / "mounted/x.yaml")
    assert load("x").root == tmp_path


def test_variables_come_from_the_environment_and_have_defaults(profile: Write) -> None:
    text = "name: ${A}-${B:-two}\nreport: {workers: '${N}'}\n" + DEMO.replace("name: a", "name: '$${A}'")
    settings = load(profile(text), environment={"A": "one", "N": "3"})
    assert (settings.name, settings.report.workers, settings.sources[0].name) == ("one-two", 3, "${A}")


def test_workbench_data_has_a_default_beside_the_root(profile: Write, tmp_path: Path) -> None:
    path = profile("sources: [{name: a, path: '${WORKBENCH_DATA}/bill.csv'}]")
    settings = load(path, environment={}, check_files=False)
    assert settings.sources[0].path == tmp_path.parent / "shared/data/bill.csv"
    settings = load(path, environment={"WORKBENCH_DATA": "/data"}, check_files=False)
    assert settings.sources[0].path == Path("/data/bill.csv")


def test_times_are_utc_and_a_date_is_its_midnight(profile: Write) -> None:
    for written, meant in {
        "2025-11-03T06:00:00Z": datetime(2025, 11, 3, 6, tzinfo=UTC),
        "2025-11-03 06:00:00+02:00": datetime(2025, 11, 3, 4, tzinfo=UTC),
        "'2025-11-03T06:00:00Z'": datetime(2025, 11, 3, 6, tzinfo=UTC),
        "2025-11-03": datetime(2025, 11, 3, tzinfo=UTC),
    }.items():
        assert load(profile(f"report: {{known_at: {written}}}\n{DEMO}")).report.known_at == meant


def test_settings_can_be_made_in_code_and_are_frozen(tmp_path: Path) -> None:
    settings = Settings(name="t", root=tmp_path, sources=[FocusSource(name="a", path="bill.csv")])
    assert settings.state == tmp_path / ".workbench/t"
    with pytest.raises(ValidationError):
        settings.name = "u"
    assert pickle.loads(pickle.dumps(settings)) == settings  # noqa: S301 (own bytes); a kernel may get one


# The profiles that come with the workbench


@pytest.mark.parametrize("name", [file.stem for file in sorted(ROOT.glob("params/*.yaml"))])
def test_each_profile_of_the_project_loads(name: str) -> None:
    settings = load(ROOT / f"params/{name}.yaml", environment=PRODUCTION, check_files=False)
    assert settings.name == name
    assert settings.root == ROOT


def test_the_production_profile_shows_every_key() -> None:
    settings = load(ROOT / "params/production.yaml", environment=PRODUCTION, check_files=False)
    assert isinstance(settings.warehouse, Snowflake)
    shown = (ROOT / "params/production.yaml").read_text()
    words = {line.strip(" #-").partition(":")[0] for line in shown.splitlines() if ":" in line}
    missing = [key.key for key in describe() if key.key.rpartition(".")[2] not in words]
    assert not missing


def test_the_production_profiles_comments_are_keys_that_exist() -> None:
    lines = (ROOT / "params/production.yaml").read_text().splitlines()
    commented = {
        line.strip(" #-").partition(":")[0] for line in lines if line.lstrip(" -").startswith("#") and ": " in line
    }
    known = {key.key.rpartition(".")[2] for key in describe()}
    sentences = {word for word in commented if " " in word}
    assert commented - sentences <= known


def test_every_key_has_a_sentence_of_help() -> None:
    assert [key.key for key in describe() if not key.help] == []
    assert len(describe()) > 40


# What is wrong is named by file, line, key and value, with what is allowed


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            f"{DEMO}warehouse:\n  engien: embedded\n",
            (
                "params/x.yaml:3: warehouse.engien: unknown key (value 'embedded'); "
                "allowed: engine, idle_minutes, memory_limit; did you mean 'engine'?"
            ),
        ),
        (
            f"{DEMO}warehouse:\n  engine: snowflak\n",
            (
                "params/x.yaml:3: warehouse.engine: unknown (value 'snowflak'); "
                "allowed: embedded, snowflake; did you mean 'snowflake'?"
            ),
        ),
        (
            "sources:\n- name: a\n  kind: demmo\n",
            (
                "params/x.yaml:3: sources[0].kind: unknown (value 'demmo'); "
                "allowed: focus, demo, aws; did you mean 'demo'?"
            ),
        ),
        (
            "name: x\n",
            "params/x.yaml:1: sources: missing; give list of section (focus | demo | aws): Where bills come from",
        ),
        ("sources: []\n", "params/x.yaml:1: sources: must not be empty (a list)"),
        (f"{DEMO}limits: 7\n", "params/x.yaml:2: limits: must be keys with values, indented below (value '7')"),
        (
            f"{DEMO}as_of: 2025-13-01\n",
            "params/x.yaml:2: as_of: is no date (value '2025-13-01'); write 2025-11-01",
        ),
        (f"{DEMO}as_of: 20\n", "params/x.yaml:2: as_of: is no date (value '20'); write 2025-11-01"),
        (f"{DEMO}name: 12\n", "params/x.yaml:2: name: must be text (value '12'); put it in quotes"),
        (
            f"{DEMO}report:\n  workers: two\n",
            "params/x.yaml:3: report.workers: must be a whole number (value 'two')",
        ),
        (
            f"{DEMO}report: {{workers: yes}}\n",
            "params/x.yaml:2: report.workers: must be a number, not yes or no (value 'yes')",
        ),
        (
            f"{DEMO}report: {{workers: 0}}\n",
            ("params/x.yaml:2: report.workers: must be greater than or equal to 1 (value '0'); allowed: whole number"),
        ),
        (
            f"{DEMO}names: {{unit_tags: {{default: team}}}}\n",
            "params/x.yaml:2: names.unit_tags.default: must be a list, [a, b] or one `- ` a line (value 'team')",
        ),
        (
            f"{DEMO}names: {{columns: {{m: {{fields: {{BiledCost: amount}}}}}}}}\n",
            (
                "params/x.yaml:2: names.columns.m.fields.BiledCost: is no column of a bill (value 'amount'); "
                "did you mean 'BilledCost'?; allowed: FOCUS 1.2 columns, business_unit, project_id, environment"
            ),
        ),
        (
            f"{DEMO}name: a/b\n",
            (
                "params/x.yaml:2: name: must be letters, digits, `_`, `-` and `.` only: it "
                "becomes a folder's name "
                "(value 'a/b')"
            ),
        ),
        (f"{DEMO}{DEMO}", "params/x.yaml:2: sources: given twice, first on line 1; keep one"),
        (
            f"{DEMO}report: {{local_zone: Europe/Berln}}\n",
            (
                "params/x.yaml:2: report.local_zone: is no time zone (value 'Europe/Berln'); "
                "write a name like Europe/Berlin or UTC; did you mean 'Europe/Berlin'?"
            ),
        ),
        (
            (
                "sources:\n- {name: a, path: ., mapping: bindr}\nnames: {columns: {binder: {fields: "
                "{BilledCost: c, ChargePeriodStart: d}}}}\n"
            ),
            (
                "params/x.yaml:2: sources[0].mapping: source 'a' has the mapping 'bindr' (value 'bindr'); "
                "names.columns holds: binder; did you mean 'binder'?"
            ),
        ),
        (
            f"{DEMO}names:\n  columns:\n    m: {{fields: {{BilledCost: c}}}}\n",
            (
                "params/x.yaml:4: names.columns.m: a bill can't do without ChargePeriodStart (a mapping); "
                "name the file's column under fields"
            ),
        ),
        (
            f"{DEMO}warehouse: {{engine: snowflake}}\n",
            "params/x.yaml:2: warehouse: needs account and user, or connection_name (a mapping)",
        ),
    ],
)
def test_a_fault_is_one_line_that_names_everything(profile: Write, text: str, expected: str) -> None:
    assert faults(profile(text)) == [expected]


def test_two_sources_of_one_name_are_a_fault(profile: Write) -> None:
    text = "sources:\n- {name: a, kind: demo, end: 2025-11-01}\n- {name: a, kind: demo, end: 2025-11-01}\n"
    assert faults(profile(text)) == [
        "params/x.yaml:3: sources[1].name: two sources are called 'a' (value 'a'); give each its own name"
    ]


def test_a_time_without_a_zone_is_a_fault(profile: Write) -> None:
    [fault] = faults(profile(f"{DEMO}report: {{known_at: 2025-11-03 06:00:00}}\n"))
    assert "has no zone (value '2025-11-03 06:00:00')" in fault


def test_several_faults_are_told_together_in_the_order_of_the_file(profile: Write) -> None:
    text = f"naem: y\nas_of: soon\n{DEMO}warehouse: {{engine: x}}\nreport: {{workers: '${{NO}}', timeout: 3}}\n"
    lines = faults(profile(text))
    assert [line.split(": ")[:2] for line in lines] == [
        ["params/x.yaml:1", "naem"],
        ["params/x.yaml:2", "as_of"],
        ["params/x.yaml:4", "warehouse.engine"],
        ["params/x.yaml:5", "report.workers"],
        ["params/x.yaml:5", "report.timeout"],
    ]


def test_a_missing_file_is_named_with_what_is_there_instead(profile: Write, tmp_path: Path) -> None:
    Path("bills").mkdir()
    Path("bills/october.csv").touch()
    [fault] = faults(profile("sources:\n  - name: a\n    path: bills/octobr.csv\n"))
    assert fault == (
        f"params/x.yaml:3: sources[0].path: no such file or folder (value '{tmp_path}/bills/octobr.csv'); "
        f"{tmp_path}/bills holds: october.csv; did you mean 'october.csv'?"
    )
    [fault] = faults(profile("sources: [{name: a, path: bill/october.csv}]"))
    assert f"no folder '{tmp_path}/bill'" in fault
    assert fault.endswith("did you mean 'bills'?")
    assert load(profile("sources: [{name: a, path: 'bills/*.csv'}]"))
    assert "no such file" in faults(profile("sources: [{name: a, path: 'bills/*.parquet'}]"))[0]


def test_an_unknown_profile_lists_those_that_exist(profile: Write, tmp_path: Path) -> None:
    profile(DEMO, "focus")
    profile(DEMO, "demo")
    assert faults("fokus") == ["no profile 'fokus'; params/ holds: demo, focus; did you mean 'focus'?"]
    assert faults("params/foc.yaml") == [
        "no profile at 'params/foc.yaml'; params/ holds: demo.yaml, focus.yaml; did you mean 'focus.yaml'?"
    ]
    assert "there is no folder 'nowhere'" in faults("nowhere/demo.yaml")[0]
    assert "is a folder" in faults(tmp_path)[0]
    assert "empty" in faults("")[0]


def test_a_variable_that_is_missing_is_named_with_a_near_miss(profile: Write) -> None:
    path = profile("sources:\n- name: a\n  path: ${BILS}/x.csv\n")
    assert faults(path, {"BILLS": "/b"}) == [
        (
            "params/x.yaml:3: sources[0].path: the environment variable BILS is not set; set it before the run; "
            "did you mean 'BILLS'?"
        )
    ]
    assert "BILS is empty" in faults(path, {"BILS": ""})[0]


# Secrets


SNOWFLAKE = f"{DEMO}warehouse:\n  engine: snowflake\n  account: a\n  user: u\n"


def test_a_secret_comes_from_the_environment_and_shows_nowhere(profile: Write) -> None:
    settings = load(profile(f"{SNOWFLAKE}  password: ${{PW}}\n"), environment={"PW": "hunter2"})
    assert isinstance(settings.warehouse, Snowflake)
    assert settings.warehouse.password == SecretStr("hunter2")
    assert settings.warehouse.password.get_secret_value() == "hunter2"
    for shown in (repr(settings), str(settings), str(settings.model_dump()), settings.model_dump_json()):
        assert "hunter2" not in shown


@pytest.mark.parametrize(
    "written",
    [
        "password: hunter2",
        "password: ${PW:-hunter2}",
        "password: x${PW}",
        "password: [hunter2]",
        "password: {hunter2: 1}",
        "pasword: hunter2",
        "Password: hunter2",
        "token: hunter2",
        "api-key: hunter2",
        "password: hunter2\n  password: hunter2",
        "password: *hunter2",
        "password: !hunter2 x",
        "password: 'hunter2",
        "password: ${PW",
    ],
)
def test_no_error_shows_a_secret(profile: Write, written: str) -> None:
    told = "\n".join(faults(profile(f"{SNOWFLAKE}  {written}\n"), {"PW": "hunter2"}))
    assert "hunter2" not in told
    assert "params/x.yaml:6" in told or "params/x.yaml:7" in told or "params/x.yaml:8" in told


def test_a_secret_in_code_must_say_that_it_is_one() -> None:
    assert Snowflake(account="a", user="u", password=SecretStr("x")).password
    with pytest.raises(ValidationError) as caught:
        Snowflake(account="a", user="u", password="hunter2")  # noqa: S106 (that is the point)
    assert "hunter2" not in str(caught.value)


# The fingerprint of a run


def test_the_fingerprint_changes_with_a_setting_but_not_with_a_secret_or_a_place(
    profile: Write, tmp_path: Path
) -> None:
    one = f"{SNOWFLAKE}  password: ${{PW}}\n"
    first = load(profile(one), environment={"PW": "a"}).fingerprint()
    assert len(first) == 12
    assert load(profile(one), environment={"PW": "b"}).fingerprint() == first
    assert load(profile(one + "  role: R\n"), environment={"PW": "a"}).fingerprint() != first
    prints = []
    for place in (tmp_path / "here", tmp_path / "there"):
        (place / "params").mkdir(parents=True)
        (place / "bill.csv").touch()
        (place / "params/y.yaml").write_text("sources: [{name: a, path: bill.csv}]")
        prints.append(load(place / "params/y.yaml").fingerprint())
    assert prints[0] == prints[1]


# A profile for one file


def test_a_file_gets_a_profile_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    bill = tmp_path / "my bill ${x}.csv"
    bill.touch()
    path = write_input_profile("my bill ${x}.csv", None, tmp_path / ".workbench/inputs")
    settings = load(path, environment={})
    assert path == tmp_path / f".workbench/inputs/{settings.name}.yaml"
    assert settings.name.startswith("my-bill-x-")
    assert settings.sources == [FocusSource(name="my bill ${x}.csv", path=bill)]
    assert settings.state == tmp_path / f".workbench/{settings.name}"
    assert settings.reports == tmp_path / "reports"
    assert write_input_profile(bill, None, tmp_path / ".workbench/inputs") == path
    assert sorted(path.parent.iterdir()) == [path]


def test_a_files_profile_keeps_the_bases_words_but_not_its_account(profile: Write, tmp_path: Path) -> None:
    base = load(
        profile(f"{SNOWFLAKE}  password: ${{PW}}\nnames: {{units: {{a: Alpha}}}}\nreport: {{workers: 1}}\n"),
        environment={"PW": "hunter2"},
    )
    (tmp_path / "bill.csv").touch()
    path = write_input_profile("bill.csv", base, tmp_path / "w")
    settings = load(path, environment={})
    assert settings.names == base.names
    assert settings.report == base.report
    assert settings.warehouse == Embedded()
    assert "hunter2" not in path.read_text()


def test_two_files_of_one_name_get_two_profiles(tmp_path: Path) -> None:
    paths = set()
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "bill.csv").touch()
        paths.add(write_input_profile(tmp_path / folder / "bill.csv", None, tmp_path / "w"))
    assert len(paths) == 2


def test_a_file_that_is_not_there_gets_no_profile(tmp_path: Path) -> None:
    (tmp_path / "bill.csv").touch()
    with pytest.raises(SettingsError, match=r"did you mean 'bill.csv'\?"):
        write_input_profile(tmp_path / "bil.csv", None, tmp_path / "w")
    assert not (tmp_path / "w").exists()


# Whatever the file holds, the answer is settings or a SettingsError


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.dates() | st.datetimes() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
KEYS = [key.key.split(".")[0].removesuffix("[]") for key in describe()]


@given(st.dictionaries(st.sampled_from(KEYS), values, max_size=4))
def test_no_value_at_a_known_key_brings_another_error(
    tmp_path_factory: pytest.TempPathFactory, data: dict[str, object]
) -> None:
    path = tmp_path_factory.mktemp("any") / "x.yaml"
    path.write_text(yaml.safe_dump({"sources": [{"name": "a", "kind": "demo", "end": "2025-11-01"}]} | data))
    try:
        load(path, environment={})
    except SettingsError as error:
        assert all(line.startswith(os.fspath(path)) for line in str(error).splitlines())  # noqa: PT017


# The broker


def test_without_a_word_the_broker_is_the_embedded_one(profile: Write) -> None:
    assert load(profile(DEMO)).broker == EmbeddedBroker()


def test_a_kafka_takes_its_address_and_its_password_from_the_environment(profile: Write) -> None:
    text = (
        "broker:\n  engine: kafka\n  bootstrap_servers: ${KAFKA_BOOTSTRAP_SERVERS}\n  security_protocol: sasl_ssl\n"
        "  sasl_mechanism: PLAIN\n  username: u\n  password: ${SECRET}\n  ca_path: ca.pem\n"
    )
    path = profile(DEMO + text)
    broker = load(path, environment={"KAFKA_BOOTSTRAP_SERVERS": "a:9093,b:9093", "SECRET": "hunter2"}).broker
    assert isinstance(broker, KafkaBroker)
    assert (broker.bootstrap_servers, broker.ca_path) == ("a:9093,b:9093", path.absolute().parents[1] / "ca.pem")
    assert broker.password is not None
    assert broker.password.get_secret_value() == "hunter2"
    assert "hunter2" not in repr(broker)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("engine: kafak", "broker.engine: unknown (value 'kafak'); allowed: embedded, kafka; did you mean 'kafka'?"),
        ("engine: kafka", "broker.bootstrap_servers: missing; give text"),
        (
            "{engine: kafka, bootstrap_servers: 'a:1', password: x}",
            "broker.password: a secret may not stand in a profile",
        ),
        (
            "{engine: kafka, bootstrap_servers: 'a:1', security_protocol: sasl_ssl}",
            "broker: sasl_ssl needs sasl_mechanism, username and password",
        ),
        ("{engine: kafka, bootstrap_servers: 'a:1', topic_prefix: 'a b'}", "broker.topic_prefix: "),
    ],
)
def test_a_wrong_broker_is_named_with_what_is_allowed(profile: Write, keys: str, expected: str) -> None:
    assert expected in "\n".join(faults(profile(f"{DEMO}broker:\n  {keys}\n")))
