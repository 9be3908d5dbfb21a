"""Configuration: typed, strict, and everything wrong with it told at once by its key."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from retail.config.secrets import Secrets
from retail.config.settings import WarehouseSettings, configuration_file, home, load_settings, web_address
from retail.errors import ConfigurationError
from retail.sources.registry import problems

GOOD = """
start_date = 2017-01-01
[lake]
url = "lake"
[retailers.retailer_1]
service = "amazon"
name = "One"
base_url = "https://api.example.com/"
time_zone = "America/Chicago"
"""


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    path = tmp_path / "test.toml"
    path.write_text(GOOD)
    return path


@pytest.mark.parametrize("name", ["local.toml", "aws.toml"])
def test_the_shipped_files_are_right(name: str) -> None:
    assert list(load_settings(home() / "conf" / name).retailers) == ["retailer_1", "retailer_2", "retailer_3"]


def test_the_pipeline_s_own_login_is_none_of_the_roles_that_nobody_logs_in_as() -> None:
    user = load_settings(home() / "conf" / "aws.toml").warehouse.user
    assert f"'{user}'" not in (home() / "sql" / "roles.sql").read_text()


def test_defaults_are_those_of_a_laptop(conf: Path) -> None:
    settings = load_settings(conf)
    assert (settings.engine, settings.start_date) == ("sail", date(2017, 1, 1))
    assert settings.retailers["retailer_1"].base_url == "https://api.example.com"


def test_the_environment_goes_over_the_file(conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETAIL_ENGINE", "spark")
    monkeypatch.setenv("RETAIL_WAREHOUSE__HOST", "db.example.com")
    monkeypatch.setenv("RETAIL_RETAILERS__RETAILER_1__NAME", "Other")
    settings = load_settings(conf)
    assert (settings.engine, settings.warehouse.host) == ("spark", "db.example.com")
    assert settings.retailers["retailer_1"].name == "Other"
    assert settings.retailers["retailer_1"].service == "amazon"


def test_secrets_in_the_environment_are_no_settings(conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETAIL_RETAILER_1_CLIENT_SECRET", "hush")
    assert "hush" not in repr(load_settings(conf))


def test_everything_wrong_is_told_at_once(conf: Path) -> None:
    text = GOOD.replace("start_date = 2017-01-01", 'start_date = "soon"\nengine = "fast"\ncolour = "red"')
    text = text.replace("America/Chicago", "America/Nowhere").replace("https://api", "http://api")
    conf.write_text(text + "[quality]\nquarantine_share = 7\n")
    with pytest.raises(ConfigurationError) as caught:
        load_settings(conf)
    keys = {problem.split(":")[0] for problem in caught.value.problems}
    assert keys == {
        "start_date", "engine", "colour", "quality.quarantine_share", "retailers.retailer_1.time_zone",
        "retailers.retailer_1.base_url",
    }  # fmt: skip
    assert str(conf) in caught.value.hint


def test_a_secret_put_into_the_file_is_refused_and_not_repeated(conf: Path) -> None:
    conf.write_text(GOOD + 'client_secret = "hush-hush"\n')
    with pytest.raises(ConfigurationError, match=r"retailers\.retailer_1\.client_secret") as caught:
        load_settings(conf)
    assert "hush-hush" not in str(caught.value)


def test_two_retailers_of_one_name_are_refused_for_bi_shows_the_name(conf: Path) -> None:
    retailer = GOOD[GOOD.index("[retailers.retailer_1]") :]
    conf.write_text(GOOD + retailer.replace("retailer_1", "retailer_2"))
    with pytest.raises(ConfigurationError, match="is the name of two retailers"):
        load_settings(conf)


@pytest.mark.parametrize("name", ["Retailer", "retailer-1", "a b", "../x", "r'1"])
def test_a_retailer_s_id_is_a_plain_name_for_it_becomes_a_folder(name: str, conf: Path) -> None:
    conf.write_text(GOOD.replace("retailers.retailer_1", f'retailers."{name}"'))
    with pytest.raises(ConfigurationError, match="lower-case letters, digits and _"):
        load_settings(conf)


@pytest.mark.parametrize(("text", "said"), [("a = ", "is not TOML"), (None, "cannot be read")])
def test_a_file_that_is_none(text: str | None, said: str, tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigurationError, match=said):
        load_settings(path)


@pytest.mark.parametrize("url", ["gs://b/lake", "S3://b/lake", "s3:/b", "s3:///lake", "file:///srv/lake"])
def test_a_lake_that_is_neither_folder_nor_bucket_is_no_folder_of_that_name(url: str, conf: Path) -> None:
    conf.write_text(GOOD.replace('url = "lake"', f'url = "{url}"'))
    with pytest.raises(ConfigurationError, match=r"lake\.url: .*must be a folder, or s3://bucket/prefix"):
        load_settings(conf)


@pytest.mark.parametrize("url", ["lake", "/srv/lake", "~/lake", "s3://b", "s3://b/lake", "s3a://b/lake"])
def test_a_lake_is_a_folder_or_a_bucket(url: str, conf: Path) -> None:
    conf.write_text(GOOD.replace('url = "lake"', f'url = "{url}"'))
    assert load_settings(conf).lake.url == url


@pytest.mark.parametrize("endpoint", ["10.0.0.5:9000", "minio", "s3://minio:9000", "http://"])
def test_an_s3_endpoint_is_a_web_address(endpoint: str, conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETAIL_LAKE__S3_ENDPOINT", endpoint)
    with pytest.raises(ConfigurationError, match=r"lake\.s3_endpoint: .*must be an address"):
        load_settings(conf)


def test_an_s3_endpoint_in_a_private_network_may_speak_plain_http(
    conf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RETAIL_LAKE__S3_ENDPOINT", "http://10.0.0.5:9000")
    assert load_settings(conf).lake.s3_endpoint == "http://10.0.0.5:9000"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("RETAIL_LAKE", "s3://b", r"RETAIL_LAKE: is not JSON"),
        ("RETAIL_RETAILERS__RETAILER_1__OPTIONS", "{hush", r"a variable RETAIL_RETAILERS__…: is not JSON"),
    ],
)
def test_a_variable_of_a_whole_section_that_is_not_json_is_named(
    name: str, value: str, said: str, conf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=said) as caught:
        load_settings(conf)
    assert "RETAIL_LAKE__URL" in caught.value.hint
    assert value not in str(caught.value)


def test_plain_http_is_for_this_machine_only() -> None:
    assert web_address("http://127.0.0.1:81/") == "http://127.0.0.1:81"
    with pytest.raises(ValueError, match="https"):
        web_address("http://10.0.0.1")


def test_the_file_is_the_named_one_else_the_folder_s_else_the_checkout_s(
    conf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RETAIL_CONF", raising=False)
    monkeypatch.chdir(tmp_path)
    assert configuration_file() == home() / "conf" / "local.toml"

    (tmp_path / "conf").mkdir()
    here = tmp_path / "conf" / "local.toml"
    here.write_text(GOOD.replace('"One"', '"Of this folder"'))
    assert configuration_file() == here
    assert load_settings().retailers["retailer_1"].name == "Of this folder"

    own = tmp_path / "retail.toml"
    own.write_text(GOOD.replace('"One"', '"Of init"'))
    assert configuration_file() == own

    monkeypatch.setenv("RETAIL_CONF", str(conf))
    assert load_settings().retailers["retailer_1"].name == "One"
    assert configuration_file(here) == here
    assert load_settings(here).retailers["retailer_1"].name == "Of this folder"


@pytest.mark.parametrize(
    ("name", "value", "meant"),
    [
        ("RETAIL_WAREHOUSE_HOST", "db", "RETAIL_WAREHOUSE__HOST"),
        ("RETAIL_ENGIN", "spark", "RETAIL_ENGINE"),
        ("RETAIL_LAKE_URL", "s3://b", "RETAIL_LAKE__URL"),
        ("RETAIL_LAKE_S3_KMS_KEY", "k", "RETAIL_LAKE__S3_KMS_KEY"),
        ("RETAIL_LAKE__URLL", "s3://b", "lake.url"),
        ("RETAIL_LAKE__URL", "", "RETAIL_LAKE__URL"),
        ("RETAIL_CONFIG", "x.toml", "RETAIL_CONF"),
        ("RETAIL_WAREHOUSE_PASWORD", "hush", "RETAIL_WAREHOUSE_PASSWORD"),
        ("RETAIL_WAREHOSE_PASSWORD", "hush", "RETAIL_WAREHOUSE_PASSWORD"),
        ("RETAIL_RETAILER_RETAILER_1_NAME", "x", "RETAIL_RETAILERS__RETAILER_1__NAME"),
        ("RETAIL_COLOUR", "red", "docs/CONFIGURATION.md"),
    ],
)
def test_a_variable_that_sets_nothing_is_an_error_that_names_the_right_one(
    name: str, value: str, meant: str, conf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    conf.write_text(GOOD.replace("America/Chicago", "America/Nowhere"))
    with pytest.raises(ConfigurationError) as caught:
        load_settings(conf)
    (problem,) = [each for each in caught.value.problems if "time_zone" not in each]
    assert meant in problem
    assert len(caught.value.problems) == 2, "with all other problems"
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RETAIL_TEST_SEED", "7"),
        ("RETAIL_REQUIRE_JAVA", ""),
        ("RETAIL_AIRFLOW_CONF", "a.toml"),
        ("RETAIL_CUSTOMER_PEPPER_FILE", "/run/secrets/pepper"),
        ("RETAIL_WAREHOUSE_PASSWORD", ""),
        ("RETAIL_RETAILER_1_CLIENT_SECRET", "hush"),
        ("RETAIL_CORNER_SHOP_API_KEY", "of another configuration"),
        ("RETAIL_RETAILERS__RETAILER_1__MAPPING_REVISION", "3"),
        ("retail_warehouse__host", "db"),
        ("RETAIL_DB_SERVICE_HOST", "10.0.0.1"),
        ("RETAIL_DB_PORT", "tcp://10.0.0.1:5432"),
        ("RETAIL_DB_PORT_5432_TCP_ADDR", "10.0.0.1"),
    ],
)
def test_a_variable_of_ours_of_a_secret_or_of_kubernetes_is_none(
    name: str, value: str, conf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    assert load_settings(conf).retailers.keys() == {"retailer_1"}


def test_a_key_that_does_not_exist_is_named_with_the_one_that_was_meant(conf: Path) -> None:
    conf.write_text(GOOD.replace('name = "One"', 'nme = "One"').replace("[lake]", "[lake]\nregion = 'x'"))
    with pytest.raises(ConfigurationError) as caught:
        load_settings(conf)
    said = " ".join(caught.value.problems)
    assert "did you mean retailers.retailer_1.name?" in said
    assert "lake.region: there is no such key" in said


def test_an_empty_lake_is_not_the_current_folder(conf: Path) -> None:
    conf.write_text(GOOD.replace('url = "lake"', 'url = ""'))
    with pytest.raises(ConfigurationError, match=r"lake\.url: "):
        load_settings(conf)


def test_a_variable_of_a_retailer_that_is_none_of_its_secrets_is_a_problem(
    conf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RETAIL_RETAILER_1_BASE_URL", "https://other.example.com")
    monkeypatch.setenv("RETAIL_RETAILER_1_CLIENT_SECRET_FIEL", "/run/secrets/x")
    said = " ".join(problems(load_settings(conf), Secrets(), ["retailer_1"]))
    assert "did you mean RETAIL_RETAILERS__RETAILER_1__BASE_URL?" in said
    assert "did you mean RETAIL_RETAILER_1_CLIENT_SECRET_FILE?" in said


def test_a_byte_order_mark_is_no_part_of_a_file(conf: Path) -> None:
    conf.write_bytes(GOOD.replace("One", "Café").encode("utf-8-sig").replace(b"\n", b"\r\n"))
    assert load_settings(conf).retailers["retailer_1"].name == "Café"


@pytest.mark.parametrize(("encoding", "named"), [("latin-1", "line 7"), ("utf-16", "UTF-16")])
def test_a_file_in_another_encoding_is_named_with_its_line(conf: Path, encoding: str, named: str) -> None:
    conf.write_bytes(GOOD.replace("One", "Café").encode(encoding))
    with pytest.raises(ConfigurationError) as refused:
        load_settings(conf)
    (problem,) = refused.value.problems
    assert str(conf) in problem
    assert named in problem


def test_a_secret_s_file_may_have_a_byte_order_mark_and_its_content_is_in_no_message(tmp_path: Path) -> None:
    file = tmp_path / "pepper"
    environment = {"RETAIL_CUSTOMER_PEPPER_FILE": str(file)}
    file.write_bytes("pépper\r\n".encode("utf-8-sig"))
    found = Secrets(environment).get("customer_pepper")
    assert found is not None
    assert found.reveal() == "pépper"
    file.write_bytes("pépper".encode("latin-1"))
    with pytest.raises(ConfigurationError) as refused:
        Secrets(environment).get("customer_pepper")
    assert "pper" not in str(refused.value).replace(str(file), "")


@pytest.mark.parametrize(
    ("warehouse", "mode"),
    [
        ({"host": "db.example.com"}, "verify-full"),
        ({"host": "10.0.0.5"}, "verify-full"),
        ({"host": "localhost.example.com"}, "verify-full"),
        ({"host": "127.0.0.1,db.example.com"}, "verify-full"),
        ({"host": "db.example.com", "sslmode": "require"}, "require"),
        ({"host": "localhost"}, "prefer"),
        ({"host": "127.0.0.9"}, "prefer"),
        ({"host": "::1"}, "prefer"),
        ({"host": "/var/run/postgresql"}, "prefer"),
        ({"host": "localhost", "sslmode": "verify-full"}, "verify-full"),
        ({"host": "db.example.com", "embedded": True}, "prefer"),
    ],
)
def test_a_server_off_this_machine_proves_who_it_is_unless_the_configuration_says_otherwise(
    warehouse: dict[str, object], mode: str
) -> None:
    assert WarehouseSettings.model_validate(warehouse).tls == mode
