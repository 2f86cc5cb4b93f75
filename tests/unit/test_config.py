from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from stroke.config import OidcSettings, PipelineSettings, Settings
from stroke.container.service import Container
from stroke.domain.access import Scope
from stroke.domain.errors import InvalidSetting


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith(("STROKE_", "MYSQL_", "SAVED_MODEL")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def url() -> str:
    return Settings.load().database.sqlalchemy_url.render_as_string(hide_password=False)


def test_with_nothing_set_predictions_go_to_a_sqlite_file() -> None:
    assert url() == "sqlite+aiosqlite:///stroke.db"
    assert Settings.load().http.port == 8000
    assert Settings.load().http.host == "127.0.0.1"


def test_the_names_of_an_existing_env_file_stay_valid(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        "MYSQL_HOST=db\nMYSQL_PORT=3307\nMYSQL_USER=app\nMYSQL_PASSWORD=p@ss/w:rd\n"
        "MYSQL_DATABASE=clinic\nMYSQL_ROOT_PASSWORD=unused\nSAVED_MODEL=other\n"
    )
    assert url() == "mysql+asyncmy://app:p%40ss%2Fw%3Ard@db:3307/clinic?charset=utf8mb4"
    assert Settings.load().model.saved_model == "other"


def test_the_environment_wins_over_the_env_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("STROKE_HTTP_PORT=9000\n")
    monkeypatch.setenv("STROKE_HTTP_PORT", "9001")
    assert Settings.load().http.port == 9001


def test_our_own_names_work_for_mysql_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STROKE_DATABASE_MYSQL_USER", "app")
    monkeypatch.setenv("STROKE_DATABASE_MYSQL_PASSWORD", "p")
    assert url().startswith("mysql+asyncmy://app:p@127.0.0.1:3306/stroke_predictions")


@pytest.mark.parametrize("name", ["MYSQL_HOST", "MYSQL_USER", "MYSQL_PASSWORD"])
def test_half_of_mysql_is_refused_rather_than_served_from_sqlite(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "x")
    with pytest.raises(InvalidSetting, match="MYSQL_USER and MYSQL_PASSWORD"):
        url()


@pytest.mark.parametrize(
    ("given", "driver"),
    [
        ("mysql://a:b@h/d", "mysql+asyncmy"),
        ("mysql+pymysql://a:b@h/d", "mysql+asyncmy"),
        ("sqlite:///x.db", "sqlite+aiosqlite"),
    ],
)
def test_a_url_gets_the_driver_that_stroke_uses(
    given: str, driver: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STROKE_DATABASE_URL", given)
    assert Settings.load().database.sqlalchemy_url.drivername == driver


@pytest.mark.parametrize("given", ["postgresql://a:s3cret@h/d", "s3cret", "://s3cret"])
def test_a_url_that_cannot_be_served_from_is_refused_without_being_quoted(
    given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STROKE_DATABASE_URL", given)
    with pytest.raises(InvalidSetting) as caught:
        url()
    assert "STROKE_DATABASE_URL" in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_a_wrong_value_is_named_by_its_environment_name_and_not_quoted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("STROKE_HTTP_PORT", "s3cret")
    with pytest.raises(InvalidSetting, match="STROKE_HTTP_PORT") as caught:
        Settings.load()
    assert "s3cret" not in str(caught.value)
    monkeypatch.delenv("STROKE_HTTP_PORT")
    monkeypatch.setenv("MYSQL_PORT", "70000")
    with pytest.raises(InvalidSetting, match="MYSQL_PORT"):
        Settings.load()


def test_a_password_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MYSQL_USER", "app")
    monkeypatch.setenv("MYSQL_PASSWORD", "s3cret")
    settings = Settings.load()
    assert "s3cret" not in repr(settings)
    assert "s3cret" not in str(settings.database.sqlalchemy_url)


def test_settings_cannot_be_changed_after_the_start() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings.load().http.port = 1


def given_by_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: str | bytes
) -> Path:
    file = tmp_path / f"{name}.secret"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    monkeypatch.setenv(f"{name}_FILE", str(file))
    return file


def test_a_file_gives_the_value_of_the_setting_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MYSQL_USER", "app")
    given_by_file(tmp_path, monkeypatch, "MYSQL_PASSWORD", "p w\n")
    given_by_file(tmp_path, monkeypatch, "STROKE_HTTP_PORT", "9002")
    assert url().startswith("mysql+asyncmy://app:p w@")
    assert Settings.load().http.port == 9002


@pytest.mark.parametrize("group", [*Settings.model_fields, *PipelineSettings.model_fields])
def test_every_setting_can_come_from_a_file_by_every_name_of_it(
    group: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    field = {**Settings.model_fields, **PipelineSettings.model_fields}[group]
    for name in names_of(field.annotation):
        with monkeypatch.context() as patched:
            given_by_file(tmp_path, patched, name, "\t~no value of any setting~\t")
            try:
                loaded = (field.annotation or object)()
            except (ValidationError, InvalidSetting):
                continue
            assert "~no value of any setting~" in revealed(loaded), name


def names_of(group: Any) -> Iterator[str]:
    prefix = group.model_config["env_prefix"]
    for name, field in group.model_fields.items():
        alias = field.validation_alias
        yield from (map(str, alias.choices) if alias else [f"{prefix}{name}".upper()])


def revealed(group: Any) -> str:
    values = [getattr(group, name) for name in type(group).model_fields]
    return str([v.get_secret_value() if isinstance(v, SecretStr) else str(v) for v in values])


def test_a_file_wins_over_the_environment_and_the_environment_over_an_empty_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAVED_MODEL", "of-the-environment")
    file = given_by_file(tmp_path, monkeypatch, "SAVED_MODEL", "of-the-file")
    assert Settings.load().model.saved_model == "of-the-file"
    file.write_text("")
    assert Settings.load().model.saved_model == "of-the-environment"


def test_the_env_file_may_name_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model").write_text("named\r\n")
    (tmp_path / ".env").write_text(f"SAVED_MODEL_FILE={tmp_path / 'model'}\n")
    assert Settings.load().model.saved_model == "named"


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"a\x00b", b"x" * 70_000])
def test_a_file_that_can_be_no_value_is_refused_and_not_quoted(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_by_file(tmp_path, monkeypatch, "MYSQL_PASSWORD", content)
    with pytest.raises(InvalidSetting, match="MYSQL_PASSWORD_FILE") as refused:
        Settings.load()
    assert "xxx" not in str(refused.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MYSQL_PASSWORD_FILE", str(tmp_path / "nowhere"))
    with pytest.raises(InvalidSetting, match=r"MYSQL_PASSWORD_FILE: .*nowhere cannot be read"):
        Settings.load()


def test_a_password_that_changes_in_its_file_is_the_current_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MYSQL_USER", "app")
    file = given_by_file(tmp_path, monkeypatch, "MYSQL_PASSWORD", "first")
    database = Settings.load().database
    assert database.current_password() == "first"
    file.write_text("second\n")
    assert database.current_password() == "second"
    for gone in ("", None):
        file.write_text("") if gone == "" else file.unlink()
        assert database.current_password() == "first"


def test_a_password_of_the_environment_does_not_change(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MYSQL_USER", "app")
    monkeypatch.setenv("MYSQL_PASSWORD", "first")
    assert Settings.load().database.current_password() is None


def test_a_folder_gives_the_settings_that_its_files_are_called_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "secrets"
    folder.mkdir()
    for name, value in {"MYSQL_USER": "app", "MYSQL_PASSWORD": "p\n", "OTHER": "x"}.items():
        (folder / name).write_text(value)
    monkeypatch.setenv("STROKE_SECRET_FILES", str(folder))
    monkeypatch.setenv("SAVED_MODEL", "of-the-environment")
    assert url().startswith("mysql+asyncmy://app:p@")
    assert Settings.load().model.saved_model == "of-the-environment"

    given_by_file(tmp_path, monkeypatch, "MYSQL_USER", "by-its-own-name")
    assert url().startswith("mysql+asyncmy://by-its-own-name:p@")


@pytest.mark.parametrize(("pool", "listings"), [(5, 5), (5, 100), (2, 2), (1, 2)])
def test_listings_that_would_leave_predictions_no_connection_are_refused(
    monkeypatch: pytest.MonkeyPatch, pool: int, listings: int
) -> None:
    monkeypatch.setenv("STROKE_DATABASE_POOL_SIZE", str(pool))
    monkeypatch.setenv("STROKE_DATABASE_LISTING_CONNECTIONS", str(listings))
    with pytest.raises(InvalidSetting) as caught:
        Settings.load()
    assert str(caught.value) == (
        f"STROKE_DATABASE_LISTING_CONNECTIONS is {listings}, and STROKE_DATABASE_POOL_SIZE is "
        f"{pool}: with this pool, listings may hold {max(1, pool - 1)} at the most, and "
        "predictions need the others"
    )


@pytest.mark.parametrize(("pool", "listings"), [(5, 4), (100, 99), (2, 1), (1, 1)])
def test_listings_that_leave_a_connection_are_taken(
    monkeypatch: pytest.MonkeyPatch, pool: int, listings: int
) -> None:
    monkeypatch.setenv("STROKE_DATABASE_POOL_SIZE", str(pool))
    monkeypatch.setenv("STROKE_DATABASE_LISTING_CONNECTIONS", str(listings))
    assert Settings.load().database.listing_connections == listings


@pytest.mark.parametrize(("pool", "share"), [(1, 1), (2, 1), (3, 2), (100, 2)])
def test_a_pool_of_any_size_is_taken_alone_and_leaves_what_it_can(
    monkeypatch: pytest.MonkeyPatch, pool: int, share: int
) -> None:
    monkeypatch.setenv("STROKE_DATABASE_POOL_SIZE", str(pool))
    Path("stroke.db").touch()  # whoever only uses a database makes none
    assert Container(settings=Settings.load()).repository()._listings._value == share


def provider(monkeypatch: pytest.MonkeyPatch, **names: str) -> OidcSettings:
    usual = {"ISSUER": "https://id.example/realms/x", "AUDIENCE": "stroke"}
    for name, value in {**usual, **names}.items():
        monkeypatch.setenv(f"STROKE_OIDC_{name}", value)
    return Settings.load().oidc


def test_without_an_issuer_there_is_no_provider() -> None:
    assert Settings.load().oidc.issuer is None


def test_roles_and_sites_are_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    rules = provider(
        monkeypatch,
        ROLES="ward doctor = predict + read, a=b=audit",
        SITES="/clinics/north=north, CN=South,OU=x=south",
        ROLE_CLAIMS="scope, groups",
    ).rules
    assert rules.roles == {
        "ward doctor": {Scope.PREDICT, Scope.READ},
        "a=b": {Scope.AUDIT},
    }
    assert rules.sites == {"/clinics/north": "north", "CN": "South", "OU=x": "south"}
    assert rules.role_claims == ("scope", "groups")


def test_if_no_role_is_set_each_scope_has_one_of_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    roles = provider(monkeypatch).rules.roles
    assert roles == {f"stroke-{scope}": {scope} for scope in Scope}
    assert "admin" not in roles


def test_the_client_s_secret_may_come_from_a_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("CANARY-of-a-client\n")
    oidc = provider(
        monkeypatch,
        CLIENT_ID="page",
        CLIENT_SECRET_FILE=str(tmp_path / "secret"),
        SCOPES="openid, groups",
    )
    assert oidc.client_secret is not None
    assert oidc.client_secret.get_secret_value() == "CANARY-of-a-client"
    assert "CANARY" not in repr(oidc)
    assert oidc.scopes == ("openid", "groups")


def test_a_client_needs_its_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STROKE_OIDC_CLIENT_ID", "page")
    monkeypatch.setenv("STROKE_OIDC_CLIENT_SECRET", "CANARY" * 8)
    with pytest.raises(InvalidSetting, match="STROKE_OIDC_CLIENT_ID needs STROKE_OIDC_ISSUER"):
        Settings.load()


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("AUDIENCE", "", "STROKE_OIDC_ISSUER needs STROKE_OIDC_AUDIENCE"),
        ("ISSUER", "http://id.example", "must be an address of HTTPS"),
        ("ISSUER", "https://user:CANARY@id.example", "must be an address of HTTPS"),
        ("ISSUER", "id.example", "STROKE_OIDC_ISSUER"),
        ("ISSUER", "https://id.example/?x=1", "STROKE_OIDC_ISSUER"),
        ("ROLES", "doctor", "STROKE_OIDC_ROLES.*write NAME=VALUE"),
        ("ROLES", "doctor=everything", "STROKE_OIDC_ROLES.*must be one or more of predict"),
        ("ROLES", "doctor=read,doctor=audit", "STROKE_OIDC_ROLES.*has a name twice"),
        ("ROLES", "doctor=", "STROKE_OIDC_ROLES"),
        ("SITES", "x=a site", "STROKE_OIDC_SITES.*site must have"),
        ("ROLE_CLAIMS", ",", "STROKE_OIDC_ROLE_CLAIMS"),
        ("LEEWAY_SECONDS", "301", "STROKE_OIDC_LEEWAY_SECONDS"),
        (
            "CLIENT_ID",
            "page",
            "STROKE_OIDC_CLIENT_ID and STROKE_OIDC_CLIENT_SECRET need each other",
        ),
        ("CLIENT_SECRET", "CANARY" * 8, "need each other"),
        ("CLIENT_SECRET", "CANARY", "STROKE_OIDC_CLIENT_SECRET"),
        ("CLIENT_ID", "a page", "STROKE_OIDC_CLIENT_ID"),
        ("SCOPES", "profile", "STROKE_OIDC_SCOPES must have openid"),
        ("SIGN_IN_SECONDS", "5", "STROKE_OIDC_SIGN_IN_SECONDS"),
    ],
)
def test_a_provider_that_cannot_be_served_with_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, says: str
) -> None:
    with pytest.raises(InvalidSetting, match=says) as refused:
        provider(monkeypatch, **{name: value})
    assert "CANARY" not in str(refused.value)


def test_http_needs_loopback_or_a_word_that_allows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert provider(monkeypatch, ISSUER="http://127.0.0.1:8080/realms/x").issuer
    assert provider(monkeypatch, ISSUER="http://id.example", INSECURE_HTTP="true").issuer


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("STROKE_CLINICAL_FHIR_SERVERS", "http://ehr.example/fhir"),
        ("STROKE_CLINICAL_FHIR_SERVERS", "ehr.example/fhir"),
        ("STROKE_CLINICAL_FHIR_SERVERS", "https://user@ehr.example/fhir"),
        ("STROKE_CLINICAL_FHIR_SERVERS", "https://ehr.example/fhir?x=1"),
        ("STROKE_CLINICAL_FHIR_SERVERS", "https://ok.example/fhir, *"),
        ("STROKE_CLINICAL_FHIR_NETWORKS", "10.0.0.1/8"),
        ("STROKE_CLINICAL_FHIR_NETWORKS", "hospital"),
    ],
)
def test_a_server_to_fetch_from_that_is_not_safe_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str
) -> None:
    monkeypatch.setenv(name, text)

    with pytest.raises(InvalidSetting, match=name):
        Settings.load()


def test_servers_to_fetch_from_are_listed_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "STROKE_CLINICAL_FHIR_SERVERS", "https://a.example/fhir/, http://127.0.0.1/f"
    )

    servers = Settings.load().clinical.fhir_servers

    assert servers == ("https://a.example/fhir", "http://127.0.0.1/f")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"SECURITY_PROTOCOL": "SASL_SSL"}, "needs STROKE_KAFKA_USER and STROKE_KAFKA_PASSWORD"),
        ({"SECURITY_PROTOCOL": "SASL_PLAINTEXT", "USER": "u"}, "STROKE_KAFKA_PASSWORD"),
        ({"SECURITY_PROTOCOL": "SSL", "USER": "u", "PASSWORD": "hidden"}, "with SASL"),
        ({"PASSWORD": "hidden"}, "with SASL"),
        ({"CA_FILE": "/ca.pem"}, "with SSL"),
        ({"SECURITY_PROTOCOL": "ssl"}, "STROKE_KAFKA_SECURITY_PROTOCOL"),
        ({"SASL_MECHANISM": "GSSAPI"}, "STROKE_KAFKA_SASL_MECHANISM"),
    ],
)
def test_no_client_of_kafka_goes_without_the_login_that_was_meant(
    given: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(f"STROKE_KAFKA_{name}", value)
    with pytest.raises(InvalidSetting) as refused:
        PipelineSettings.load()
    assert said in str(refused.value)
    assert "hidden" not in str(refused.value)


def test_the_password_of_kafka_may_come_from_a_file_and_is_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STROKE_KAFKA_SECURITY_PROTOCOL", "SASL_SSL")
    monkeypatch.setenv("STROKE_KAFKA_USER", "stroke")
    given_by_file(tmp_path, monkeypatch, "STROKE_KAFKA_PASSWORD", "hidden\n")
    broker = PipelineSettings.load().kafka.broker
    assert broker.password == "hidden"
    assert "hidden" not in repr(broker)


@pytest.mark.parametrize(
    "text",
    [
        "http://alerts.example/models",
        "alerts.example/models",
        "https://",
        "https:///models",
        "https://secret@alerts.example/models",
        "https://alerts.example/models#secret",
        "https://alerts.example:0/secret",
        "https://alerts.example:99999/secret",
        "https://alerts.example/a secret",
        "https://alerts.example/secret\r\nHost: other.example",
        "https://alerts.example/ä",
        "https://a.example/secret, https://b.example/secret",
    ],
)
def test_a_webhook_that_is_no_address_of_https_is_refused_without_being_quoted(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("STROKE_MODEL_WEBHOOK_URL", text)

    with pytest.raises(InvalidSetting, match="STROKE_MODEL_WEBHOOK_URL") as refused:
        Settings.load()
    assert "secret" not in str(refused.value)


def test_a_webhook_may_have_a_port_and_a_query_and_is_shown_to_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("STROKE_MODEL_WEBHOOK_URL", "https://alerts.example:8443/x?key=hush-hush")

    settings = Settings.load().model
    assert settings.webhook_url is not None
    assert settings.webhook_url.get_secret_value() == "https://alerts.example:8443/x?key=hush-hush"
    assert "hush-hush" not in repr(settings)
