"""What is called like a secret, or is the value of one, reaches no file and no terminal."""

import io

import pytest

from suite.core.command import run_command
from suite.core.errors import ConfigError
from suite.run.output import Output
from suite.run.secrets import check_configuration, check_secrets, names_secret, redact

VALUE = "planted-4f1c9"


@pytest.mark.parametrize(
    "name",
    [
        "DWAVE_API_TOKEN", "apiToken", "PGPASSWORD", "SSHPASS", "DB_PASS", "MYSQL_PWD", "GITHUB_PAT",
        "HF_KEY", "AWS_ACCESS_KEY_ID", "SLURM_JWT", "client_secret", "GOOGLE_CREDENTIALS", "session_cookie",
    ],
)  # fmt: skip
def test_a_variable_called_like_a_secret_is_one(name, monkeypatch):
    assert names_secret(name)
    monkeypatch.setenv(name, VALUE)
    assert redact(f"folder={VALUE}: no") == "folder=<secret>: no"
    with pytest.raises(ConfigError, match=rf"model\.folder: holds the value .* {name};") as error:
        check_configuration({"model": {"folder": f"/data/{VALUE}/x"}})
    assert VALUE not in str(error.value)


@pytest.mark.parametrize(
    "name", ["PWD", "OLDPWD", "PATH", "n_tokens", "tokenizer", "monkey", "bypass", "key"]
)
def test_other_names_are_none(name):
    assert not names_secret(name)


def test_a_short_secret_is_found_as_a_word_of_its_own(monkeypatch):
    monkeypatch.setenv("PGPASSWORD", "s3cr")
    assert redact("user:s3cr, s3cret") == "user:<secret>, s3cret"
    with pytest.raises(ConfigError, match="name: holds the value"):
        check_configuration({"name": "run-s3cr"})
    check_configuration({"name": "s3crets"})


def test_a_short_secret_that_is_a_word_of_conf_or_a_date_stops_no_run(monkeypatch):
    monkeypatch.setenv("PGPASSWORD", "auto")
    monkeypatch.setenv("DB_PASS", "2026")
    check_configuration({"device": "auto"})
    check_secrets({"date_utc": "2026-11-29"})


def test_an_ordinary_path_of_a_key_file_is_no_secret(monkeypatch, tmp_path):
    (tmp_path / "id_rsa").write_text("")
    monkeypatch.setenv("IDENTITY_KEY", str(tmp_path / "id_rsa"))
    check_configuration({"folder": str(tmp_path / "id_rsa")})


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://me:pw12345@host/x", "http://<secret>@host/x"),
        ("http://me:p@w/1@host:80/x", "http://<secret>@host:80/x"),
        ("https://ghp_abcdefgh@host", "https://<secret>@host"),
        ("http://host/?a=1&api_key=abc#x", "http://host/?a=1&api_key=<secret>#x"),
        ("http://host:80/a@b", "http://host:80/a@b"),
    ],
    # pytest puts its names of tests into the environment.
    ids=["password", "odd password", "token", "query", "no secret"],
)
def test_secrets_in_urls_are_hidden_and_refused(url, shown):
    assert redact(f"at {url}, no") == f"at {shown}, no"
    if shown == url:
        check_configuration({"uri": url})
        return
    with pytest.raises(ConfigError, match="tracking.uri: holds a URL with"):
        check_configuration({"tracking": {"uri": url}})


@pytest.mark.parametrize("name", ["MLFLOW_TRACKING_URI", "HTTPS_PROXY"])
def test_a_password_in_a_url_of_the_environment_is_a_secret(name, monkeypatch):
    monkeypatch.setenv(name, "http://me:p%40ss-word@proxy:3128")
    for form in ("p@ss-word", "p%40ss-word"):
        assert redact(f"x {form} y") == "x <secret> y"


def test_a_number_and_a_key_may_be_secret_too(monkeypatch):
    monkeypatch.setenv("API_TOKEN", "1234567890")
    for config in ({"seed": 1234567890}, {"1234567890": 1}, {"options": {"token": 12345}}):
        with pytest.raises(ConfigError) as error:
            check_configuration(config)
        assert "1234567890" not in str(error.value)


def test_a_command_prints_no_secret_whatever_it_says(monkeypatch, capsys):
    monkeypatch.setenv("DWAVE_API_TOKEN", VALUE)

    def body():
        print(f"out {VALUE}\x1b[2J")
        raise ConfigError(f"folder={VALUE}: no such folder; name one.")

    def broken():
        raise RuntimeError(VALUE)

    assert run_command("suite", body) == run_command("suite", broken) == 1
    out, err = capsys.readouterr()
    assert out == "out <secret>\\x1b[2J\n"
    assert err.startswith("suite: folder=<secret>: no such folder") and VALUE not in err


class Gone(io.StringIO):
    def write(self, text):
        raise BrokenPipeError

    def flush(self):
        raise BrokenPipeError


def test_a_reader_that_has_gone_ends_no_command(monkeypatch):
    monkeypatch.setattr("sys.stdout", Gone())
    assert run_command("suite", lambda: print("x") or 0) == 0


def test_what_the_encoding_lacks_is_escaped():
    raw = io.BytesIO()
    stream = Output(io.TextIOWrapper(raw, encoding="ascii"))
    stream.write("\r\x1b[Kbest → 1")
    stream.flush()
    assert raw.getvalue() == b"\r\x1b[Kbest \\u2192 1"
