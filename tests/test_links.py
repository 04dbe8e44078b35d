"""One place names the public address: pyproject.toml. Everything else follows it."""

import re
import shutil
import subprocess

import nbformat
import pytest
from notebook_rules import REPOSITORY, ROOT, TAG, execute, links

OTHER = "An-Owner/a.course_2"
# A repository in an address, wherever it stands; and those that are rightly somebody else's.
LINK = re.compile(
    r"(?:(?<![\w.])github\.com|mybinder\.org/v2/gh|google\.com/github)/([\w-]+/[\w.-]*\w)"
)
# Of other people: what the paper's authors, char-rnn's and BachBot's published; and Colab's list.
ELSEWHERE = {"LucNaterop/cmc-rnn", "lucnat/cmc-rnn", "karpathy/char-rnn"}
ELSEWHERE |= {"feynmanliang/bachbot-thesis", "googlecolab/backend-info"}


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A copy of every file that may hold a link, and links.py at work there."""
    for path in links._files():
        copy = tmp_path / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    monkeypatch.setattr(links, "ROOT", tmp_path)
    return tmp_path


def contents(tree):
    return {path.relative_to(tree): path.read_text("utf-8") for path in links._files()}


def names(texts):
    return {name.removesuffix(".git") for text in texts for name in LINK.findall(text)}


@pytest.mark.slow
def test_no_file_of_the_repository_names_another_address():
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(["git", "-C", ROOT, "ls-files", "-z"], capture_output=True, check=True)
    paths = [ROOT / name for name in listed.stdout.decode().split("\0") if name]
    texts = {path: path.read_text("utf-8", errors="replace") for path in paths if path.exists()}
    strangers = {path: names([text]) - {REPOSITORY, *ELSEWHERE} for path, text in texts.items()}
    assert {path: found for path, found in strangers.items() if found} == {}
    # And what names ours is within reach of `make links`.
    assert {path for path in texts if REPOSITORY in texts[path]} <= set(links._files())


def test_everything_follows_pyproject_already(tree):
    assert links.rewrite() == []


@pytest.mark.slow
def test_another_name_reaches_every_mention_and_the_way_back_restores_the_bytes(tree):
    links.rewrite(REPOSITORY)  # with badges
    before = contents(tree)
    changed = links.rewrite(OTHER)
    after = contents(tree)
    assert after == {path: text.replace(REPOSITORY, OTHER) for path, text in before.items()}
    assert names(after.values()) <= {OTHER, *ELSEWHERE}
    assert {path.relative_to(tree) for path in changed} == {
        path for path in before if REPOSITORY in before[path]
    }
    assert links.rewrite(OTHER) == []
    links.rewrite(REPOSITORY)
    assert contents(tree) == before


def test_a_link_in_running_text_follows_and_a_stranger_s_stays(tree):
    page = tree / "docs" / "page.md"
    text = "https://github.com/{0}, https://github.com/{0}.git, https://github.com/{1}/issues"
    page.write_text(text.format(REPOSITORY, f"{REPOSITORY}-2"), "utf-8")
    links.rewrite(OTHER)
    assert page.read_text("utf-8") == text.format(OTHER, f"{REPOSITORY}-2")


@pytest.mark.slow
def test_the_readme_shows_badges_only_once_an_address_is_given(tree, capsys):
    page = tree / "README.md"
    before = page.read_text("utf-8")
    page.write_text(links.MARKED.sub(r"\1\3", before), "utf-8")
    bare = page.read_text("utf-8")
    links.main([])
    assert page.read_text("utf-8") == bare
    assert not re.search("mybinder|colab.research", bare)
    assert "there are no badges until the address is public" in capsys.readouterr().out
    links.main([OTHER])
    text = page.read_text("utf-8")
    assert len(re.findall(r"\[!\[", text)) == len(re.findall(r"\[!\[", links.badges(text))) == 3
    assert links.MARKED.sub(r"\1\3", text) == bare.replace(REPOSITORY, OTHER)
    assert "no badges" not in capsys.readouterr().out


HUB = "github.com"
ADDRESSES = {
    f"https://{HUB}/{OTHER}": OTHER,
    f"https://{HUB}/{OTHER}.git": OTHER,
    f"https://me:secret@{HUB}/{OTHER}.git": OTHER,
    f"git@{HUB}:{OTHER}.git": OTHER,
    f"ssh://git@{HUB}/{OTHER}.git/": OTHER,
    f"ssh://git@ssh.{HUB}:443/{OTHER}": OTHER,
    f"https://{HUB}.example.org/{OTHER}": None,
    f"https://example.org/{OTHER}.git": None,
    f"git@{HUB}:a/b/c": None,
    f"../{OTHER}": None,
    None: None,
}


def clone_of(address, folder):
    subprocess.run(["git", "init", "--quiet", folder], check=True)
    if address:
        subprocess.run(["git", "-C", folder, "remote", "add", "origin", address], check=True)


@pytest.mark.parametrize("address, name", ADDRESSES.items())
def test_git_s_origin_is_an_address_where_that_is_at_github(tmp_path, monkeypatch, address, name):
    monkeypatch.setattr(links, "ROOT", tmp_path)
    assert links.origin() is None
    clone_of(address, tmp_path)
    assert links.origin() == name


def test_the_origin_of_a_repository_around_it_is_not_its_own(tmp_path, monkeypatch):
    clone_of(f"https://{HUB}/{OTHER}", tmp_path)
    monkeypatch.setattr(links, "ROOT", tmp_path / "inside")
    links.ROOT.mkdir()
    assert links.origin() is None


def test_without_a_name_the_links_follow_git_s_origin(tree):
    clone_of(f"https://{HUB}/{OTHER}", tree)
    links.main([])
    assert links.project()[0] == OTHER
    assert OTHER in links.badges((tree / "README.md").read_text("utf-8"))


@pytest.mark.slow
def test_a_lesson_gets_badges_that_open_it_and_stays_in_the_form_that_is_stored(tree):
    links.rewrite(OTHER)
    for path in (tree / "notebooks").glob("[0-9]*.ipynb"):
        page = nbformat.read(path, as_version=4)
        assert nbformat.writes(execute.normalise(page)) + "\n" == path.read_text("utf-8")
        shown = links.badges(page.cells[0].source)
        assert re.findall(r"(?:gh|github)/([\w-]+/[\w.-]+?)/", shown) == [OTHER, OTHER]
        assert shown.count(f"notebooks/{path.name})") == 2
    solutions = (tree / "notebooks").glob("solutions/*.ipynb")
    assert not any("<!-- badges" in path.read_text("utf-8") for path in solutions)


@pytest.mark.slow
def test_a_badge_that_names_a_third_address_is_put_right(tree):
    links.rewrite(REPOSITORY)  # with badges
    page = tree / "README.md"
    before = page.read_text("utf-8")
    page.write_text(before.replace(REPOSITORY, "a/fork").replace(TAG, "main"), "utf-8")
    assert links.rewrite() == [page]
    assert page.read_text("utf-8") == before


@pytest.mark.slow
def test_a_new_version_reaches_every_badge_and_the_citation(tree):
    links.rewrite(REPOSITORY)  # with badges
    project = tree / "pyproject.toml"
    text = project.read_text("utf-8")
    project.write_text(text.replace(f'version = "{links.project()[1]}"', 'version = "7.8"'))
    links.rewrite()
    after = contents(tree)
    assert {text.count(TAG) for path, text in after.items() if path.parts[0] != "tests"} == {0}
    assert "@v7.8" in (tree / "tools" / "execute.py").read_text("utf-8")
    assert "\nversion: 7.8\n" in (tree / "CITATION.cff").read_text("utf-8")


@pytest.mark.slow
def test_a_run_that_was_interrupted_is_finished_by_the_next(tree, monkeypatch):
    replaced, replace = [], links.os.replace

    def fail_at_the_third(*paths):
        if len(replaced) == 2:
            raise KeyboardInterrupt
        replaced.append(replace(*paths))

    links.rewrite(REPOSITORY)  # with badges
    before = contents(tree)
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(links.os, "replace", fail_at_the_third)
        links.rewrite(OTHER)
    assert links.project()[0] == OTHER  # so no name is needed any more
    links.rewrite()
    assert contents(tree) == {p: text.replace(REPOSITORY, OTHER) for p, text in before.items()}


BAD = ["", "owner", "owner/", "/name", "a/b/c", links.GITHUB + "a/b", "a b/c", "-a/b", "a--b/c"]
BAD += [
    "a/..",
    "a/b.git",
    "a/b\n",
    "a_b/c",
    "ä/b",
    "a" * 40 + "/b",
    "a/" + "b" * 101,
    "a/b'",
    "a\\/b",
]


def test_a_bad_name_is_refused_in_one_sentence_and_nothing_is_touched(tree):
    before = contents(tree)
    for name in BAD:
        with pytest.raises(SystemExit) as stopped:
            links.main([name])
        assert stopped.value.code.startswith(f"{name!r} is not of the form owner/name")
    with pytest.raises(SystemExit, match="give one name"):
        links.main(["a", "b"])
    assert contents(tree) == before


@pytest.mark.parametrize("name", ["a/b", "A-1/b.c-d_e", "a" * 39 + "/" + "b" * 100, "a/.github"])
def test_a_good_name_is_taken(name):
    assert links.NAME.fullmatch(name)


def test_it_says_what_changed(tree, capsys):
    links.main([OTHER])
    *files, last = capsys.readouterr().out.splitlines()
    assert "README.md" in files and "notebooks/00_start_here.ipynb" in files
    assert last == f"every link names {OTHER} at {TAG}; files changed: {len(files)}"


def test_the_set_up_cell_installs_the_release():
    assert f'"git+https://github.com/{REPOSITORY}@{TAG}"' in execute.SETUP_CELL
