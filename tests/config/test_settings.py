"""Where a setting's value comes from, and what is said when it cannot be used."""

from pathlib import Path

import pytest

from freddy.server import config
from freddy.server.config import page
from freddy.server.config import settings as parts
from freddy.server.config.settings import declared

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty working folder, so that no settings file of ours is found."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written(folder: Path, text: str) -> Path:
    file = folder / "some.toml"
    file.write_text(text, encoding="utf-8")
    return file


def problems(environment: dict[str, str], file: Path | None = None) -> tuple[str, ...]:
    with pytest.raises(config.ConfigError) as caught:
        config.load({"HOME": "/nowhere", **environment}, file)
    return caught.value.problems


def test_without_any_setting_the_server_is_local_and_keeps_its_things_in_the_users_home():
    settings, origins = config.load({"HOME": "/home/ada"}, None)
    assert settings.home == Path("/home/ada/.freddy")
    assert settings.store.database == Path("/home/ada/.freddy/freddy.db")
    assert (settings.server.host, settings.server.port) == ("127.0.0.1", 8000)
    assert settings.development
    assert set(origins.places.values()) == {"default"}
    assert (origins.file, origins.warnings) == (None, ())


def test_every_setting_has_a_variable_of_its_own_and_a_help_text():
    everything = list(declared())
    assert len({one.setting.variable for one in everything}) == len(everything)
    assert all(one.setting.variable.startswith("FREDDY_") and one.setting.help for one in everything)


def test_the_data_folder_of_the_desktop_is_used_where_it_is_set():
    settings, _ = config.load({"HOME": "/home/ada", "XDG_DATA_HOME": "/data"}, None)
    assert settings.home == Path("/data/freddy")


def test_a_flag_wins_over_the_environment_which_wins_over_the_file_which_wins_over_the_default(folder):
    file = written(folder, '[server]\nport = 1001\nhost = "::1"\nping_seconds = 5\n')
    environment = {"FREDDY_PORT": "1002", "FREDDY_HOST": "127.0.0.2"}
    settings, origins = config.load(environment, file, {"server.port": "1003"})
    assert (settings.server.port, settings.server.host, settings.server.ping_seconds) == (
        1003,
        "127.0.0.2",
        5.0,
    )
    assert origins.places["server.port"] == "--port"
    assert origins.places["server.host"] == "environment"
    assert origins.places["server.ping_seconds"] == str(file)
    assert origins.places["server.max_body_bytes"] == "default"


def test_an_empty_variable_counts_as_not_set():
    settings, origins = config.load({"FREDDY_PORT": "", "FREDDY_UPSTREAM_URL": " "}, None)
    assert settings.server.port == 8000
    assert settings.upstreams == ()
    assert origins.places["server.port"] == "default"


@pytest.mark.parametrize(
    ("text", "meant"),
    [("on", True), ("1", True), ("Yes", True), ("true", True), ("off", False), ("0", False), ("no", False)],
)
def test_a_switch_understands_the_usual_words(text, meant):
    assert config.load({"FREDDY_PULL": text}, None)[0].model.pull is meant


def test_the_file_is_looked_for_in_the_working_folder_and_then_in_the_home_folder(folder):
    home = folder / "home"
    home.mkdir()
    (home / "freddy.toml").write_text("[server]\nport = 1\n")
    environment = {"FREDDY_HOME": str(home)}
    assert config.load(environment, None)[0].server.port == 1
    (folder / "freddy.toml").write_text("[server]\nport = 2\n")
    assert config.load(environment, None)[0].server.port == 2
    other = written(folder, "[server]\nport = 3\n")
    assert config.load({**environment, "FREDDY_CONFIG": str(other)}, None)[0].server.port == 3


def test_a_settings_file_that_is_named_must_exist(folder):
    assert problems({"FREDDY_CONFIG": "gone.toml"}) == (
        f"the settings file {folder / 'gone.toml'} does not exist; correct --config or FREDDY_CONFIG",
    )


def test_a_relative_path_in_the_file_starts_at_the_files_folder(folder):
    place = folder / "etc"
    place.mkdir()
    file = written(place, 'home = "state"\n[model]\nname = "models/a.gguf"\n[store]\ndatabase = "~/x.db"\n')
    settings, _ = config.load({}, file)
    assert settings.home == place / "state"
    assert settings.model.name == str(place / "models/a.gguf")
    assert settings.store.database == Path.home() / "x.db"


@pytest.mark.parametrize(
    ("variable", "text", "said"),
    [
        ("FREDDY_PORT", "eighty", "FREDDY_PORT must be a whole number from 0 to 65535, not 'eighty'"),
        ("FREDDY_PORT", "65536", "FREDDY_PORT must be a whole number from 0 to 65535, not '65536'"),
        ("FREDDY_PING_SECONDS", "nan", "FREDDY_PING_SECONDS must be a number from 1 to 3600, not 'nan'"),
        ("FREDDY_PULL", "perhaps", "FREDDY_PULL must be true or false, not 'perhaps'"),
        (
            "FREDDY_LOG_LEVEL",
            "loud",
            "FREDDY_LOG_LEVEL must be one of debug, info, warning, error, not 'loud'",
        ),
        (
            "FREDDY_PUBLIC_URL",
            "freddy.test",
            "FREDDY_PUBLIC_URL must be an address that starts with http:// or https://, not 'freddy.test'",
        ),
        (
            "FREDDY_INDEX_URL",
            "ftp://ada:hunter2@index.test",
            "FREDDY_INDEX_URL must be an address that starts with http:// or https://, not 'ftp://***@index.test'",
        ),
        (
            "FREDDY_UPSTREAM_KEY",
            "k",
            "FREDDY_UPSTREAM_KEY is set, but FREDDY_UPSTREAM_URL is not; set both, or neither",
        ),
        (
            "FREDDY_UPSTREAM_URL",
            "https://me:pw@api.test/v1",
            "FREDDY_UPSTREAM_URL: url must be without user and password; the key stands in key or key_env",
        ),
    ],
)
def test_a_wrong_variable_is_named_with_its_value_and_what_would_be_right(variable, text, said):
    assert problems({variable: text}) == (said,)


def test_a_wrong_secret_is_named_without_its_value():
    (said,) = problems({"FREDDY_DEV_API_KEY": "with a space"})
    assert said.startswith("FREDDY_DEV_API_KEY must be")
    assert "with a space" not in said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[server]\nprot = 1", "there is no setting 'server.prot'; did you mean 'server.port'?"),
        ("[sever]\nport = 1", "there is no setting 'sever'; did you mean 'server'?"),
        ("server = 3", "server must be a table: [server]"),
        ('[server]\nport = "80"', "server.port must be a whole number from 0 to 65535, not '80'"),
        ("[server]\nport = true", "server.port must be a whole number from 0 to 65535, not True"),
        ("[model]\npull = 1", "model.pull must be true or false, not 1"),
        ('home = ""', "home must be a path in quotes, not ''"),
        ('[upstream]\nname = "a"', "upstream must be written as [[upstream]], with two brackets"),
        ('[aliases]\n"gpt-4o" = 3', "aliases.gpt-4o must be the name of a model, not 3"),
        ('[[upstream]]\nurl = "http://a"', "upstream 1 needs a name"),
        ('[[upstream]]\nname = "a"', "upstream 1 needs a url, or a vendor that has one"),
        ('[[upstream]]\nname = "A B"\nurl = "http://a"', "upstream 1: name must be lower-case letters"),
        ('[[upstream]]\nname = "a"\nurl = "a"', "upstream 1: url must be an address that starts with http"),
        (
            '[[upstream]]\nname = "a"\nurl = "http://a"\nkye = "k"',
            "upstream 1 has no key 'kye'; did you mean 'key'?",
        ),
        (
            '[[upstream]]\nname = "a"\nurl = "http://a"\nmodels = "x"',
            "upstream 1: models must be a list such as",
        ),
        (
            '[[upstream]]\nname = "a"\nurl = "http://a"\nkey_env = "GONE"',
            "upstream 1: key_env names the variable 'GONE', which is not set",
        ),
        (
            '[[upstream]]\nname = "a"\nurl = "http://a"\nkey = "k"\nkey_env = "GONE"',
            "upstream 1 has both key and key_env; remove one",
        ),
        (
            '[[upstream]]\nname = "a"\nurl = "http://a"\n[[upstream]]\nname = "a"\nurl = "http://b"',
            "upstream 2 has the same name 'a' as another; rename one",
        ),
    ],
)
def test_a_wrong_key_of_the_file_is_named_with_the_file_and_the_cure(folder, text, said):
    file = written(folder, text)
    (problem,) = problems({}, file)
    assert problem.startswith(f"{file}: {said}")


def test_a_file_that_is_no_toml_is_named_with_the_line(folder):
    (problem,) = problems({}, written(folder, "[server\n"))
    assert "is not valid TOML" in problem
    assert "line 1" in problem


def test_all_problems_are_told_at_once(folder):
    file = written(folder, "[engine]\nslots = 0\nspeed = 9\n")
    assert len(problems({"FREDDY_PORT": "x"}, file)) == 3


def test_an_unknown_variable_is_warned_of_and_others_programs_variables_are_not():
    environment = {"FREDDY_PROT": "1", "FREDDY_API_KEY": "k", "FREDDYS_BOOK": "x", "FREDDY_CONFIG": ""}
    _, origins = config.load(environment, None)
    assert origins.warnings == ("the variable FREDDY_PROT is not known and has no effect; did you mean 'FREDDY_PORT'?",)


@pytest.mark.parametrize(
    ("mode", "host", "on"),
    [
        ("auto", "127.0.0.1", True),
        ("auto", "localhost", True),
        ("auto", "::1", True),
        ("auto", "0.0.0.0", False),
        ("auto", "freddy.test", False),
        ("off", "127.0.0.1", False),
        ("on", "127.0.0.1", True),
    ],
)
def test_development_mode_is_on_by_itself_only_on_a_loopback_address(mode, host, on):
    settings, _ = config.load({"FREDDY_DEV_MODE": mode, "FREDDY_HOST": host}, None)
    assert settings.development is on


def test_development_mode_is_off_by_itself_behind_a_proxy_with_a_public_address():
    assert not config.load({"FREDDY_PUBLIC_URL": "https://freddy.test"}, None)[0].development
    assert config.load({"FREDDY_PUBLIC_URL": "http://localhost:9000"}, None)[0].development


@pytest.mark.parametrize(
    ("variable", "text"), [("FREDDY_HOST", "0.0.0.0"), ("FREDDY_PUBLIC_URL", "https://freddy.test")]
)
def test_development_mode_on_a_public_address_is_refused(variable, text):
    (said,) = problems({"FREDDY_DEV_MODE": "on", variable: text})
    assert "FREDDY_DEV_MODE=off" in said
    assert repr(text) in said


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        (
            {"FREDDY_BACKGROUND_LEASE_SECONDS": "3"},
            "background.lease_seconds is 3, but must be at least twice background.heartbeat_seconds, which is 3: "
            "processes that live would take each other for dead",
        ),
        (
            {"FREDDY_WEBHOOKS_FAILING_DAYS": "7"},
            "webhooks.failing_days is 7, but must be less than webhooks.kept_days, which is 7: "
            "what failed is forgotten by then, and no webhook would ever be disabled",
        ),
        (
            {"FREDDY_BACKGROUND_AT_ONCE": "0"},
            "background.at_once is 0, but an SQLite database belongs to one process, and what it takes would wait "
            "for ever: set FREDDY_DATABASE to the address of a PostgreSQL database, or at_once to 1 or more",
        ),
        (
            {"FREDDY_WORKERS": "4", "FREDDY_METRICS_PORT": "65533"},
            "server.metrics_port is 65533, and from there on each of 4 workers needs a port: "
            "choose one of at most 65532",
        ),
    ],
)
def test_what_would_go_wrong_only_later_is_refused_at_once(variables, said):
    assert problems(variables) == (said,)


def test_what_is_just_enough_for_several_processes_is_taken():
    several = {
        "FREDDY_DATABASE": "postgresql://freddy@db/freddy",
        "FREDDY_BACKGROUND_AT_ONCE": "0",
        "FREDDY_BACKGROUND_LEASE_SECONDS": "6",
        "FREDDY_WORKERS": "4",
        "FREDDY_METRICS_PORT": "65532",
    }
    settings, _ = config.load({"HOME": "/nowhere", **several}, None)
    assert (settings.background.lease_seconds, settings.server.metrics_port) == (6, 65532)


def test_upstreams_come_from_the_file_and_one_more_from_the_environment(folder):
    file = written(
        folder,
        '[[upstream]]\nname = "one"\nurl = "https://one.test/v1/"\nkey_env = "ONE_KEY"\nmodels = ["gpt-*"]\n'
        'default_model = "gpt-5"\n',
    )
    environment = {
        "ONE_KEY": "sk-one",
        "FREDDY_UPSTREAM_URL": "http://two.test/v1",
        "FREDDY_UPSTREAM_KEY": "sk-two",
        "FREDDY_UPSTREAM_MODELS": "llama, qwen*",
    }
    settings, origins = config.load(environment, file)
    assert settings.upstreams == (
        config.Upstream(name="one", url="https://one.test/v1", key="sk-one", models=("gpt-*",), default_model="gpt-5"),
        config.Upstream(name="upstream", url="http://two.test/v1", key="sk-two", models=("llama", "qwen*")),
    )
    assert origins.places["upstream.one"] == str(file)
    assert origins.places["upstream.upstream"] == "environment"


def test_an_upstream_says_what_is_its_own(folder):
    file = written(
        folder,
        '[[upstream]]\nname = "one"\nvendor = "groq"\nkind = "compatible"\nheaders = { "x-team" = "search" }\n'
        'organization = "org-1"\nproject = "proj-1"\nfirst_token_seconds = 5\ntotal_seconds = 60.5\n',
    )
    environment = {"FREDDY_UPSTREAM_VENDOR": "ollama", "FREDDY_UPSTREAM_KIND": "compatible"}
    settings, _ = config.load(environment, file)
    assert settings.upstreams == (
        config.Upstream(
            name="one",
            vendor="groq",
            kind="compatible",
            headers={"x-team": "search"},
            organization="org-1",
            project="proj-1",
            first_token_seconds=5.0,
            total_seconds=60.5,
        ),
        config.Upstream(name="upstream", vendor="ollama", kind="compatible"),
    )


_AN_UPSTREAM = '[[upstream]]\nname = "a"\nurl = "http://a"\n'
_A_MODEL = _AN_UPSTREAM + '[[models]]\nname = "m"\n'


def test_a_model_has_candidates_and_facts(folder):
    file = written(
        folder,
        _A_MODEL
        + 'candidates = [{ upstream = "a", model = "x", weight = 3 }, { upstream = "a", model = "y", order = 1 }]'
        "\ncontext_tokens = 1000\nimages = true\nprice = { input = 1, output = 2.5, cached = 0.1 }\n",
    )
    settings, origins = config.load({}, file)
    (served,) = settings.models
    assert (served.name, served.context_tokens, served.images, served.audio) == ("m", 1000, True, None)
    assert [(way.upstream, way.model, way.order, way.weight) for way in served.candidates] == [
        ("a", "x", 0, 3.0),
        ("a", "y", 1, 1.0),
    ]
    assert served.price == parts.Price(input=1.0, output=2.5, cached=0.1)
    assert origins.places["models.m"] == str(file)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[models]\nname = "m"', "models must be written as [[models]]"),
        (_A_MODEL, "models 1 needs candidates such as"),
        (_A_MODEL + "candidates = []", "models 1: candidates must be a list such as"),
        (_A_MODEL + 'candidates = [{ model = "x" }]', "models 1: candidates 1 needs an upstream"),
        (_A_MODEL + 'candidates = [{ upstream = "b", model = "x" }]', "there is no upstream 'b'; there is a"),
        (_A_MODEL + 'candidates = [{ upstream = "a", model = "x", weight = -1 }]', "weight must be a number from 0"),
        (_A_MODEL + 'candidates = [{ upstream = "a", model = "x", order = 1.5 }]', "order must be a whole number"),
        (_A_MODEL + 'candidates = [{ upstream = "a", model = "x" }]\nimages = "yes"', "images must be true or false"),
        (_A_MODEL + 'candidates = [{ upstream = "a", model = "x" }]\nimage = true', "did you mean 'images'?"),
        (_A_MODEL + 'candidates = [{ upstream = "a", model = "x" }]\nprice = 3', "price must be a table such as"),
        (_A_MODEL + 'candidates = [{ upstream = "a", model = "x" }]\nprice = { input = 3 }', "price needs an output"),
        (_AN_UPSTREAM + 'headers = { "x" = "a\\nb" }', "upstream 1: headers must be a table of printable texts"),
        (_AN_UPSTREAM + 'headers = { "a b" = "c" }', "upstream 1: headers cannot have 'a b'"),
        (_AN_UPSTREAM + 'headers = { Host = "elsewhere" }', "upstream 1: headers cannot have 'Host'"),
        (_AN_UPSTREAM + "total_seconds = 0", "upstream 1: total_seconds must be a number from 0.1"),
    ],
)
def test_what_is_wrong_with_models_and_upstreams_is_said(folder, text, said):
    assert any(said in problem for problem in problems({}, written(folder, text)))


def test_an_upstream_on_this_machine_is_reached_without_the_proxy(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://proxy.test:3128")
    assert config.proxy_for("http://models.test/v1") == "http://proxy.test:3128"
    assert config.proxy_for("http://127.0.0.1:11434/v1") is None


def test_aliases_come_from_the_file(folder):
    settings, _ = config.load({}, written(folder, '[aliases]\n"ftg-3.0" = "gpt-4o"\n'))
    assert settings.aliases == {"ftg-3.0": "gpt-4o"}


def test_no_secret_is_in_the_text_form_of_the_settings():
    environment = {
        "FREDDY_DEV_API_KEY": "hush-dev",
        "FREDDY_UPSTREAM_URL": "http://a.test",
        "FREDDY_UPSTREAM_KEY": "hush-upstream",
    }
    settings, origins = config.load(environment, None)
    assert "hush" not in f"{settings} {settings!r} {origins}"


def test_the_development_key_is_the_one_that_is_set_or_else_the_one_in_its_file(folder):
    environment = {"FREDDY_HOME": str(folder)}
    settings, _ = config.load(environment, None)
    assert config.dev_key(settings) is None
    settings.dev_key_path.write_text("sk-frdy-file\n")
    assert config.dev_key(settings) == "sk-frdy-file"
    settings, _ = config.load({**environment, "FREDDY_DEV_API_KEY": "sk-frdy-set"}, None)
    assert config.dev_key(settings) == "sk-frdy-set"


def test_the_page_of_settings_is_what_the_declarations_say():
    """If this fails: `python -m freddy.server.config > docs/settings.md`."""
    assert PAGE.read_text(encoding="utf-8") == page.page()
