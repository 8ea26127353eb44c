import pytest

from axonlab_core.contract.errors import BadInput
from axonlab_hub.lab.roster import read_roster


def roster(tmp_path, content):
    file = tmp_path / "roster.csv"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_roster(file)


@pytest.mark.parametrize(
    "content",
    [
        "id,role\nana,\nben,student\ntea,instructor\n",
        "id;role\r\nana;\r\nben;Student\r\ntea;Instructor\r\n",
        "\ufeffid\trole\nana\t\nben\tstudent\ntea\tstaff\n\n",
        "first_name,id,last_name,role,email\nAna,ana,A,,a@x.edu\n,Ben,,,\n,tea,,instructor,\n,,,,\n",
        '"username","role"\n"ana",""\n" ben ","student"\n"tea","instructor"\n',
    ],
)
def test_what_spreadsheets_and_nbgrader_write(tmp_path, content):
    found = roster(tmp_path, content)
    assert found.roles == {"ana": "student", "ben": "student", "tea": "instructor"}
    assert found.groups("ana", "bio301") == ["nbgrader-bio301"]
    assert found.groups("tea", "bio301") == ["formgrade-bio301"]
    assert found.groups("eve", "bio301") == []


def test_what_pandas_writes(tmp_path):
    assert roster(tmp_path, ",id\n0,ana\n1,4711ben\n").roles == {"ana": "student", "4711ben": "student"}


def test_without_roles_all_are_students(tmp_path):
    assert set(roster(tmp_path, "id\nana\nben\n").roles.values()) == {"student"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "no column `id`"),
        ("id\n", "Nobody is in"),
        ("mail\na@x\n", "no column `id`"),
        ("id\nana\nana\n", "line 3: ana stands there twice"),
        ("id\nAna\nana\n", "twice"),
        ("id\nroot\n", "line 2: the name root is taken"),
        ("id\nproxy\n", "is taken"),
        (",id,role\n0,ana,boss\n", "there is no role 'boss'"),
        ("id\n../x\n", "cannot be a name"),
        ("id\n-a\n", "cannot be a name"),
        ("id\nana b\n", "cannot be a name"),
        ("id\n" + "a" * 25 + "\n", "cannot be a name"),
        ("id\nänne\n", "cannot be a name"),
        ("id,role\nana,boss\n", "line 2: there is no role 'boss'"),
        ("id,role\n,instructor\n", "line 2: '' cannot be a name"),
        ("id\nänne\n".encode("latin-1"), "not UTF-8"),
        ("id\n" + "a\x00b\n", "cannot be a name|line contains NUL"),
        ("id\n" + "x" * 2**20, "more than a megabyte"),
    ],
)
def test_what_makes_no_sense_is_said_with_its_line(tmp_path, content, said):
    with pytest.raises(BadInput, match=said) as caught:
        roster(tmp_path, content)
    assert "roster.csv" in caught.value.message
    assert caught.value.remedy


def test_no_file(tmp_path):
    with pytest.raises(BadInput, match="cannot be read"):
        read_roster(tmp_path / "none.csv")
    with pytest.raises(BadInput, match="cannot be read"):
        read_roster(tmp_path)
