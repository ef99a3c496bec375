"""The settings of MCP: bounds, and programs that an operator names."""

import pytest

from freddy.server.config.load import ConfigError, load
from freddy.server.config.settings import McpProgram


def _load(tmp_path, text, **variables):
    file = tmp_path / "freddy.toml"
    file.write_text(text)
    return load({"FREDDY_HOME": str(tmp_path), **variables}, file)


def test_programs_are_read_and_their_folder_starts_at_the_file(tmp_path):
    settings, origins = _load(
        tmp_path,
        '[mcp]\ncall_seconds = 5\n[mcp.programs.notes]\ncommand = ["notes", "--quiet"]\n'
        'environment = { TOKEN = "s3cret" }\nfolder = "work"\n[mcp.programs.other]\ncommand = ["other"]\n',
        FREDDY_MCP_SESSIONS="7",
    )
    assert (settings.mcp.call_seconds, settings.mcp.sessions) == (5.0, 7)
    assert settings.mcp.programs == {
        "notes": McpProgram(command=("notes", "--quiet"), environment={"TOKEN": "s3cret"}, folder=tmp_path / "work"),
        "other": McpProgram(command=("other",)),
    }
    assert "s3cret" not in repr(settings.mcp)
    assert origins.places["mcp.programs.notes"] == str(tmp_path / "freddy.toml")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[mcp.programs.notes]\n", "needs a command"),
        ('[mcp.programs.notes]\ncommand = "notes"\n', "command must be a list"),
        ('[mcp.programs.notes]\ncommand = ["a"]\ncomand = 1\n', "no key 'comand'"),
        ('[mcp.programs.notes]\ncommand = ["a"]\nenvironment = { A = 1 }\n', "environment must be a table of texts"),
        ('[mcp.programs.Notes]\ncommand = ["a"]\n', "lower-case letters"),
        ("[mcp.programs]\nnotes = 1\n", "must be a table"),
        ("[mcp]\nprograms = 1\n", "[mcp.programs.NAME]"),
        ("[mcp]\nsession = 1\n", "there is no setting 'mcp.session'"),
        ("[mcp]\nsessions = 0\n", "a whole number from 1"),
    ],
)
def test_what_is_wrong_with_a_program_is_said(tmp_path, text, problem):
    with pytest.raises(ConfigError) as failed:
        _load(tmp_path, text)
    assert problem in str(failed.value)


def test_the_variables_of_a_program_are_never_repeated(tmp_path):
    with pytest.raises(ConfigError) as failed:
        _load(tmp_path, '[mcp.programs.notes]\ncommand = ["a"]\nenvironment = ["s3cret"]\n')
    assert "s3cret" not in str(failed.value)
