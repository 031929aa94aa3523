from compactnet.commands import run_command
from compactnet.errors import InputError


def ending(error):
    def main():
        raise error

    return run_command(main)


def test_an_end_without_a_status_is_success():
    assert run_command(lambda: None) == 0
    assert run_command(lambda: 1) == 1


def test_what_a_person_can_mend_is_one_line_and_status_2(capsys):
    assert ending(InputError("first\n  second")) == 2
    assert capsys.readouterr().err == "error: first second\n"


def test_ctrl_c_says_how_to_go_on(capsys):
    assert ending(KeyboardInterrupt()) == 130
    assert "run the same command again" in capsys.readouterr().err
